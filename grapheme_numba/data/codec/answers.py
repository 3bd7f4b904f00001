"""Answer codecs: how an expected answer becomes target numbers, and how output numbers become an answer.

Every codec is invertible: `decode(encode(a)) == a` for each answer that fits; of exact numbers, texts and labels
also after every output has been perturbed by less than 0.25. An answer that does not fit is reported, never cut.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.kernels.codec import decode, encode
from grapheme_numba.kernels.codec.tables import LABEL, NUMBER, REAL, TEXT, Answers
from grapheme_numba.kernels.engine import elementary

LARGEST_NUMBER = 10**12  # scaled; beyond it the finest angle loses its digits in float64
FINEST_PERIOD = 8.5  # an angle within 0.0575 of a turn then names one whole number: 8.5 * 0.0575 < 0.5
STEEPEST = 6.0  # between two periods; 7.6 is where a stage's doubt no longer fits into the next period
LARGEST_LOGIT = 1e4  # nothing beyond is more sure
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
    """What all codecs share: `encode` through the compiled tables of one domain."""

    @property
    def n_output(self) -> int:
        """Output numbers of an answer."""
        raise NotImplementedError

    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, outputs: np.ndarray) -> np.ndarray:
        """(n,): how clear outputs (n, n_output) are, for `calibration`; what it means is the codec's own."""
        return cast("Answer", self).decode(outputs).confidence

    def encode(self, answers: Sequence[str]) -> Encoded:
        """Targets of n answers, and which of them fit."""
        own = cast("Answer", self)  # every codec is one of the four
        parts = [answer.encode() for answer in answers]
        offset = np.cumsum([0, *map(len, parts)]).astype(np.int32)
        text = np.frombuffer(b"".join(parts), np.uint8)
        targets = np.zeros((len(parts), own.n_output), np.float32)
        fits = np.zeros(len(parts), np.bool_)
        encode.encode_answers(read_only(offset), read_only(text), answer_tables([own]), targets, fits)
        return Encoded(targets, fits)


class TextAnswer(_Codec, frozen=True, tag="text"):
    """A text of at most `n_char` UTF-8 bytes: eight outputs (bits) a byte, a zero byte ends it."""

    n_char: int = 16
    kind: ClassVar[str] = "text"

    @property
    def n_output(self) -> int:
        return 8 * self.n_char

    def describe(self) -> str:
        """The codec in a few words."""
        return f"text of {self.n_char} bytes"

    def refusal(self, answer: str) -> str:
        """Why an answer does not fit."""
        if "\0" in answer:
            return f"its answer {shortened(answer)} holds a zero byte, which ends a text"
        return f"its answer has {len(answer.encode(errors='replace'))} bytes, more than the {self.n_char} of a text"

    def decode(self, outputs: np.ndarray) -> Decoded:
        """Texts of outputs (n, n_output); confidence is that of the least clear bit."""
        n = len(outputs)
        text, size, confidence = np.zeros((n, self.n_char), np.uint8), np.zeros(n, np.int32), np.zeros(n, np.float32)
        decode.decode_texts(outputs, text, size, confidence)
        return Decoded([row[:k].tobytes().decode(errors="replace") for row, k in zip(text, size)], confidence)


class NumberAnswer(_Codec, frozen=True, tag="number"):
    """A decimal number of at most `decimals` fraction digits and |value| * 10**decimals <= limit.

    fixed : numbers always have `decimals` fraction digits ("3.50"); else none that is a trailing zero
    magnitude, wave : factors of the magnitude and of the sines and cosines; 1 in models of old
    variances : of the residuals of the magnitude and of each period, on validation examples; () while unknown

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
    magnitude: float = 1.0
    wave: float = 1.0
    variances: tuple[float, ...] = ()
    kind: ClassVar[str] = "number"

    @property
    def periods(self) -> tuple[float, ...]:
        """Periods of the sines, in units of 10**-decimals, coarse to fine."""
        coarsest = max(2.3 * self.limit, FINEST_PERIOD)
        stages = math.ceil(math.log(coarsest / FINEST_PERIOD) / math.log(STEEPEST) - 1e-9)
        if not stages:
            return (coarsest,)
        fall = elementary.log(FINEST_PERIOD / coarsest) / stages
        return (*(float(coarsest * elementary.exp(fall * i)) for i in range(stages)), FINEST_PERIOD)

    @property
    def n_output(self) -> int:
        return 1 + 2 * len(self.periods)

    def describe(self) -> str:
        """The codec in a few words."""
        fraction = f", {self.decimals} decimals" if self.decimals else ""
        return f"number up to {self.format(self.limit)}{fraction}"

    def refusal(self, answer: str) -> str:
        """Why an answer does not fit."""
        kind = f"{self.decimals} decimals" if self.decimals else "whole numbers"
        return f"its answer {shortened(answer)} is none of the numbers up to {self.format(self.limit)} with {kind}"

    def decode(self, outputs: np.ndarray) -> Decoded:
        """Numbers of outputs (n, n_output); confidence is how clear the sines and cosines are."""
        n = len(outputs)
        scaled, confidence = np.zeros(n, np.int64), np.zeros(n, np.float32)
        decode.decode_numbers(outputs, answer_tables([self]), scaled, confidence)
        return Decoded([self.format(int(number)) for number in scaled], confidence)

    def format(self, scaled: int) -> str:
        """The decimal text of value * 10**decimals."""
        return decimal_text(scaled, self.decimals, self.fixed)


class RealAnswer(_Codec, frozen=True, tag="real"):
    """A number of any size and precision: one output, (value - mean) / std.

    mean, std : of the training answers; 1 where they are all the same
    decimals : fraction digits of decoded numbers, negative for whole tens, hundreds and so on
    reach : largest |value - mean| that fits
    low, high : range of the training answers
    fixed : decoded numbers always have `decimals` fraction digits ("3.50")

    `decimals` are those of the data, or fewer where the last of them would be below a millionth of the
    largest |value - mean|: what float32 holds of a standardised number.
    """

    mean: float
    std: float
    decimals: int
    reach: float
    low: float
    high: float
    fixed: bool = False
    kind: ClassVar[str] = "number"

    @property
    def n_output(self) -> int:
        return 1

    def describe(self) -> str:
        """The codec in a few words."""
        digits = f"{self.decimals} decimals" if self.decimals >= 0 else f"steps of {10**-self.decimals:,}"
        return f"number from {self.low:.6g} to {self.high:.6g}, standardised, to {digits}"

    def refusal(self, answer: str) -> str:
        """Why an answer does not fit."""
        return f"its answer {shortened(answer)} is no number within {self.reach:.6g} of {self.mean:.6g}"

    def decode(self, outputs: np.ndarray) -> Decoded:
        """Numbers of outputs (n, 1).

        The confidence is 1 within the range of the training answers and falls beyond, to 1/2 at a standard
        deviation: how far the network is from what it has seen, not how often it is right.
        """
        n = len(outputs)
        scaled, value = np.zeros(n, np.int64), np.zeros(n)
        decode.decode_reals(outputs, self.mean, self.std, self.reach, self.decimals, scaled, value)
        beyond = np.maximum(np.maximum(self.low - value, value - self.high), 0.0)
        confidence = (1.0 / (1.0 + beyond / self.std)).astype(np.float32)
        return Decoded([self.format(int(number)) for number in scaled], confidence)

    def score(self, outputs: np.ndarray) -> np.ndarray:
        """1 for an estimate on the grid of the answers, 0 for one half-way between two of them."""
        n = len(outputs)
        scaled, value = np.zeros(n, np.int64), np.zeros(n)
        decode.decode_reals(outputs, self.mean, self.std, self.reach, self.decimals, scaled, value)
        return np.clip(1.0 - 2.0 * np.abs(value * 10.0**self.decimals - scaled), 0.0, 1.0)

    def format(self, scaled: int) -> str:
        """The decimal text of value * 10**decimals."""
        return decimal_text(scaled, self.decimals, self.fixed)


def decimal_text(scaled: int, decimals: int, fixed: bool) -> str:
    """The text of scaled * 10**-decimals; `fixed` keeps the zeros at the end of a fraction."""
    if decimals < 0:
        scaled, decimals = scaled * 10**-decimals, 0
    digits = str(abs(scaled)).rjust(decimals + 1, "0")
    whole, fraction = digits[: len(digits) - decimals], digits[len(digits) - decimals :]
    if not fixed:
        fraction = fraction.rstrip("0")
    return f"{'-' if scaled < 0 else ''}{whole}{'.' if fraction else ''}{fraction}"


class LabelAnswer(_Codec, frozen=True, tag="label", omit_defaults=True):
    """One of the labels found in the training data: one output a label, the logits of a softmax.

    also : other ways to write a label that is a number, as `1.0` beside `1`, each with the label's place
    """

    labels: tuple[str, ...]
    also: tuple[tuple[str, int], ...] = ()
    kind: ClassVar[str] = "label"
    score_range: ClassVar[tuple[float, float]] = (-4.0, 12.0)

    @property
    def n_output(self) -> int:
        return len(self.labels)

    def describe(self) -> str:
        """The codec in a few words."""
        return f"one of {len(self.labels)} labels"

    def refusal(self, answer: str) -> str:
        """Why an answer does not fit."""
        shown = ", ".join(map(shortened, self.labels[:5]))
        return f"its answer {shortened(answer)} is none of the {len(self.labels)} labels, as {shown}"

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """(n, n_output) float64: the softmax of outputs; a NaN counts as the least of outputs."""
        logits = np.nan_to_num(outputs.astype(np.float64), nan=-LARGEST_LOGIT, posinf=LARGEST_LOGIT)
        logits = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
        powers = elementary.exp_each(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def score(self, outputs: np.ndarray) -> np.ndarray:
        """The log odds of the highest output's probability."""
        logits = np.nan_to_num(outputs.astype(np.float64), nan=-LARGEST_LOGIT, posinf=LARGEST_LOGIT)
        logits = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
        best = logits.argmax(axis=1)
        most = logits[np.arange(len(logits)), best]
        others = elementary.exp_each(logits - most[:, None])
        others[np.arange(len(logits)), best] = 0.0
        return -elementary.log_each(others.sum(axis=1) + 1e-9)

    def decode(self, outputs: np.ndarray) -> Decoded:
        """The label of the highest output, and its probability as confidence."""
        probabilities = self.probabilities(outputs)
        best = np.argmax(probabilities, axis=1)
        return Decoded([self.labels[i] for i in best], probabilities.max(axis=1).astype(np.float32))


Answer = TextAnswer | NumberAnswer | RealAnswer | LabelAnswer


def shortened(text: str) -> str:
    """A text in quotes, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view: kernels see Arrow's buffers so, and one signature serves both."""
    view = array.view()
    view.flags.writeable = False
    return view


CODES = {TextAnswer: TEXT, NumberAnswer: NUMBER, RealAnswer: REAL, LabelAnswer: LABEL}  # as kernels number them


def answer_tables(answers: Sequence[Answer]) -> Answers:
    """The codecs of all domains as the arrays that kernels read."""
    periods = [answer.periods if isinstance(answer, NumberAnswer) else () for answer in answers]
    coded = [answer if isinstance(answer, LabelAnswer) else LabelAnswer(()) for answer in answers]
    labels = [(*one.labels, *(text for text, _ in one.also)) for one in coded]
    places = [(*range(len(one.labels)), *(place for _, place in one.also)) for one in coded]
    flat = [label for group in labels for label in group]
    order = [sorted(range(len(group)), key=[label.encode() for label in group].__getitem__) for group in labels]

    variances = [answer.variances if isinstance(answer, NumberAnswer) else () for answer in answers]
    known = [own[1:] if own else (-1.0,) * len(stages) for own, stages in zip(variances, periods, strict=True)]

    def column(field: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.array([getattr(answer, field, 0) for answer in answers], dtype)

    return Answers(
        kind=np.array([CODES[type(answer)] for answer in answers], np.int32),
        n_output=column("n_output", np.int32),
        decimals=column("decimals", np.int32),
        fixed=column("fixed", np.int32),
        limit=column("limit", np.int64),
        mean=column("mean", np.float64),
        std=column("std", np.float64),
        reach=column("reach", np.float64),
        period_start=np.cumsum([0, *map(len, periods)]),
        periods=np.array([period for group in periods for period in group], np.float64),
        magnitude=column("magnitude", np.float64),
        wave=column("wave", np.float64),
        magnitude_variance=np.array([own[0] if own else -1.0 for own in variances]),
        wave_variance=np.array([variance for group in known for variance in group], np.float64),
        label_start=np.cumsum([0, *map(len, labels)]),
        label_offset=np.cumsum([0, *(len(label.encode()) for label in flat)]),
        label_bytes=read_only(np.frombuffer("".join(flat).encode(), np.uint8)),
        label_length=np.array([len(label) for label in flat], np.int32),
        label_order=np.array([place for group in order for place in group], np.int32),
        label_place=np.array([place for group in places for place in group], np.int32),
    )
