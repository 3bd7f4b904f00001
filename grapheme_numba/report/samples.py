"""A few validation examples with the model's answers, right and wrong ones of every brain."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from grapheme_numba.data.inspect import peek
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.stream.batches import encode_examples, misfit
from grapheme_numba.errors import NonFiniteError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.optim.optimizers import gradient_norm

LOOK_AT = 128  # examples of every brain, the first ones of the validation data
OF_EACH = 3  # right and wrong ones per brain


class Sample(NamedTuple):
    """One answered example; its `confidence` is in [0, 1]."""

    example: MixedExample
    answer: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the answer is right to the letter."""
        return self.example.expected_output == self.answer


class Answered(NamedTuple):
    """What one brain answers, and what always giving the validation data's commonest answer would score.

    samples : up to OF_EACH wrong ones, then as many right ones
    commonest, commonest_share : that answer, and the share of examples whose answer it is
    """

    samples: list[Sample]
    commonest: str
    commonest_share: float


def answer_samples(model: BrainModel, dataset: Any) -> dict[str, Answered]:
    """The samples of every brain of `model` that `dataset` holds examples of.

    Raises NonFiniteError where the parameters are not finite, RecordError or OSError where the data is gone.
    """
    if not np.isfinite(gradient_norm(model.parameters)):
        raise NonFiniteError("the parameters are not finite")
    layout, answered = model.layout, {}
    for name, peeked in peek(dataset, layout.names, LOOK_AT).items():
        index = layout.index(name)
        examples = [with_domain(example, name) for example in peeked.examples]
        examples = [example for example in examples if misfit(example, layout.domains[index], layout) is None]
        samples = answers(model, index, examples) if examples else []
        wrong = [sample for sample in samples if not sample.right][:OF_EACH]
        right = [sample for sample in samples if sample.right][:OF_EACH]
        answered[name] = Answered([*wrong, *right], peeked.answer, peeked.n_answer / peeked.n)
    return answered


def with_domain(example: MixedExample, name: str) -> MixedExample:
    """The example with the brain that answers it as its domain: a router may have chosen another one."""
    return example if example.domain == name else msgspec.structs.replace(example, domain=name)


def answers(model: BrainModel, index: int, examples: list[MixedExample]) -> list[Sample]:
    """Every example with the answer of the brain `index`."""
    decoded = model.layout.decode(index, model.own_outputs(encode_examples(examples, model.layout)))
    return [
        Sample(example, answer, float(confidence))
        for example, answer, confidence in zip(examples, decoded.answers, decoded.confidence, strict=True)
    ]
