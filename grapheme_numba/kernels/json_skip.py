"""Metadata checked without being built: its grammar, its depth, and that no object has a key twice.

As in `json_text`, a function returns the position after its piece, or -1 when it is unsure.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED
from grapheme_numba.kernels.json_text import skip_space, utf8_size
from grapheme_numba.kernels.numerals import read_numeral

MOST_DEPTH, MOST_KEYS, MOST_VALUES = 16, 64, 65_536  # of metadata that is checked here
TRUE, FALSE, NULL = (np.frombuffer(word, np.uint8).copy() for word in (b"true", b"false", b"null"))


@njit(**BORROWED)
def skip_string(data, at):
    """The end of a plain string: -1 also for any escape of code points, whose surrogates would need care."""
    at += 1
    while True:
        byte = data[at]
        if byte == 34:
            return at + 1
        if byte == 92:
            kind = data[at + 1]
            if not (kind == 34 or kind == 92 or kind == 47 or kind == 110 or kind == 116 or kind == 114):
                return -1
            at += 2
        elif byte < 32:
            return -1
        elif byte < 128:
            at += 1
        else:
            width = utf8_size(data, at)
            if width == 0:
                return -1
            at += width


@njit(**BORROWED)
def _matches(data, at, word):
    """Whether the bytes at `data[at]` are those of a word."""
    same = True
    for i in range(word.shape[0]):
        same = same and data[at + i] == word[i]
    return same


@njit(**BORROWED)
def skip_scalar(data, at):
    """The end of a string, number or literal inside metadata."""
    byte = data[at]
    if byte == 34:
        return skip_string(data, at)
    if byte == 116:
        return at + 4 if _matches(data, at, TRUE) else -1
    if byte == 102:
        return at + 5 if _matches(data, at, FALSE) else -1
    if byte == 110:
        return at + 4 if _matches(data, at, NULL) else -1
    end, _, _, power, _ = read_numeral(data, at)
    return end if -300 < power < 280 else -1


@njit(**BORROWED)
def known_key(data, start, stop, keys, first, count):
    """Whether the key between start and stop is one of keys[first:count], rows of (start, stop)."""
    for i in range(first, count):
        if keys[i, 1] - keys[i, 0] == stop - start:
            same = True
            for j in range(stop - start):
                if data[keys[i, 0] + j] != data[start + j]:
                    same = False
                    break
            if same:
                return True
    return False


@njit(**BORROWED)
def skip_object(data, at, keys, levels):
    """The end of the metadata object that starts at `data[at]`, its grammar and keys checked.

    keys : (MOST_KEYS, 2) int64 and levels : (MOST_DEPTH,) int64, scratch. Keys with escapes, more keys or
    more depth than there is room for, and more than MOST_VALUES values, end in -1.
    """
    if data[at] != 123:
        return -1
    depth, count, n_value = -1, 0, 0  # levels[depth]: first key of an open object, -1 for an open list
    while n_value < MOST_VALUES:
        n_value += 1
        # a value starts at `at`
        byte = data[at]
        closed = False
        if byte == 123 or byte == 91:
            depth += 1
            if depth == MOST_DEPTH:
                return -1
            levels[depth] = count if byte == 123 else -1
            at = skip_space(data, at + 1)
            closed = data[at] == (125 if byte == 123 else 93)
        else:
            at = skip_scalar(data, at)
            if at < 0:
                return -1
        # after a value (or right inside of a new bracket): closing brackets, then a comma
        fresh = byte == 123 or byte == 91
        while closed or not fresh:
            if closed:
                if levels[depth] >= 0:
                    count = levels[depth]
                depth -= 1
                at += 1
                if depth < 0:
                    return at
                closed = False
            at = skip_space(data, at)
            if data[at] == (125 if levels[depth] >= 0 else 93):
                closed = True
                continue
            if data[at] != 44:
                return -1
            at = skip_space(data, at + 1)
            break
        if levels[depth] >= 0:  # a key and its colon stand before the next value
            start = at + 1
            if data[at] != 34:
                return -1
            at = skip_string(data, at)
            if at < 0 or count == MOST_KEYS or known_key(data, start, at - 1, keys, levels[depth], count):
                return -1
            for i in range(start, at - 1):
                if data[i] == 92:
                    return -1
            keys[count, 0], keys[count, 1] = start, at - 1
            count += 1
            at = skip_space(data, at)
            if data[at] != 58:
                return -1
            at = skip_space(data, at + 1)
    return -1
