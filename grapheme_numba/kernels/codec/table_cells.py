"""Cells of CSV: numbers straight into a matrix of rows, texts as the places where they stand, facts on the way.

What is not plain (numerals of more than 19 digits, thousands marks, doubled quotes, lone carriage returns) is left to
the readers that look at whole columns: the kernel says so, and the block is read by them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED
from grapheme_numba.kernels.json.numerals import TENS, numeral_bits

SKIPPED, NUMBER, TEXT = 0, 1, 2  # what becomes of a column
QUOTE, NEWLINE, RETURN, BLANK, TAB = 34, 10, 13, 32, 9
LETTER = 69  # E
NO_CODES = -(1 << 60)
MOST_DIGITS = 19
NO_BITS = np.uint64(0)
SHORT = 15  # digits that a double holds exactly


class Wanted(NamedTuple):
    """What becomes of the columns, and how cells are written.

    role, place : (n_column,), SKIPPED, NUMBER or TEXT, and where in `Cells`
    signs : (2,) uint8, between cells and before a fraction
    marks : bytes of the marks of missing numbers; mark_start : (n_mark + 1,), where each starts
    """

    role: np.ndarray
    place: np.ndarray
    signs: np.ndarray
    marks: np.ndarray
    mark_start: np.ndarray


class Cells(NamedTuple):
    """What `read_cells` writes, for R rows at most, of which m are read.

    numbers : (R, n_number) float64, NaN where missing; bits : the same memory as uint64
    start, stop : (R, n_text) int32, into the data
    row : (R,) int32, number of each row in the block, refused ones counted
    odd : (n_odd, 4) int32, of rows with another number of cells: row, cells, first byte, and where the next begins
    blanks : (1,) int64, texts that begin or end with a blank, or may do so
    missing, low, high, fraction : (n_number,), count, range, and count of numbers with a fraction
    padded : (n_number,) int64, count of numerals as 01234 and 5E3; far below 0 where one is as 2.5E3
    """

    numbers: np.ndarray
    bits: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    row: np.ndarray
    odd: np.ndarray
    blanks: np.ndarray
    missing: np.ndarray
    low: np.ndarray
    high: np.ndarray
    fraction: np.ndarray
    padded: np.ndarray


@njit(**BORROWED)
def read_decimal(data, at, decimal):
    """Read the longest numeral at data[at], with a sign, a fraction and an exponent: (end, short, value, bits).

    end is -1 if there is none; the number is `value` if it is short, else that of the 64 `bits`. Numerals of up to 15
    digits are read by Clinger's path (both the digits and the power of ten are exact, so one operation is), others by
    `numeral_bits`. What stands in the data after the numeral is the caller's to look at.
    """
    negative = data[at] == 45
    if negative or data[at] == 43:
        at += 1
    digits, first, power = np.int64(0), at, 0
    figure = np.int64(data[at]) - 48
    while 0 <= figure <= 9:
        digits = digits * 10 + figure
        at += 1
        figure = np.int64(data[at]) - 48
    count = at - first
    if data[at] == decimal:
        at += 1
        start = at
        figure = np.int64(data[at]) - 48
        while 0 <= figure <= 9:
            digits = digits * 10 + figure
            at += 1
            figure = np.int64(data[at]) - 48
        power = start - at
        count -= power
    if count > MOST_DIGITS:  # zeros in front say nothing, as those of 0.00012345678901234567
        while data[first] == 48 or data[first] == decimal:
            count -= data[first] == 48
            first += 1
    if count <= 0 or count > MOST_DIGITS:
        return -1, True, 0.0, NO_BITS
    if data[at] == 101 or data[at] == 69:
        at += 1
        minus = data[at] == 45
        if minus or data[at] == 43:
            at += 1
        start, exponent = at, 0
        figure = np.int64(data[at]) - 48
        while at - start < 4 and 0 <= figure <= 9:
            exponent = exponent * 10 + figure
            at += 1
            figure = np.int64(data[at]) - 48
        if at == start:
            return -1, True, 0.0, NO_BITS
        power += -exponent if minus else exponent
    if count <= SHORT and -22 <= power <= 22:
        value = np.float64(digits)
        value = value / TENS[-power] if power < 0 else value * TENS[power]
        return at, True, -value if negative else value, NO_BITS
    ok, bits = numeral_bits(negative, np.uint64(digits), power)
    return (at if ok else -1), False, 0.0, bits


@njit(**BORROWED)
def is_mark(data, at, stop, marks, mark_start):
    """Whether data[at:stop] is one of the marks (bytes marks[mark_start[i] : mark_start[i + 1]])."""
    for i in range(mark_start.size - 1):
        size = mark_start[i + 1] - mark_start[i]
        if size != stop - at:
            continue
        same = True
        for k in range(size):
            if marks[mark_start[i] + k] != data[at + k]:
                same = False
                break
        if same:
            return True
    return False


@njit(**BORROWED)
def _coded(data, at, end):
    """1 for a numeral data[at:end] that is written as codes are, 01234 or 5E3; NO_CODES for 2.5E3, else 0."""
    letter = point = False
    for place in range(at, end):
        letter |= data[place] == LETTER
        point |= data[place] == 46 or data[place] == 44
        if letter and (data[place] == 43 or data[place] == 45):
            return 0
    if letter:
        return NO_CODES if point else 1
    return 1 if data[at] == 48 and end - at > 1 and 48 <= data[at + 1] <= 57 else 0


@njit(**BORROWED)
def read_cells(data, at, wanted, out):
    """Read the rows of data[at:], which ends in a line feed: (m, n_odd, column), column -1 unless one is not plain.

    Then nothing that was written to `out` counts. wanted : Wanted; out : Cells
    """
    role, place, delimiter, decimal = wanted.role, wanted.place, wanted.signs[0], wanted.signs[1]
    n_column, n_row, n_odd, number, size = role.size, 0, 0, 0, data.size
    while at < size:
        first, column = at, 0
        if data[at] == NEWLINE or data[at] == RETURN:
            return n_row, n_odd, 0  # an empty line
        while True:
            kind = role[column] if column < n_column else SKIPPED
            if kind == NUMBER:
                end, short, value, bits = read_decimal(data, at, decimal)
                if end >= 0 and (data[end] == delimiter or data[end] == NEWLINE):
                    if short:
                        out.numbers[n_row, place[column]] = value
                    else:
                        out.bits[n_row, place[column]] = bits
                    if data[at] == 48 or data[end - 2] == LETTER or data[end - 3] == LETTER:
                        out.padded[place[column]] += _coded(data, at, end)
                    column, at = column + 1, end + 1
                    if data[end] == delimiter:
                        continue
                    break
            start, stop = at, at
            if data[at] == QUOTE:
                at += 1
                start = at
                while at < size and data[at] != QUOTE:
                    at += 1
                stop = at
                at += 1
                if at >= size or not (data[at] == delimiter or data[at] == NEWLINE or data[at] == RETURN):
                    return n_row, n_odd, column
            else:
                while data[at] != delimiter and data[at] != NEWLINE and data[at] != RETURN:
                    at += 1
                stop = at
            if data[at] == RETURN and (at + 1 == size or data[at + 1] != NEWLINE):
                return n_row, n_odd, column
            if kind == TEXT:
                out.start[n_row, place[column]], out.stop[n_row, place[column]] = start, stop
                if start < stop and (data[start] <= BLANK or data[stop - 1] <= BLANK or data[stop - 1] > 127):
                    out.blanks[0] += 1
            elif kind == NUMBER:
                while start < stop and (data[start] == BLANK or data[start] == TAB):
                    start += 1
                while start < stop and (data[stop - 1] == BLANK or data[stop - 1] == TAB):
                    stop -= 1
                out.numbers[n_row, place[column]] = np.nan
                if start < stop and not is_mark(data, start, stop, wanted.marks, wanted.mark_start):
                    end, short, value, bits = read_decimal(data, start, decimal)
                    if end != stop and not _is_odd(data, first, delimiter, n_column):
                        return n_row, n_odd, column
                    if short:
                        out.numbers[n_row, place[column]] = value
                    else:
                        out.bits[n_row, place[column]] = bits
                    if data[start] == 48 or data[stop - 2] == LETTER or data[stop - 3] == LETTER:
                        out.padded[place[column]] += _coded(data, start, stop)
            column += 1
            if data[at] == delimiter:
                at += 1
                continue
            at += 1 + (data[at] == RETURN)
            break
        if column == n_column:
            out.row[n_row] = number
            n_row += 1
        else:
            if n_odd == out.odd.shape[0]:
                return n_row, n_odd, 0
            out.odd[n_odd, 0], out.odd[n_odd, 1], out.odd[n_odd, 2], out.odd[n_odd, 3] = number, column, first, at
            n_odd += 1
        number += 1
    return n_row, n_odd, -1


@njit(**BORROWED)
def _is_odd(data, at, delimiter, n_column):
    """Whether the row at `at` has another number of cells; False where it has quotes, which are not looked through."""
    column = 1
    while data[at] != NEWLINE:
        if data[at] == QUOTE:
            return False
        column += data[at] == delimiter
        at += 1
    return column != n_column


@njit(**BORROWED)
def add_facts(values, n_row, out):
    """Count what is missing and whole in values (R, n_number) float64, and find the ranges; `out` is added to."""
    for row in range(n_row):
        for k in range(values.shape[1]):
            value = values[row, k]
            if value != value:
                out.missing[k] += 1
                continue
            out.low[k], out.high[k] = min(out.low[k], value), max(out.high[k], value)
            out.fraction[k] += value != np.floor(value)


@njit(**BORROWED)
def text_sizes(start, stop, offset):
    """offset (n + 1,) int32 of the texts between start and stop (n,), one after the other."""
    total = 0
    for i in range(start.size):
        offset[i] = total
        total += stop[i] - start[i]
    offset[start.size] = total


@njit(**BORROWED)
def gather_texts(data, start, offset, text):
    """Copy the texts that begin at start (n,) in the data to text[offset[i] : offset[i + 1]]."""
    for i in range(start.size):
        begin = start[i] - offset[i]
        for at in range(offset[i], offset[i + 1]):
            text[at] = data[begin + at]
