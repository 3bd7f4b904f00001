"""Sums of a column that are the same for every order of its rows."""

from numba import njit

from grapheme_numba.jit import BORROWED


@njit(**BORROWED)
def add_exactly(total, low, value):
    """(total, low) with `value` added: the sum as two float64, by Knuth's TwoSum.

    So the sum of a column is the same for every order of its rows, in all digits that are made use of.
    """
    rounded = total + value
    part = rounded - total
    low += (total - (rounded - part)) + (value - part)
    return rounded, low


@njit(**BORROWED)
def add_number(value, facts_out):
    """Take one number into facts: (lowest, highest, n, sum and its rest, sum of squares and its rest)."""
    facts_out[0] = min(facts_out[0], value)
    facts_out[1] = max(facts_out[1], value)
    facts_out[2] += 1.0
    facts_out[3], facts_out[4] = add_exactly(facts_out[3], facts_out[4], value)
    square = value * value
    facts_out[5], facts_out[6] = add_exactly(facts_out[5], facts_out[6], square)
