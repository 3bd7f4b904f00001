"""Examples to arrays, straight from Arrow's offsets and bytes: no Python object per row."""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED, BORROWED_INLINE
from grapheme_numba.kernels.codec.decimals import real_number
from grapheme_numba.kernels.codec.tables import LABEL, REAL, TEXT, code_points, scaled_number
from grapheme_numba.kernels.codec.tabular import enter_cells
from grapheme_numba.kernels.codec.text_tokens import enter_text
from grapheme_numba.kernels.engine.elementary import cos, sin

TABULAR = 3  # kind of input
AHEAD = 64  # rows whose memory is fetched at once
# Status of an encoded row
FITS, UNKNOWN_DOMAIN, OTHER_INPUT, INPUT_TOO_LONG, ANSWER_MISFIT = 0, 1, 2, 3, 4


class Rows(NamedTuple):
    """What `encode_rows` writes, n rows.

    domain : (n,) int32; tokens : (n, text_length) int32; values : (n, value_width) float32
    targets : (n, n_target) float32; n_active, answer_length, status : (n,) int32
    """

    domain: np.ndarray
    tokens: np.ndarray
    values: np.ndarray
    targets: np.ndarray
    n_active: np.ndarray
    answer_length: np.ndarray
    status: np.ndarray


@njit(**BORROWED_INLINE)
def number_code(scaled, answers, domain, targets_out, row):
    """Code of one number into a row: its magnitude, then sine and cosine for each period."""
    targets_out[row, 0] = answers.magnitude[domain] * scaled / answers.limit[domain]
    wave = answers.wave[domain]
    column = 1
    for stage in range(answers.period_start[domain], answers.period_start[domain + 1]):
        turns = scaled / answers.periods[stage]
        angle = 2.0 * np.pi * (turns - np.floor(turns))
        targets_out[row, column] = wave * sin(angle)
        targets_out[row, column + 1] = wave * cos(angle)
        column += 2


@njit(**BORROWED_INLINE)
def find_label(text, start, stop, answers, domain):
    """The output of an answer among the labels of its domain, -1 if it is none of them.

    By halving: of 1,000 labels one after the other a row took ten times as long as everything else of it.
    """
    first = answers.label_start[domain]
    low, high = first, answers.label_start[domain + 1]
    size = stop - start
    while low < high:
        middle = (low + high) // 2
        label = answers.label_order[middle]
        at = answers.label_offset[first + label]
        length = answers.label_offset[first + label + 1] - at
        i = 0
        while i < min(size, length) and answers.label_bytes[at + i] == text[start + i]:
            i += 1
        if i == size and i == length:
            return np.int64(answers.label_place[first + label])
        if i == length or (i < size and answers.label_bytes[at + i] < text[start + i]):
            low = middle + 1
        else:
            high = middle
    return np.int64(-1)


@njit(**BORROWED_INLINE)
def encode_answer(text, start, stop, answers, domain, targets_out, row):
    """Write one answer's code into a zeroed row; False if it does not fit."""
    kind = answers.kind[domain]
    if kind == TEXT:
        if (stop - start) * 8 > answers.n_output[domain]:
            return False
        for at in range(start, stop):
            if text[at] == 0:  # a zero byte ends the answer
                return False
        for at in range(start, stop):
            for bit in range(8):
                targets_out[row, (at - start) * 8 + bit] = (text[at] >> bit) & 1
        return True
    if kind == LABEL:
        label = find_label(text, start, stop, answers, domain)
        if label >= 0:
            targets_out[row, label] = 1.0
        return label >= 0
    if kind == REAL:
        known, value = real_number(text, start, stop)
        if not known or not abs(value - answers.mean[domain]) <= answers.reach[domain]:
            return False
        targets_out[row, 0] = (value - answers.mean[domain]) / answers.std[domain]
        return True
    ok, scaled = scaled_number(text, start, stop, answers.decimals[domain], answers.fixed[domain] != 0)
    if not ok or abs(scaled) > answers.limit[domain]:
        return False
    number_code(scaled, answers, domain, targets_out, row)
    return True


@njit(**BORROWED_INLINE)
def _copy_input(row, columns, inputs, domain, rows_out, at):
    """Write the input of a row into `rows_out` row `at`; False if it is longer than its slice or has no known field."""
    length = inputs.length[domain]
    if columns.kind[row] == 0:
        start, stop = columns.text_offset[row], columns.text_offset[row + 1]
        if inputs.valued[domain]:
            return enter_text(columns.text, start, stop, domain, inputs, rows_out, at)
        if stop - start > length:
            return False
        for i in range(stop - start):
            rows_out.tokens[at, i] = np.int32(columns.text[start + i]) + 1
        return True
    if columns.kind[row] == TABULAR:
        known, _ = enter_cells(row, domain, columns.cells, inputs.fields, rows_out.values, at)
        return known > 0
    scale, shift = inputs.scale[domain], inputs.shift[domain]
    if columns.kind[row] == 1:
        start, stop = columns.value_offset[row], columns.value_offset[row + 1]
        if stop - start > length:
            return False
        gap = length - (stop - start)  # right-aligned: the latest value always enters at the same node
        for i in range(stop - start):
            rows_out.values[at, gap + i] = (columns.values[start + i] - shift) * scale
        return True
    start, stop = columns.pixel_offset[row], columns.pixel_offset[row + 1]
    if stop - start > length:
        return False
    for i in range(stop - start):
        rows_out.values[at, i] = (columns.pixels[start + i] - shift) * scale
    return True


@njit(**BORROWED_INLINE)
def touch(rows, columns):
    """Read the first cache line of everything that the given rows need; returns a number of no meaning.

    Shuffled rows miss the cache at each column. Here the loads of different rows do not wait for each other;
    inside `encode_rows` they would.
    """
    seen = 0
    for row in rows:
        seen += columns.domain[row] + columns.kind[row] + columns.text_offset[row]
        seen += columns.value_offset[row] + columns.pixel_offset[row] + columns.answer_offset[row]
    for row in rows:
        at = columns.answer_offset[row]
        if at < columns.answer.shape[0]:
            seen += columns.answer[at]
        at = columns.text_offset[row]
        if columns.kind[row] == 0 and at < columns.text.shape[0]:
            seen += columns.text[at]
        at = columns.value_offset[row]
        if columns.kind[row] == 1 and at < columns.values.shape[0]:
            seen += columns.values[at] > 0.0
        if columns.kind[row] == 2:
            for i in range(
                columns.pixel_offset[row], min(columns.pixel_offset[row] + 64, columns.pixel_offset[row + 1]), 8
            ):
                seen += columns.pixels[i] > 0.0
    return seen


@njit(**BORROWED_INLINE)
def encode_row(row, at, columns, inputs, answers, rows_out):
    """Encode one row of `columns` into row `at` of `rows_out`, which is zeroed."""
    domain = columns.domain[row]
    rows_out.domain[at] = domain
    rows_out.n_active[at] = 0
    start, stop = columns.answer_offset[row], columns.answer_offset[row + 1]
    rows_out.answer_length[at] = code_points(columns.answer, start, stop)
    if domain < 0:
        rows_out.status[at] = UNKNOWN_DOMAIN
    elif columns.kind[row] != inputs.kind[domain]:
        rows_out.status[at] = OTHER_INPUT
    elif not _copy_input(row, columns, inputs, domain, rows_out, at):
        rows_out.status[at] = INPUT_TOO_LONG
    elif not encode_answer(columns.answer, start, stop, answers, domain, rows_out.targets, at):
        rows_out.status[at] = ANSWER_MISFIT
    else:
        rows_out.status[at] = FITS
        rows_out.n_active[at] = answers.n_output[domain]


@njit(**BORROWED)
def encode_rows(rows, columns, inputs, answers, rows_out):
    """Encode the given rows of `columns`, in the given order.

    In a random order 300 ns a row; 1050 without `touch`, inlining and BORROWED.

    rows : (n,) int64; columns : Columns; inputs : Inputs; answers : Answers
    rows_out : Rows of n rows, overwritten
    """
    for first in range(0, rows.shape[0], AHEAD):
        last = min(first + AHEAD, rows.shape[0])
        rows_out.status[first] = touch(rows[first:last], columns)
        rows_out.tokens[first:last] = 0
        rows_out.values[first:last] = 0.0
        rows_out.targets[first:last] = 0.0
        for at in range(first, last):
            encode_row(rows[at], at, columns, inputs, answers, rows_out)


@njit(**BORROWED)
def encode_answers(offset, text, answers, targets_out, fits_out):
    """Encode n answers of domain 0. offset (n + 1,) int32 into text uint8; targets_out (n, width) zeroed."""
    for i in range(fits_out.shape[0]):
        fits_out[i] = encode_answer(text, offset[i], offset[i + 1], answers, 0, targets_out, i)
