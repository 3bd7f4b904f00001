"""The best constant answer per domain: what a model must beat to have learned anything.

For the squared error that is the training split's mean code, for decoded numbers their median and mean, for texts the
commonest one.
"""

import math
from collections import Counter
from collections.abc import Iterable

import msgspec
import numpy as np

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.stream.batches import Misfits, add_misfits
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.kernels.codec.decimals import real_number

MOST_NUMBERS = 1 << 20  # numbers kept for the median of a domain; beyond that every second one, and so on
MOST_TEXTS = 1 << 18  # texts that are looked at for the commonest one: they tell a share to a tenth of a per cent


class ConstantBaseline(msgspec.Struct, frozen=True):
    """The constant answer of one domain.

    n : training examples behind it
    mean_code : mean target per output; empty where no answer fits
    median, mean : of the answers where they are numbers, else None
    mode : the commonest answer where they are texts, of equally common ones the first by its letters; else None
    """

    n: int
    mean_code: tuple[float, ...]
    median: float | None
    mean: float | None = None
    mode: str | None = None


def measure(
    dataset: Dataset, layout: Layout, batch_size: int = 1024, misfits_out: dict[str, Misfits] | None = None
) -> dict[str, ConstantBaseline]:
    """The baselines of every domain of `dataset`, in one streaming pass.

    misfits_out : takes the examples that do not fit, by domain name
    """
    sums = np.zeros((len(layout.domains), layout.n_target))
    counts = np.zeros(len(layout.domains), np.int64)
    numbers, texts = [NumberSample() for _ in layout.domains], [Counter[str]() for _ in layout.domains]
    for batch in dataset.batches(layout, batch_size):
        active = batch.n_active > 0
        if misfits_out is not None:
            add_misfits(batch, layout.names, misfits_out)
        np.add.at(sums, batch.domain[active], batch.targets[active])
        counts += np.bincount(batch.domain[active], minlength=len(counts))
        for index, domain in enumerate(layout.domains):
            own = active & (batch.domain == index)
            if domain.answer.kind == "number":
                # decoding a code gives its number back, and is much faster than fetching the answers' texts
                numbers[index].add(map(to_number, layout.decode(index, batch.targets[own]).answers))
            elif domain.answer.kind == "text" and texts[index].total() < MOST_TEXTS:
                texts[index].update(batch.answers[row] for row in np.flatnonzero(own).tolist())
    return {
        domain.name: ConstantBaseline(
            int(counts[index]),
            tuple((sums[index, : domain.n_output] / counts[index]).tolist()) if counts[index] else (),
            numbers[index].median(),
            numbers[index].mean(),
            min(texts[index].items(), key=lambda pair: (-pair[1], pair[0]))[0] if texts[index] else None,
        )
        for index, domain in enumerate(layout.domains)
    }


class NumberSample:
    """A bounded, evenly spread sample of a stream of numbers."""

    def __init__(self) -> None:
        self._kept: list[float] = []
        self._every = 1
        self._seen = self._n = 0
        self._sum = 0.0

    def add(self, values: Iterable[float]) -> None:
        """Take the finite ones of `values` whose turn it is."""
        for value in values:
            if self._seen % self._every == 0 and math.isfinite(value):
                self._kept.append(value)
            self._seen += 1
            if math.isfinite(value):
                self._n += 1
                self._sum += value
        while len(self._kept) > MOST_NUMBERS:
            self._kept = self._kept[::2]
            self._every *= 2

    def median(self) -> float | None:
        """The median of the sample; None without numbers."""
        return float(np.median(self._kept)) if self._kept else None

    def mean(self) -> float | None:
        """The mean of all finite numbers of the stream; None without any."""
        return self._sum / self._n if self._n else None


def to_number(text: str) -> float:
    """The number that a text spells, in any of the forms that answers may have; NaN where it spells none."""
    try:
        return float(text)
    except ValueError:
        data = np.frombuffer(text.encode(errors="replace"), np.uint8)
        ok, value = real_number(data, 0, len(data))
        return float(value) if ok else math.nan
