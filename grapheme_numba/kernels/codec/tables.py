"""The tables and columns that encoding and decoding kernels read, and the scalar pieces they share."""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED
from grapheme_numba.kernels.codec.tabular import Cells, Fields

TEXT, NUMBER, LABEL, REAL = 0, 1, 2, 3  # codes of an answer; a number has an exact one and a standardised one
CLEAR = 0.64  # a sine and cosine each within 0.25 keep an amplitude of at least 1 - 0.25 * sqrt(2) = 0.646
TURN = 0.058  # and their angle stays within asin(0.25 * sqrt(2)) = 0.0575 of a turn


class Answers(NamedTuple):
    """The answer codecs of all domains, as arrays; D domains.

    kind : (D,) int32, TEXT, NUMBER, LABEL or REAL
    n_output : (D,) int32
    decimals, fixed : (D,) int32; of a REAL the decimals may be negative
    limit : (D,) int64, largest |value| * 10**decimals (NUMBER)
    mean, std, reach : (D,) float64; a value v has the code (v - mean) / std and |v - mean| <= reach (REAL)
    period_start : (D + 1,) int64 into `periods` (n_period,) float64
    magnitude, wave : (D,) float64, factors of the magnitude and of the sines and cosines in the code (NUMBER)
    magnitude_variance, wave_variance : (D,), (n_period,) float64, of what networks give for them, without these
        factors; -1 where unknown
    label_start : (D + 1,) int64 into the labels
    label_offset : (n_label + 1,) int64 into `label_bytes` uint8
    label_length : (n_label,) int32, code points of each label
    label_order : (n_label,) int32, the labels of each domain in the order of their bytes, counted from its first
    label_place : (n_label,) int32, the output of each label, counted from the domain's first; several ways to write a
        number have one
    """

    kind: np.ndarray
    n_output: np.ndarray
    decimals: np.ndarray
    fixed: np.ndarray
    limit: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    reach: np.ndarray
    period_start: np.ndarray
    periods: np.ndarray
    magnitude: np.ndarray
    wave: np.ndarray
    magnitude_variance: np.ndarray
    wave_variance: np.ndarray
    label_start: np.ndarray
    label_offset: np.ndarray
    label_bytes: np.ndarray
    label_length: np.ndarray
    label_order: np.ndarray
    label_place: np.ndarray


class ExactNumber(NamedTuple):
    """What `Answers` says of one domain of exact numbers; P periods.

    limit : int; magnitude, wave, magnitude_variance : float; periods, wave_variance : (P,) float64
    """

    limit: int
    magnitude: float
    wave: float
    magnitude_variance: float
    periods: np.ndarray
    wave_variance: np.ndarray


class Inputs(NamedTuple):
    """The input slices of all domains.

    kind : (D,) int32, 0 text, 1 sequence, 2 image, 3 tabular
    length : (D,) int32, tokens of a text, else numbers
    shift, scale : (D,) float64; a number v enters as (v - shift) * scale
    valued : (D,) bool, whether numbers of a text are tokens with values, or it enters byte by byte
    knee : (D,) float64, beyond which numbers of a text enter by their logarithm
    n_bag : (D,) int32, embedding rows that a bucket of words has; 0 where words are not looked at
    n_word : (D,) int32, words and pairs of words that a text may have
    spelled : (D,) bool, whether a text enters token by token, or its words only
    n_bucket : int, buckets of words
    fields : the columns of tabular domains
    """

    kind: np.ndarray
    length: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    valued: np.ndarray
    knee: np.ndarray
    n_bag: np.ndarray
    n_word: np.ndarray
    spelled: np.ndarray
    n_bucket: int
    fields: Fields


class Columns(NamedTuple):
    """Views of Arrow's buffers: n rows. Offsets are (n + 1,) int32; row i is data[offset[i]:offset[i + 1]].

    domain : (n,) int32, index into the tables, -1 for a domain they do not hold
    kind : (n,) int32, 0 text, 1 sequence, 2 image, 3 tabular
    text, answer : uint8; values, pixels : float64
    cells : those of tabular rows
    """

    domain: np.ndarray
    kind: np.ndarray
    text_offset: np.ndarray
    text: np.ndarray
    value_offset: np.ndarray
    values: np.ndarray
    pixel_offset: np.ndarray
    pixels: np.ndarray
    answer_offset: np.ndarray
    answer: np.ndarray
    cells: Cells


@njit(**BORROWED)
def read_number(text, start, stop):
    """Read a canonical decimal: optional minus, no leading zeros, optional fraction, no minus zero.

    Returns (ok, digits, fraction, trimmed): the digits as one int64 with its sign, how many of them
    are fraction digits, and whether the fraction does not end in a zero. At most 15 digits.
    """
    at = start
    negative = at < stop and text[at] == 45
    if negative:
        at += 1
    first = at
    digits = np.int64(0)
    fraction = -1
    count = 0
    if stop - start > 18:  # more than 15 digits, a sign and a point
        return False, np.int64(0), 0, True
    while at < stop:
        byte = text[at]
        if byte == 46 and fraction < 0 and at > first:
            fraction = 0
        elif 48 <= byte <= 57:
            digits = digits * 10 + (byte - 48)
            count += 1
            if fraction >= 0:
                fraction += 1
        else:
            return False, np.int64(0), 0, True
        at += 1
    whole = count if fraction < 0 else count - fraction
    if count == 0 or count > 15 or fraction == 0 or (whole > 1 and text[first] == 48) or (negative and digits == 0):
        return False, np.int64(0), 0, True
    if fraction < 0:
        return True, -digits if negative else digits, 0, True
    return True, -digits if negative else digits, fraction, text[stop - 1] != 48


@njit(**BORROWED)
def scaled_number(text, start, stop, decimals, fixed):
    """A canonical decimal as int64 value * 10**decimals: (ok, scaled). Not ok in another format."""
    ok, digits, fraction, trimmed = read_number(text, start, stop)
    if not ok or fraction > decimals or (fixed and fraction != decimals) or (not fixed and not trimmed):
        return False, np.int64(0)
    for _ in range(decimals - fraction):
        if abs(digits) > 10**17:
            return False, np.int64(0)
        digits *= 10
    return True, digits


@njit(**BORROWED)
def code_points(text, start, stop):
    """Code points of UTF-8 bytes: all bytes but continuations."""
    count = 0
    for at in range(start, stop):
        if text[at] & 0xC0 != 0x80:
            count += 1
    return count
