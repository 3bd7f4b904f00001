"""Rows of named cells: their facts column by column, and their inputs, straight from Arrow's buffers."""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED, BORROWED_INLINE


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


FARTHEST = 100.0  # deviations from the mean that a number enters with at most; of 10,000 rows none lies beyond


class Cells(NamedTuple):
    """The cells of n rows. A row has a shape, which says of which fields its cells are.

    shape : (n,) int32 index into the shapes, -1 where the row has no cells
    number_start : (n_shape + 1,) int32 into `number_field`: fields of the number cells of each shape, -1 unknown ones
    string_start : (n_shape + 1,) int32 into `string_field`, of the string cells
    number_offset, string_offset : (n + 1,) int32, first cell of each row
    numbers : float64, NaN where missing
    text_offset : (n_string + 1,) int32 into `text` uint8; valid : (n_string,) bool, False where missing
    """

    shape: np.ndarray
    number_start: np.ndarray
    number_field: np.ndarray
    string_start: np.ndarray
    string_field: np.ndarray
    number_offset: np.ndarray
    numbers: np.ndarray
    string_offset: np.ndarray
    text_offset: np.ndarray
    text: np.ndarray
    valid: np.ndarray


class Fields(NamedTuple):
    """How the fields of all tabular domains enter; F fields by name, C columns in all, D domains.

    column : (D, F) int32, the column of a domain's field, -1 where it makes no use of it
    start : (D + 1,) int32 into the columns
    numeric : (C,) int32, input that a number enters at, -1 where the column takes none
    mean, scale : (C,) float64; a number v enters as (v - mean) * scale
    missing : (C,) int32, input that is 1 where the cell is missing, -1 without
    first_value : (C + 1,) int32 into the categories
    value_offset : (n_value + 1,) int64 into `value_bytes` uint8, of each column in the order of the bytes
    value_input : (n_value,) int32, input that is 1 for the category
    other : (C,) int32, input that is 1 for any other category, -1 without
    """

    column: np.ndarray
    start: np.ndarray
    numeric: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    missing: np.ndarray
    first_value: np.ndarray
    value_offset: np.ndarray
    value_bytes: np.ndarray
    value_input: np.ndarray
    other: np.ndarray


@njit(**BORROWED_INLINE)
def find_value(text, start, stop, fields, column):
    """Number of a category among those of all columns, -1 if it is none of this column's."""
    low, high = fields.first_value[column], fields.first_value[column + 1]
    size = stop - start
    while low < high:
        middle = (low + high) // 2
        at = fields.value_offset[middle]
        length = fields.value_offset[middle + 1] - at
        i = 0
        while i < min(size, length) and fields.value_bytes[at + i] == text[start + i]:
            i += 1
        if i == size and i == length:
            return np.int64(middle)
        if i == length or (i < size and fields.value_bytes[at + i] < text[start + i]):
            low = middle + 1
        else:
            high = middle
    return np.int64(-1)


@njit(**BORROWED_INLINE)
def enter_number(number, column, fields, values_out, at):
    """A number cell into row `at`; False where its column takes no numbers, or the number is missing."""
    if number != number:
        return True
    place = fields.numeric[column]
    if place < 0:
        if fields.other[column] >= 0:
            values_out[at, fields.other[column]] = 1.0
        return False
    value = (number - fields.mean[column]) * fields.scale[column]
    values_out[at, place] = min(max(value, -FARTHEST), FARTHEST)
    if fields.missing[column] >= 0:
        values_out[at, fields.missing[column]] = 0.0
    return True


@njit(**BORROWED_INLINE)
def enter_string(cells, cell, column, fields, values_out, at):
    """A string cell into row `at`; False where its column does not know the category."""
    if not cells.valid[cell]:
        return True
    value = find_value(cells.text, cells.text_offset[cell], cells.text_offset[cell + 1], fields, column)
    known = value >= 0
    place = fields.value_input[value] if known else fields.other[column]
    if place >= 0:
        values_out[at, place] = 1.0
        if fields.missing[column] >= 0:
            values_out[at, fields.missing[column]] = 0.0
    return known


@njit(**BORROWED_INLINE)
def enter_cells(row, domain, cells, fields, values_out, at):
    """The cells of a row into the zeroed row `at`: (fields that the domain knows, cells that it does not know).

    A column whose cell is missing, or of a category that no training row had and no place for others, stays at 0,
    the mean, with the mark of a missing cell where its column has one.
    """
    known = strange = 0
    shape = cells.shape[row]
    for column in range(fields.start[domain], fields.start[domain + 1]):
        if fields.missing[column] >= 0:
            values_out[at, fields.missing[column]] = 1.0
    if shape < 0:
        return known, strange
    cell = cells.number_offset[row]
    for position in range(cells.number_start[shape], cells.number_start[shape + 1]):
        field = cells.number_field[position]
        column = fields.column[domain, field] if field >= 0 else -1
        if column >= 0:
            known += 1
            strange += not enter_number(cells.numbers[cell], column, fields, values_out, at)
        cell += 1
    cell = cells.string_offset[row]
    for position in range(cells.string_start[shape], cells.string_start[shape + 1]):
        field = cells.string_field[position]
        column = fields.column[domain, field] if field >= 0 else -1
        if column >= 0:
            known += 1
            strange += not enter_string(cells, cell, column, fields, values_out, at)
        cell += 1
    return known, strange


@njit(**BORROWED)
def count_strange(domain, cells, fields, scratch, counts_out):
    """Cells of each row that its domain does not know: categories that no training row had.

    domain : (n,) int32, -1 for a domain without fields; scratch : (1, width) float32, overwritten
    counts_out : (n,) int64, overwritten
    """
    for row in range(domain.shape[0]):
        counts_out[row] = 0
        if domain[row] >= 0:
            scratch[:] = 0.0
            _, counts_out[row] = enter_cells(row, domain[row], cells, fields, scratch, 0)


@njit(**BORROWED)
def scan_number_cells(rows, cells, facts_out):
    """Add the number cells of the given rows to the facts (n_field, 7) of their fields (`add_number`)."""
    for row in rows:
        shape = cells.shape[row]
        if shape < 0:
            continue
        cell = cells.number_offset[row]
        for position in range(cells.number_start[shape], cells.number_start[shape + 1]):
            number = cells.numbers[cell]
            if number == number:
                add_number(number, facts_out[cells.number_field[position]])
            cell += 1


@njit(**BORROWED)
def fields_of_strings(rows, cells, field_out):
    """The field of every string cell of the given rows; field_out (n_string,) int32, -1 elsewhere and where missing."""
    field_out[:] = -1
    for row in rows:
        shape = cells.shape[row]
        if shape < 0:
            continue
        cell = cells.string_offset[row]
        for position in range(cells.string_start[shape], cells.string_start[shape + 1]):
            if cells.valid[cell]:
                field_out[cell] = cells.string_field[position]
            cell += 1
