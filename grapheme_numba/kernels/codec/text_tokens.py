"""What a text is to the network: bytes, numbers with their values, and its words regardless of their place.

A number in a text ("12", "-0.5") is one token with a value, so that "9" and "10" are neighbours and the token after a
number does not move with its digits. Words (runs of letters and digits) and pairs of neighbouring words are hashed into
buckets, as in fastText (Joulin et al. 2017), so that what a text says does not depend on where in the text it says it.
"""

import math

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED, BORROWED_INLINE
from grapheme_numba.kernels.codec.tabular import add_number
from grapheme_numba.kernels.engine.elementary import log, log1p

NUMBER = 257  # the token of a number; a byte is the token byte + 1, 0 is padding
LARGEST = 1e300  # larger numbers of a text count as this
OFFSET, PRIME, MIXER = 2166136261, 16777619, 0x45D9F3B  # of the FNV-1a hash, and of the mixing of its bits
MASK = 0xFFFFFFFF
MINUS, POINT, CLOSE, BLANK = 45, 46, 41, 32


@njit(**BORROWED_INLINE)
def is_digit(byte):
    """Whether an ASCII byte is a digit."""
    return 48 <= byte <= 57


@njit(**BORROWED_INLINE)
def is_letter(byte):
    """Whether a byte is of a letter: of ASCII, or any beyond ASCII."""
    return 65 <= byte <= 90 or 97 <= byte <= 122 or byte > 127


@njit(**BORROWED_INLINE)
def in_word(byte):
    """Whether a byte belongs to a word: a letter or a digit."""
    return is_letter(byte) or is_digit(byte)


@njit(**BORROWED_INLINE)
def is_sign(text, at, start):
    """Whether the minus at `at`, which a digit follows, is the sign of a number and no operator, hyphen or range."""
    if at == start:
        return True
    before = text[at - 1]
    if is_digit(before) or is_letter(before) or before in (CLOSE, MINUS):
        return False
    seen = at - 1
    while seen >= start and text[seen] == BLANK:
        seen -= 1
    return seen < start or not (is_digit(text[seen]) or text[seen] == CLOSE)


@njit(**BORROWED_INLINE)
def read_token(text, at, start, stop):
    """(end, is a number, value) of the token that begins at `at`, of a text between `start` and `stop`."""
    negative = text[at] == MINUS and at + 1 < stop and is_digit(text[at + 1]) and is_sign(text, at, start)
    if negative:
        at += 1
    elif not is_digit(text[at]):
        return at + 1, False, 0.0
    value = 0.0
    while at < stop and is_digit(text[at]):
        value = value * 10.0 + (text[at] - 48)
        at += 1
    if at + 1 < stop and text[at] == POINT and is_digit(text[at + 1]):
        at += 1
        unit = 1.0
        while at < stop and is_digit(text[at]):
            if unit < 1e17:
                value = value * 10.0 + (text[at] - 48)
                unit *= 10.0
            at += 1
        value /= unit
    value = min(value, LARGEST)
    return at, True, -value if negative else value


@njit(**BORROWED)
def token_spans(text, start, stop, end_out):
    """Where each token of a text ends, counted from `start`; returns the number of tokens. end_out : (bytes,) int32."""
    n, at = 0, start
    while at < stop:
        at, _, _ = read_token(text, at, start, stop)
        end_out[n] = at - start
        n += 1
    return n


@njit(**BORROWED)
def small(value, knee):
    """The value itself up to `knee`, beyond it its logarithm: continuous, and of slope 1 at the knee."""
    size = abs(value)
    if size <= knee:
        return value
    return math.copysign(knee * (1.0 + log(size / knee)), value)


@njit(**BORROWED)
def scan_texts(rows, offset, text, numbers_out, logs_out, counts_out):
    """What the texts of the given rows have in common.

    rows : (n,) int64; offset, text : the texts
    numbers_out, logs_out : (7,) float64, updated, see `add_number`: the numbers, and log(1 + |number|) of each
    counts_out : (4,) int64, updated: most bytes of a text, most tokens, most words and pairs of words, and how many
        words have two letters or more
    """
    for row in rows:
        start, stop = offset[row], offset[row + 1]
        n, letters, words, inside = 0, 0, 0, False
        for i in range(start, stop):
            letters = letters + 1 if is_letter(text[i]) else 0
            counts_out[3] += letters == 2
            words += not inside and in_word(text[i])
            inside = in_word(text[i])
        at = start
        while at < stop:
            at, is_number, value = read_token(text, at, start, stop)
            n += 1
            if is_number:
                add_number(value, numbers_out)
                add_number(log1p(abs(value)), logs_out)
        counts_out[0] = max(counts_out[0], stop - start)
        counts_out[1] = max(counts_out[1], n)
        counts_out[2] = max(counts_out[2], 2 * words - 1)


@njit(**BORROWED_INLINE)
def bucket(hashed, n_bucket):
    """The bucket of a hash of 32 bits, which are mixed, since FNV leaves the low ones poor."""
    hashed = ((hashed ^ (hashed >> 16)) * MIXER) & MASK
    return np.int32((hashed ^ (hashed >> 16)) % n_bucket)


@njit(**BORROWED_INLINE)
def enter_words(text, start, stop, n_bucket, buckets_out, spans_out):
    """Write the buckets (+ 1) of a text's words and pairs of words; returns how many, -1 where there is no room.

    buckets_out : (n,) int32; spans_out : (n, 2) int32, first byte and end of each, from `start`; of 0 rows not wanted
    """
    put, at, wanted = 0, start, spans_out.shape[0] > 0
    before, follows, first_before = np.int64(0), False, start
    while at < stop:
        if not in_word(text[at]):
            at += 1
            continue
        if put + (2 if follows else 1) > buckets_out.shape[0]:
            return -1
        hashed, first = np.int64(OFFSET), at
        while at < stop and in_word(text[at]):
            byte = np.int64(text[at])
            if 65 <= byte <= 90:
                byte += 32  # lower case
            hashed = ((hashed ^ byte) * PRIME) & MASK
            at += 1
        buckets_out[put] = bucket(hashed, n_bucket) + 1
        if wanted:
            spans_out[put, 0], spans_out[put, 1] = first - start, at - start
        put += 1
        if follows:
            buckets_out[put] = bucket(((before * PRIME) & MASK) ^ hashed, n_bucket) + 1
            if wanted:
                spans_out[put, 0], spans_out[put, 1] = first_before - start, at - start
            put += 1
        before, follows, first_before = hashed, True, first
    return put


@njit(**BORROWED)
def word_spans(text, start, stop, n_bucket, buckets_out, spans_out):
    """`enter_words` for callers that are not compiled."""
    return enter_words(text, start, stop, n_bucket, buckets_out, spans_out)


@njit(**BORROWED_INLINE)
def enter_text(text, start, stop, domain, inputs, rows_out, at_row):
    """Write a text as tokens and words into a row: False if it has more than its slice takes.

    rows_out.tokens : the tokens, then the buckets of its words; rows_out.values : the values of number tokens
    """
    n_token = inputs.length[domain]
    shift, scale, knee = inputs.shift[domain], inputs.scale[domain], inputs.knee[domain]
    n, at = 0, start
    while at < stop and inputs.spelled[domain]:
        if n == n_token:
            return False
        byte = text[at]
        at, is_number, value = read_token(text, at, start, stop)
        if is_number:
            rows_out.tokens[at_row, n] = NUMBER
            rows_out.values[at_row, n] = (small(value, knee) - shift) * scale
        else:
            rows_out.tokens[at_row, n] = np.int32(byte) + 1
        n += 1
    if inputs.n_bag[domain] > 0:
        words = rows_out.tokens[at_row, n_token : n_token + inputs.n_word[domain]]
        return enter_words(text, start, stop, inputs.n_bucket, words, rows_out.tokens[:0]) >= 0
    return True
