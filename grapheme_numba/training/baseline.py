"""The best constant answer per domain: what a model must beat to have learned anything.

For the squared error that is the training split's mean code, for decoded numbers their median.
"""

import math

import msgspec
import numpy as np

from grapheme_numba.data.codec.answers import NumberAnswer

MOST_NUMBERS = 1 << 20  # numbers kept for the median of a domain; beyond that every second one, and so on


class ConstantBaseline(msgspec.Struct, frozen=True):
    """The constant answer of one domain.

    n : training examples behind it
    mean_code : mean target per output; empty where no answer fits
    median : median of the answers where they are numbers, else None
    """

    n: int
    mean_code: tuple[float, ...]
    median: float | None


def measure(dataset, layout, batch_size: int = 1024) -> dict[str, ConstantBaseline]:
    """The baselines of every domain of `dataset`, in one streaming pass."""
    sums = np.zeros((len(layout.domains), layout.n_target))
    counts = np.zeros(len(layout.domains), np.int64)
    numbers = [NumberSample() for _ in layout.domains]
    for batch in dataset.batches(layout, batch_size):
        active = batch.n_active > 0
        np.add.at(sums, batch.domain[active], batch.targets[active])
        counts += np.bincount(batch.domain[active], minlength=len(counts))
        for index, domain in enumerate(layout.domains):
            if isinstance(domain.answer, NumberAnswer):
                # decoding a code gives its number back, and is much faster than fetching the answers' texts
                decoded = layout.decode(index, batch.targets[active & (batch.domain == index)]).answers
                numbers[index].add(map(to_number, decoded))
    return {
        domain.name: ConstantBaseline(
            int(counts[index]),
            tuple((sums[index, : domain.n_output] / counts[index]).tolist()) if counts[index] else (),
            numbers[index].median(),
        )
        for index, domain in enumerate(layout.domains)
    }


class NumberSample:
    """A bounded, evenly spread sample of a stream of numbers."""

    def __init__(self):
        self._kept: list[float] = []
        self._every = 1
        self._seen = 0

    def add(self, values) -> None:
        """Take the finite ones of `values` whose turn it is."""
        for value in values:
            if self._seen % self._every == 0 and math.isfinite(value):
                self._kept.append(value)
            self._seen += 1
        while len(self._kept) > MOST_NUMBERS:
            self._kept = self._kept[::2]
            self._every *= 2

    def median(self) -> float | None:
        """The median of the sample; None without numbers."""
        return float(np.median(self._kept)) if self._kept else None


def to_number(text: str) -> float:
    """The number that a text spells; NaN where it spells none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
