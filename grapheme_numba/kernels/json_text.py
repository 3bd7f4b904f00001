"""The JSON pieces of a record: white space, strings with escapes, and metadata checked without being built.

All functions take the position of their first byte and return the position after their last one, or -1 when
they are unsure; then Python judges the whole line. The data must end in a line feed, which no piece accepts.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels.numerals import read_numeral

MOST_DEPTH, MOST_KEYS = 16, 64  # of metadata that is checked here
TRUE, FALSE, NULL = (np.frombuffer(word, np.uint8).copy() for word in (b"true", b"false", b"null"))


@njit(**SERIAL)
def skip_space(data, at):
    """The position of the first byte that is not a space, tab or carriage return."""
    while data[at] == 32 or data[at] == 9 or data[at] == 13:
        at += 1
    return at


@njit(**SERIAL)
def utf8_size(data, at):
    """Bytes (2 to 4) of the UTF-8 character that starts with `data[at]` >= 128; 0 if it is malformed."""
    lead, low, high = data[at], 128, 191
    if 0xC2 <= lead <= 0xDF:
        size = 2
    elif 0xE0 <= lead <= 0xEF:
        size = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:  # surrogates
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        size = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return 0
    if not low <= data[at + 1] <= high:
        return 0
    for i in range(2, size):
        if not 128 <= data[at + i] <= 191:
            return 0
    return size


@njit(**SERIAL)
def hex4(data, at):
    """The number of four hexadecimal digits, -1 if they are not."""
    number = 0
    for i in range(4):
        byte = np.int64(data[at + i])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 65 <= byte <= 70:
            digit = byte - 55
        elif 97 <= byte <= 102:
            digit = byte - 87
        else:
            return -1
        number = number * 16 + digit
    return number


@njit(**SERIAL)
def put_code_point(code, out, size):
    """Append a code point as UTF-8 to `out` at `size`; the new size."""
    if code < 0x80:
        out[size] = code
        return size + 1
    if code < 0x800:
        out[size] = 0xC0 | code >> 6
        out[size + 1] = 0x80 | code & 0x3F
        return size + 2
    if code < 0x10000:
        out[size] = 0xE0 | code >> 12
        out[size + 1] = 0x80 | code >> 6 & 0x3F
        out[size + 2] = 0x80 | code & 0x3F
        return size + 3
    out[size] = 0xF0 | code >> 18
    out[size + 1] = 0x80 | code >> 12 & 0x3F
    out[size + 2] = 0x80 | code >> 6 & 0x3F
    out[size + 3] = 0x80 | code & 0x3F
    return size + 4


@njit(**SERIAL)
def read_escape(data, at, out, size):
    """Append the escape after the backslash at `data[at]` to `out`: (end, new size)."""
    kind = data[at + 1]
    if kind == 34 or kind == 92 or kind == 47:
        out[size] = kind
        return at + 2, size + 1
    plain = 8 if kind == 98 else 12 if kind == 102 else 10 if kind == 110 else 13 if kind == 114 else 0
    if kind == 116:
        plain = 9
    if plain:
        out[size] = plain
        return at + 2, size + 1
    if kind != 117:
        return -1, size
    code = hex4(data, at + 2)
    at += 6
    if 0xD800 <= code <= 0xDFFF:
        if code > 0xDBFF or data[at] != 92 or data[at + 1] != 117:
            return -1, size
        second = hex4(data, at + 2)
        if not 0xDC00 <= second <= 0xDFFF:
            return -1, size
        code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00)
        at += 6
    if code < 0:
        return -1, size
    return at, put_code_point(code, out, size)


@njit(**SERIAL)
def read_string(data, at, out, size):
    """Append the string whose opening quote is `data[at]` to `out` at `size`: (end, new size)."""
    if data[at] != 34:
        return -1, size
    at += 1
    while True:
        byte = data[at]
        if byte == 34:
            return at + 1, size
        if byte == 92:
            at, size = read_escape(data, at, out, size)
            if at < 0:
                return -1, size
        elif byte < 32:
            return -1, size
        elif byte < 128:
            out[size] = byte
            at += 1
            size += 1
        else:
            width = utf8_size(data, at)
            if width == 0:
                return -1, size
            for i in range(width):
                out[size + i] = data[at + i]
            at += width
            size += width


@njit(**SERIAL)
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


@njit(**SERIAL)
def _matches(data, at, word):
    """Whether the bytes at `data[at]` are those of a word."""
    same = True
    for i in range(word.shape[0]):
        same = same and data[at + i] == word[i]
    return same


@njit(**SERIAL)
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


@njit(**SERIAL)
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


@njit(**SERIAL)
def skip_object(data, at, keys, levels):
    """The end of the metadata object that starts at `data[at]`, its grammar and keys checked.

    keys : (MOST_KEYS, 2) int64 and levels : (MOST_DEPTH,) int64, scratch. Keys with escapes, more keys or
    more depth than there is room for end in -1.
    """
    if data[at] != 123:
        return -1
    depth, count = -1, 0  # levels[depth]: first key of an open object, -1 for an open list
    while True:
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
