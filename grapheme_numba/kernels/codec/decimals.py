"""Numerals as people write them: blanks around, a sign, thousands marks, a fraction, an exponent.

The canonical numerals of the exact code are read by `tables.read_number`; JSON's by `json.numerals`.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED

BLANK, TAB, PLUS, MINUS, POINT, COMMA, QUOTE, LOW_LINE = 32, 9, 43, 45, 46, 44, 39, 95
MOST_DIGITS = 18  # of a numeral that are kept; a float64 has 17
MOST_EXPONENT = 400
LARGEST = 3.4028234663852886e38  # beyond it a number is infinite in float32


@njit(**BORROWED)
def wide_sign(text, at, stop, last):
    """Whether U+2212, a minus (`last` 92), or U+202F, a narrow blank (AF), stands at `at`, as three bytes."""
    return (
        at + 3 <= stop
        and text[at] == 0xE2
        and text[at + 2] == last
        and text[at + 1] == (0x88 if last == 0x92 else 0x80)
    )


@njit(**BORROWED)
def thousands_mark(text, at, stop):
    """(mark, bytes) of a thousands mark that stands at `at`; (0, 0) where none does."""
    byte = text[at]
    if byte in (COMMA, BLANK, QUOTE, LOW_LINE):
        return np.int64(byte), 1
    if byte == 0xC2 and at + 2 <= stop and text[at + 1] == 0xA0:  # U+00A0
        return np.int64(0xA0), 2
    if wide_sign(text, at, stop, 0xAF):
        return np.int64(0xAF), 3
    return np.int64(0), 0


@njit(**BORROWED)
def n_digit(text, at, stop):
    """How many ASCII digits stand from `at` on."""
    count = 0
    while at + count < stop and 48 <= text[at + count] <= 57:
        count += 1
    return count


@njit(**BORROWED)
def read_decimal(text, start, stop):
    """Read a numeral between two positions: (ok, digits, power), the value being digits * 10**power.

    digits : int64 with the sign, the last of them not 0 (0 for zero, whose power is 0)

    Not ok: anything else than a numeral, and a whole part that begins with a zero it does not need ("007" is a
    code, which a number would not give back). A thousands mark is a comma, a blank, an apostrophe or a low line,
    one and the same throughout, with three digits behind each.
    """
    no = False, np.int64(0), 0
    while start < stop and (text[start] == BLANK or text[start] == TAB):
        start += 1
    while stop > start and (text[stop - 1] == BLANK or text[stop - 1] == TAB):
        stop -= 1
    at = start
    negative = False
    if at < stop and (text[at] == PLUS or text[at] == MINUS):
        negative = text[at] == MINUS
        at += 1
    elif wide_sign(text, at, stop, 0x92):
        negative = True
        at += 3
    digits = np.int64(0)
    count = power = 0  # significant digits so far
    whole = n_digit(text, at, stop)
    if whole > 1 and text[at] == 48:
        return no
    first, mark_seen, group = at, np.int64(0), whole
    total = whole
    while True:
        for _ in range(group):
            if count < MOST_DIGITS:
                digits = digits * 10 + np.int64(text[at] - 48)
                count += digits > 0
            else:
                power += 1
            at += 1
        if at >= stop or whole == 0 or whole > 3:
            break
        mark, width = thousands_mark(text, at, stop)
        if mark == 0 or (mark_seen != 0 and mark != mark_seen) or n_digit(text, at + width, stop) != 3:
            break
        if text[first] == 48:
            return no
        mark_seen = mark
        at += width
        group = 3
        total += 3
    if at < stop and text[at] == POINT:
        at += 1
        fraction = n_digit(text, at, stop)
        for _ in range(fraction):
            if count < MOST_DIGITS:
                digits = digits * 10 + np.int64(text[at] - 48)
                count += digits > 0
                power -= 1
            at += 1
        total += fraction
    if total == 0:
        return no
    if at < stop and (text[at] == 101 or text[at] == 69):
        at += 1
        minus = at < stop and text[at] == MINUS
        if minus or (at < stop and text[at] == PLUS):
            at += 1
        size = n_digit(text, at, stop)
        exponent = 0
        for _ in range(size):
            exponent = min(exponent * 10 + np.int64(text[at] - 48), MOST_EXPONENT)
            at += 1
        if size == 0:
            return no
        power += -exponent if minus else exponent
    if at != stop:
        return no
    if digits == 0:
        return True, np.int64(0), 0
    while digits % 10 == 0:
        digits //= 10
        power += 1
    return True, -digits if negative else digits, power


@njit(**BORROWED)
def decimal_value(digits, power):
    """digits * 10**power as float64, infinite where it is beyond float32 and 0 where it is below."""
    if power > 60:
        return np.inf if digits > 0 else -np.inf
    if power < -80:
        return 0.0
    value = np.float64(digits)
    if power < -22:  # two exact powers, so that nothing is lost on the way but two roundings
        value = value / 10.0**22 / 10.0 ** (-power - 22)
    elif power < 0:
        value = value / 10.0 ** (-power)
    else:
        value = value * 10.0**power
    if abs(value) > LARGEST:
        return np.inf if value > 0 else -np.inf
    return value


@njit(**BORROWED)
def real_number(text, start, stop):
    """(ok, value) of a numeral whose value float32 can hold."""
    ok, digits, power = read_decimal(text, start, stop)
    value = decimal_value(digits, power)
    return ok and abs(value) <= LARGEST, value
