"""What the rows of one domain have in common: their numbers as inputs and as answers."""

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED
from grapheme_numba.kernels.codes import read_number


@njit(**BORROWED)
def scan_numbers(rows, offset, text, facts_out):
    """What the answers of the given rows have in common as numbers; stops at the first that is none.

    rows : (n,) int64; offset, text : the answers
    facts_out : (4,) int64, updated; start with (1, 0, 99, 1): all are numbers; most fraction digits; fewest;
        no fraction ends in a zero
    """
    for row in rows:
        ok, _, fraction, trimmed = read_number(text, offset[row], offset[row + 1])
        if not ok:
            facts_out[0] = 0
            return
        facts_out[1] = max(facts_out[1], fraction)
        facts_out[2] = min(facts_out[2], fraction)
        if not trimmed:
            facts_out[3] = 0


@njit(**BORROWED)
def largest_number(rows, offset, text, decimals):
    """Largest |value| * 10**decimals of the given rows, whose answers are all numbers; -1 beyond int64."""
    largest = np.int64(0)
    for row in rows:
        _, digits, fraction, _ = read_number(text, offset[row], offset[row + 1])
        digits = abs(digits)
        for _ in range(decimals - fraction):
            if digits > 10**17:
                return np.int64(-1)
            digits *= 10
        largest = max(largest, digits)
    return largest


@njit(**BORROWED)
def scan_values(rows, offset, numbers, facts_out):
    """The numbers of the given rows: numbers[offset[row]:offset[row + 1]] each.

    facts_out : (5,) float64, updated; start with (inf, -inf, 0, 0, 0): smallest, largest, sum of squares,
        count, longest row
    """
    for row in rows:
        for at in range(offset[row], offset[row + 1]):
            number = numbers[at]
            facts_out[0] = min(facts_out[0], number)
            facts_out[1] = max(facts_out[1], number)
            facts_out[2] += number * number
        size = offset[row + 1] - offset[row]
        facts_out[3] += size
        facts_out[4] = max(facts_out[4], size)
