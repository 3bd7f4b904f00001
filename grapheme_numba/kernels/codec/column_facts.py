"""What the rows of one domain have in common: their numbers as inputs and as answers.

What a text is made of, counted byte by byte: the evidence by which the router chooses a brain.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import BORROWED, PARALLEL, SERIAL
from grapheme_numba.kernels.codec.decimals import decimal_value, read_decimal
from grapheme_numba.kernels.codec.tables import read_number
from grapheme_numba.kernels.codec.tabular import add_number


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
def scan_reals(rows, offset, text, facts_out, counts_out):
    """What those of the given rows that are numerals have in common, however they are written.

    rows : (n,) int64; offset, text : the answers
    facts_out : (7,) float64, updated; start with (inf, -inf, 0, 0, 0, 0, 0), see `add_number`
    counts_out : (2,) int64, updated; start with zeros: numerals that are not whole, most fraction digits

    Returns the first row that is none, -1 where all are.
    """
    other = np.int64(-1)
    for row in rows:
        ok, digits, power = read_decimal(text, offset[row], offset[row + 1])
        value = decimal_value(digits, power)
        if not ok or not abs(value) < np.inf:
            if other < 0:
                other = row
            continue
        counts_out[0] += power < 0
        counts_out[1] = max(counts_out[1], -power)
        add_number(value, facts_out)
    return other


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


LETTERS, DIGITS, OPERATORS, EXPRESSIONS = 0, 1, 2, 3  # columns of the counts
PLUS, MINUS, STAR, SLASH, CARET, EQUALS, PERCENT = 43, 45, 42, 47, 94, 61, 37
BLANK, DOT, OPEN, CLOSE = 32, 46, 40, 41


@njit(**SERIAL)
def is_operator(byte):
    """Whether the byte is one of + - * / ^ = %."""
    return byte in (PLUS, MINUS, STAR, SLASH, CARET, EQUALS, PERCENT)


@njit(**PARALLEL)
def text_evidence(offsets, data, counts_out):
    """Count letters, digits, operators and expressions of each text.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Text i is `data[offsets[i] : offsets[i + 1]]`, UTF-8.
    data : (n_byte,) uint8
    counts_out : (n, 4) int32
        Columns LETTERS (bytes above 127 count as letters), DIGITS, OPERATORS, and EXPRESSIONS: a digit,
        an operator, a digit, with nothing but blanks and brackets between. Overwritten.
    """
    for i in prange(offsets.shape[0] - 1):
        counts_out[i, :] = 0
        stage = 0  # 1 after a digit, 2 after a digit and an operator
        for p in range(offsets[i], offsets[i + 1]):
            byte = data[p]
            if 48 <= byte <= 57:
                counts_out[i, DIGITS] += 1
                if stage == 2:
                    counts_out[i, EXPRESSIONS] += 1
                stage = 1
            elif is_operator(byte):
                counts_out[i, OPERATORS] += 1
                stage = 2 if stage >= 1 else 0
            elif 65 <= byte <= 90 or 97 <= byte <= 122 or byte > 127:
                counts_out[i, LETTERS] += 1
                stage = 0
            elif byte not in (BLANK, DOT, OPEN, CLOSE):
                stage = 0
