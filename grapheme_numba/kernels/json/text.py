"""The JSON pieces of a record: white space and strings with escapes.

All functions take the position of their first byte and return the position after their last one, or -1 when
they are unsure; then Python judges the whole line. The data must end in a line feed, which no piece accepts.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED


@njit(**BORROWED)
def skip_space(data, at):
    """The position of the first byte that is not a space, tab or carriage return."""
    while data[at] == 32 or data[at] == 9 or data[at] == 13:
        at += 1
    return at


@njit(**BORROWED)
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


@njit(**BORROWED)
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


@njit(**BORROWED)
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


@njit(**BORROWED)
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


@njit(**BORROWED)
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
