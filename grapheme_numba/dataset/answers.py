"""Answer codecs: how an expected answer becomes target numbers, and how output numbers become an answer.

Every codec is invertible: `decode(encode(a)) == a` for each answer that fits, also after every output
has been perturbed by less than 0.25. An answer that does not fit is reported, never cut.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np


class Encoded(NamedTuple):
    """Targets of n answers.

    targets : ndarray (n, n_output) float32, 0 where the answer does not fit
    fits : ndarray (n,) bool
    """

    targets: np.ndarray
    fits: np.ndarray


class Decoded(NamedTuple):
    """Answers read from n rows of outputs.

    answers : list of n str
    confidence : ndarray (n,) float32 in [0, 1]
    """

    answers: list[str]
    confidence: np.ndarray


class TextAnswer(msgspec.Struct, frozen=True, tag="text"):
    """A text of at most `n_char` UTF-8 bytes: eight outputs (bits) a byte, a zero byte ends it."""

    n_char: int = 16

    @property
    def n_output(self) -> int:
        return 8 * self.n_char

    def encode(self, answers: Sequence[str]) -> Encoded:
        raise NotImplementedError

    def decode(self, outputs: np.ndarray) -> Decoded:
        raise NotImplementedError


class NumberAnswer(msgspec.Struct, frozen=True, tag="number"):
    """A decimal number of at most `decimals` fraction digits and |value| * 10**decimals <= limit."""

    decimals: int
    limit: int
    fixed: bool = False
    periods: tuple[float, ...] = ()

    @property
    def n_output(self) -> int:
        return 1 + 2 * len(self.periods)

    def encode(self, answers: Sequence[str]) -> Encoded:
        raise NotImplementedError

    def decode(self, outputs: np.ndarray) -> Decoded:
        raise NotImplementedError


class LabelAnswer(msgspec.Struct, frozen=True, tag="label"):
    """One of the labels found in the training data: one output a label."""

    labels: tuple[str, ...]

    @property
    def n_output(self) -> int:
        return len(self.labels)

    def encode(self, answers: Sequence[str]) -> Encoded:
        raise NotImplementedError

    def decode(self, outputs: np.ndarray) -> Decoded:
        raise NotImplementedError


Answer = TextAnswer | NumberAnswer | LabelAnswer
