"""Texts as tokens: how their numbers are scaled, and which bytes a token or a word is made of."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.summary import TextSummary, rounded
from grapheme_numba.kernels.codec import text_tokens

NUMBER_SCALE = 1.7  # of standardised numbers in a text: rows of the embedding, beside which they enter, are as large


class Words(NamedTuple):
    """The words and pairs of words of a text, n of them.

    buckets : (n,) int32; spans : (n, 2) int32, first byte and end of each
    """

    buckets: npt.NDArray[np.int32]
    spans: npt.NDArray[np.int32]


def token_ends(text: str) -> npt.NDArray[np.int32]:
    """(n_token,) int32: the byte before which each token of a text ends."""
    data = np.frombuffer(text.encode(), np.uint8)
    ends = np.zeros(len(data), np.int32)
    return ends[: text_tokens.token_spans(data, 0, len(data), ends)]


def words_of(text: str, n_bucket: int) -> Words:
    """The words of a text and their buckets."""
    data = np.frombuffer(text.encode(), np.uint8)
    buckets, spans = np.zeros(2 * len(data) + 1, np.int32), np.zeros((2 * len(data) + 1, 2), np.int32)
    n = text_tokens.word_spans(data, 0, len(data), n_bucket, buckets, spans)
    return Words(buckets[:n] - 1, spans[:n])


def text_scaling(text: TextSummary) -> tuple[float, float, float]:
    """(shift, scale, knee) of the numbers in texts, which enter as themselves up to the knee, then by logarithm.

    Most numbers lie below the knee where they spread over one order of magnitude (all of 0 to 20, or of 1 to 10**6
    where all are as likely). Where they spread over several, it lies at e**2 times their geometric mean, and a few
    huge ones do not make all others the same.
    """
    numbers, logs = text.numbers, text.logs
    if not numbers.n:
        return 0.0, 1.0, 1.0
    knee = rounded(math.expm1(logs.mean + 2.0 * min(logs.std, 1.0))) or 1.0
    if max(abs(numbers.low), abs(numbers.high)) <= knee:
        return numbers.mean, rounded(NUMBER_SCALE / (numbers.std or 1.0)), knee
    return 0.0, rounded(2.0 * NUMBER_SCALE / knee), knee
