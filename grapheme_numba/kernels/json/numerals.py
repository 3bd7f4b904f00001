"""Decimal numerals to float64, correctly rounded: the method of Eisel and Lemire.

D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51 (2021), section 5.
Short numerals take Clinger's path: both the digits and the power of ten are exact, so one division is.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED

LEAST_POWER, MOST_POWER = -80, 60  # of ten; beyond lies nothing that float32 could hold
EXACT = np.uint64(1 << 53)
TENS = np.array([10.0**power for power in range(23)])
LOW32 = np.uint64(0xFFFFFFFF)
ALL64 = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE, TWO, THREE, SHIFT32 = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(32)
NINE_BITS = np.uint64(0x1FF)
# 5**q for every power: exact, or its reciprocal with as many bits as the method asks, rounded up
_WIDE = [
    2 ** ((5**-q - 1).bit_length() * (1 if q >= -27 else 2) + (127 if q >= -27 else 128)) // 5**-q + 1
    if q < 0
    else 5**q << 127
    for q in range(LEAST_POWER, MOST_POWER + 1)
]
_TOP = [value >> (value.bit_length() - 128) for value in _WIDE]
FIVES = np.array([(value >> 64, value & 0xFFFFFFFFFFFFFFFF) for value in _TOP], np.uint64)  # (power, high and low)


@njit(**BORROWED)
def multiply(a, b):
    """The 128-bit product of two uint64, as (high, low)."""
    a_high, a_low, b_high, b_low = a >> SHIFT32, a & LOW32, b >> SHIFT32, b & LOW32
    low = a_low * b_low
    mid = a_high * b_low + (low >> SHIFT32)
    cross = a_low * b_high + (mid & LOW32)
    high = a_high * b_high + (mid >> SHIFT32) + (cross >> SHIFT32)
    return high, (cross << SHIFT32) | (low & LOW32)


@njit(**BORROWED)
def leading_zeros(x):
    """Leading zero bits of a uint64 that is not 0."""
    count = 0
    for width in (32, 16, 8, 4, 2, 1):
        if x >> np.uint64(64 - width) == np.uint64(0):
            x = x << np.uint64(width)
            count += width
    return count


@njit(**BORROWED)
def float_bits(digits, power):
    """Bits (uint64) of digits * 10**power: (ok, bits). digits : uint64 of at most 19 decimal digits.

    Not ok for a power out of the table, and for the rare numerals that the method leaves open.
    """
    if digits == np.uint64(0):
        return True, np.uint64(0)
    if power < LEAST_POWER or power > MOST_POWER:
        return False, np.uint64(0)
    zeros = leading_zeros(digits)
    scaled = digits << np.uint64(zeros)
    row = power - LEAST_POWER
    high, low = multiply(scaled, FIVES[row, 0])
    if high & NINE_BITS == NINE_BITS:
        more, _ = multiply(scaled, FIVES[row, 1])
        if low > ALL64 - more:  # the sum passes 2**64
            high += ONE
            low = more - (ALL64 - low) - ONE
        else:
            low += more
        if low == ALL64 and (power < -27 or power > 55):
            return False, np.uint64(0)
    upper = high >> np.uint64(63)
    shift = upper + np.uint64(9)
    mantissa = high >> shift
    exponent = ((217706 * power) >> 16) + 63 + np.int64(upper) - zeros + 1023
    halfway = low <= ONE and -4 <= power <= 23 and mantissa & THREE == ONE and mantissa << shift == high
    if halfway:
        mantissa = mantissa & ~ONE
    mantissa = (mantissa + (mantissa & ONE)) >> ONE
    if mantissa >= TWO * (EXACT >> ONE):
        mantissa = EXACT >> ONE
        exponent += 1
    return True, (mantissa & ((EXACT >> ONE) - ONE)) | (np.uint64(exponent) << np.uint64(52))


@njit(**BORROWED)
def read_numeral(data, at):
    """Read one JSON number at `data[at]`: (end, negative, digits, power, whole).

    end is -1 if no number stands there or it has more than 19 digits; the value is digits * 10**power.
    whole : it has neither a fraction nor an exponent. The data must end in a byte that no number holds.
    """
    negative = data[at] == 45
    if negative:
        at += 1
    first = at
    digits = np.uint64(0)
    while 48 <= data[at] <= 57 and at - first < 20:
        digits = digits * np.uint64(10) + np.uint64(data[at] - 48)
        at += 1
    count = at - first
    if count == 0 or count > 19 or (count > 1 and data[first] == 48):
        return -1, negative, digits, 0, True
    power = 0
    whole = True
    if data[at] == 46:
        whole = False
        at += 1
        start = at
        while 48 <= data[at] <= 57 and count + at - start < 20:
            digits = digits * np.uint64(10) + np.uint64(data[at] - 48)
            at += 1
        power = start - at
        if power == 0 or count - power > 19:
            return -1, negative, digits, 0, False
    if data[at] == 101 or data[at] == 69:
        whole = False
        at += 1
        minus = data[at] == 45
        if minus or data[at] == 43:
            at += 1
        start = at
        exponent = 0
        while 48 <= data[at] <= 57 and at - start < 4:
            exponent = exponent * 10 + np.int64(data[at] - 48)
            at += 1
        if at == start or at - start == 4:
            return -1, negative, digits, 0, False
        power += -exponent if minus else exponent
    return at, negative, digits, power, whole


@njit(**BORROWED)
def numeral_bits(negative, digits, power):
    """Bits of a numeral as float64: (ok, bits)."""
    ok, bits = float_bits(digits, power)
    return ok, bits | (np.uint64(negative) << np.uint64(63))
