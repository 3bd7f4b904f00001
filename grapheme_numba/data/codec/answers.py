"""Answer codecs: how an expected answer becomes target numbers, and how output numbers become an answer.

Every codec is invertible: `decode(encode(a)) == a` for each answer that fits, also after every output
has been perturbed by less than 0.25. An answer that does not fit is reported, never cut.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from grapheme_numba.kernels.codec import decode, encode
from grapheme_numba.kernels.codec.tables import LABEL, NUMBER, TEXT, Answers

LARGEST_NUMBER = 10**12  # scaled; beyond it the finest angle loses its digits in float64
FINEST_PERIOD = 8.5  # an angle within 0.0575 of a turn then names one whole number: 8.5 * 0.0575 < 0.5
STEEPEST = 6.0  # between two periods; 7.6 is where a stage's doubt no longer fits into the next period
HEADROOM = 1.25  # answers up to this times the training data's largest still fit


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


class _Codec(msgspec.Struct, frozen=True):
    """What the three codecs share: `encode` through the compiled tables of one domain."""

    def encode(self, answers: Sequence[str]) -> Encoded:
        """Targets of n answers, and which of them fit."""
        parts = [answer.encode() for answer in answers]
        offset = np.cumsum([0, *map(len, parts)]).astype(np.int32)
        text = np.frombuffer(b"".join(parts), np.uint8)
        targets = np.zeros((len(parts), self.n_output), np.float32)
        fits = np.zeros(len(parts), np.bool_)
        encode.encode_answers(read_only(offset), read_only(text), answer_tables([self]), targets, fits)
        return Encoded(targets, fits)


class TextAnswer(_Codec, frozen=True, tag="text"):
    """A text of at most `n_char` UTF-8 bytes: eight outputs (bits) a byte, a zero byte ends it."""

    n_char: int = 16

    @property
    def n_output(self) -> int:
        return 8 * self.n_char

    def decode(self, outputs: np.ndarray) -> Decoded:
        """Texts of outputs (n, n_output); confidence is that of the least clear bit."""
        n = len(outputs)
        text, size, confidence = np.zeros((n, self.n_char), np.uint8), np.zeros(n, np.int32), np.zeros(n, np.float32)
        decode.decode_texts(outputs, text, size, confidence)
        return Decoded([row[:k].tobytes().decode(errors="replace") for row, k in zip(text, size)], confidence)


class NumberAnswer(_Codec, frozen=True, tag="number"):
    """A decimal number of at most `decimals` fraction digits and |value| * 10**decimals <= limit.

    fixed : numbers always have `decimals` fraction digits ("3.50"); else none that is a trailing zero

    The code is a smooth magnitude, which a regression learns, beside sines and cosines of periods from
    more than twice the limit down to 8.5, which make it exact. The losers, held out, with a 256-256 net
    after 60 epochs on 800 generated examples (mean absolute error, mean squared error; both as a share
    of the best constant's; math | timeseries):
        this code 0.25, 0.76 | 0.13, 0.56;   magnitude alone 0.29 | 0.11, but 2 % exact instead of 17 | 24
        decimal digits one-hot 0.45, 1.17 | 0.26, 0.76;   binary digits 0.82, 1.02 | 0.37, 0.80
    """

    decimals: int
    limit: int
    fixed: bool = False

    @property
    def periods(self) -> tuple[float, ...]:
        """Periods of the sines, in units of 10**-decimals, coarse to fine."""
        coarsest = max(2.3 * self.limit, FINEST_PERIOD)
        stages = math.ceil(math.log(coarsest / FINEST_PERIOD) / math.log(STEEPEST) - 1e-9)
        return tuple(coarsest * (FINEST_PERIOD / coarsest) ** (i / max(stages, 1)) for i in range(stages + 1))

    @property
    def n_output(self) -> int:
        return 1 + 2 * len(self.periods)

    def decode(self, outputs: np.ndarray) -> Decoded:
        """Numbers of outputs (n, n_output); confidence is how clear the sines and cosines are."""
        n = len(outputs)
        scaled, confidence = np.zeros(n, np.int64), np.zeros(n, np.float32)
        decode.decode_numbers(outputs, self.limit, np.array(self.periods), scaled, confidence)
        return Decoded([self.format(int(number)) for number in scaled], confidence)

    def format(self, scaled: int) -> str:
        """The decimal text of value * 10**decimals."""
        digits = str(abs(scaled)).rjust(self.decimals + 1, "0")
        whole, fraction = digits[: len(digits) - self.decimals], digits[len(digits) - self.decimals :]
        if not self.fixed:
            fraction = fraction.rstrip("0")
        return f"{'-' if scaled < 0 else ''}{whole}{'.' if fraction else ''}{fraction}"


class LabelAnswer(_Codec, frozen=True, tag="label"):
    """One of the labels found in the training data: one output a label."""

    labels: tuple[str, ...]

    @property
    def n_output(self) -> int:
        return len(self.labels)

    def decode(self, outputs: np.ndarray) -> Decoded:
        """The label of the highest output; confidence is its lead over the second."""
        outputs = np.clip(np.nan_to_num(outputs), -10.0, 10.0)  # nothing beyond is more sure
        best = np.argmax(outputs, axis=1)
        top2 = np.sort(outputs, axis=1)[:, -2:]
        lead = top2[:, -1] - top2[:, 0] if self.n_output > 1 else outputs[:, 0]
        confidence = np.clip(lead, 0.0, 1.0).astype(np.float32)
        return Decoded([self.labels[i] for i in best], confidence)


Answer = TextAnswer | NumberAnswer | LabelAnswer


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view: kernels see Arrow's buffers so, and one signature serves both."""
    view = array.view()
    view.flags.writeable = False
    return view


def _kind(answer: Answer) -> int:
    return TEXT if isinstance(answer, TextAnswer) else LABEL if isinstance(answer, LabelAnswer) else NUMBER


def answer_tables(answers: Sequence[Answer]) -> Answers:
    """The codecs of all domains as the arrays that kernels read."""
    numbers = [answer if isinstance(answer, NumberAnswer) else None for answer in answers]
    periods = [answer.periods if answer else () for answer in numbers]
    labels = [answer.labels if isinstance(answer, LabelAnswer) else () for answer in answers]
    flat = [label for group in labels for label in group]
    return Answers(
        kind=np.array([_kind(answer) for answer in answers], np.int32),
        n_output=np.array([answer.n_output for answer in answers], np.int32),
        decimals=np.array([answer.decimals if answer else 0 for answer in numbers], np.int32),
        fixed=np.array([bool(answer and answer.fixed) for answer in numbers], np.int32),
        limit=np.array([answer.limit if answer else 0 for answer in numbers], np.int64),
        period_start=np.cumsum([0, *map(len, periods)]),
        periods=np.array([period for group in periods for period in group], np.float64),
        label_start=np.cumsum([0, *map(len, labels)]),
        label_offset=np.cumsum([0, *(len(label.encode()) for label in flat)]),
        label_bytes=read_only(np.frombuffer("".join(flat).encode(), np.uint8)),
        label_length=np.array([len(label) for label in flat], np.int32),
    )
