"""A few validation examples with the model's answers, right and wrong ones of every domain."""

from contextlib import closing
from typing import NamedTuple

import numpy as np

LOOK_AT = 512  # examples at the start of the validation data
OF_EACH = 3  # right and wrong ones per domain


class Sample(NamedTuple):
    """One answered example."""

    domain: str
    id: str
    expected: str
    answer: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the answer is right to the letter."""
        return self.expected == self.answer


def sample_answers(run) -> list[Sample]:
    """Up to OF_EACH right and OF_EACH wrong answers per domain among the first validation examples."""
    layout = run.model.layout
    with closing(run.val.batches(layout, LOOK_AT)) as batches:
        batch = next(batches)
    outputs = run.model.forward(batch)
    found = []
    for index, name in enumerate(layout.names):
        rows = np.flatnonzero(batch.domain == index)
        if not len(rows):
            continue
        decoded = layout.decode(index, outputs[rows])
        samples = [
            Sample(name, batch.ids[row], batch.answers[row], answer, float(confidence))
            for row, answer, confidence in zip(rows, decoded.answers, decoded.confidence, strict=True)
        ]
        found += [sample for sample in samples if sample.right][:OF_EACH]
        found += [sample for sample in samples if not sample.right][:OF_EACH]
    return found
