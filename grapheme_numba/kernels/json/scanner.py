"""JSONL to columns: one pass over the bytes of a block of lines.

A line is accepted only when it is sure to be a MixedExample; everything unusual (an unknown field, a very long
number, anything wrong) is left to `parse_example` in `data/records.py`. `test_json_lines.py` compares the two.

The three functions that take the many arrays of `Out` are inlined: handing them over by calls cost a quarter
of the time.

Metadata checked without being built: its grammar, its depth, and that no object has a key twice.

As in `json_text`, a function returns the position after its piece, or -1 when it is unsure.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import BORROWED, BORROWED_INLINE
from grapheme_numba.kernels.json.numerals import EXACT, TENS, numeral_bits, read_numeral
from grapheme_numba.kernels.json.text import read_string, skip_space, utf8_size

MOST_DEPTH, MOST_KEYS, MOST_VALUES = 16, 64, 65_536  # of metadata that is checked here
TRUE, FALSE, NULL = (np.frombuffer(word, np.uint8).copy() for word in (b"true", b"false", b"null"))


@njit(**BORROWED)
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


@njit(**BORROWED)
def _matches(data, at, word):
    """Whether the bytes at `data[at]` are those of a word."""
    same = True
    for i in range(word.shape[0]):
        same = same and data[at + i] == word[i]
    return same


@njit(**BORROWED)
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


@njit(**BORROWED)
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


@njit(**BORROWED)
def skip_object(data, at, keys, levels):
    """The end of the metadata object that starts at `data[at]`, its grammar and keys checked.

    keys : (MOST_KEYS, 2) int64 and levels : (MOST_DEPTH,) int64, scratch. Keys with escapes, more keys or
    more depth than there is room for, and more than MOST_VALUES values, end in -1.
    """
    if data[at] != 123:
        return -1
    depth, count, n_value = -1, 0, 0  # levels[depth]: first key of an open object, -1 for an open list
    while n_value < MOST_VALUES:
        n_value += 1
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
    return -1


LARGEST = 3.4028234663852886e38  # of float32
MOST_SIDE = 65_535
ACCEPTED, BLANK, UNSURE = 0, 1, 2
ID, DOMAIN, INPUT_TYPE, INPUT, ANSWER, METADATA = 1, 2, 4, 8, 16, 32
TEXT, VALUES, WIDTH, HEIGHT, PIXELS = 1, 2, 4, 8, 16
_WORDS = [b"id", b"domain", b"input_type", b"input", b"expected_output", b"metadata"]
_PARTS = [b"text", b"values", b"width", b"height", b"pixels"]
_KINDS = [b"text", b"sequence", b"image"]
WORDS, PARTS, KINDS = (np.frombuffer(b"".join(words), np.uint8).copy() for words in (_WORDS, _PARTS, _KINDS))
WORD_ENDS, PART_ENDS, KIND_ENDS = (np.cumsum([0, *map(len, words)]) for words in (_WORDS, _PARTS, _KINDS))


class Out(NamedTuple):
    """The columns that `scan_lines` fills; offsets are (row + 1,) int32, sizes those of the block's bytes.

    id, text, answer, metadata : uint8 with `*_offset`; values : float64 and `value_bits` uint64, the same
    memory, with `value_offset`; pixels are values too: `is_image` tells
    domain : (row,) int32 into `domains`, a table (n, 2) int64 of (start, stop) in the block's bytes
    kind, width, height : (row,) int32; has_metadata : (row,) uint8
    line_start : (line + 1,) int64, line_status : (line,) uint8
    """

    id: np.ndarray
    id_offset: np.ndarray
    text: np.ndarray
    text_offset: np.ndarray
    answer: np.ndarray
    answer_offset: np.ndarray
    metadata: np.ndarray
    metadata_offset: np.ndarray
    values: np.ndarray
    value_bits: np.ndarray
    value_offset: np.ndarray
    domain: np.ndarray
    domains: np.ndarray
    kind: np.ndarray
    width: np.ndarray
    height: np.ndarray
    line_start: np.ndarray
    line_status: np.ndarray


@njit(**BORROWED)
def word_at(data, at, words, ends):
    """(end, which): the string at `data[at]`, if it is one of the words, and the position after it."""
    if data[at] != 34:
        return -1, -1
    for which in range(ends.shape[0] - 1):
        size = ends[which + 1] - ends[which]
        i = 0
        while i < size and data[at + 1 + i] == words[ends[which] + i]:
            i += 1
        if i == size and data[at + 1 + size] == 34:
            return at + size + 2, which
    return -1, -1


@njit(**BORROWED_INLINE)
def read_values(data, at, most, out, size):
    """Append a list of numbers to `out.values` at `size`: (end, new size). At least 1 and at most `most`."""
    if data[at] != 91:
        return -1, size
    first = size
    while True:
        at = skip_space(data, at + 1)
        at, negative, digits, power, whole = read_numeral(data, at)
        if at < 0 or size - first == most:
            return -1, size
        if digits < EXACT and -22 <= power <= 0:
            value = np.float64(digits) / TENS[-power]
            out.values[size] = -value if negative and (digits > 0 or not whole) else value  # -0 is the integer 0
        elif whole:  # no double may hold it; `parse_example` keeps it as it is written
            return -1, size
        else:
            ok, out.value_bits[size] = numeral_bits(negative, digits, power)
            if not ok or not abs(out.values[size]) <= LARGEST:
                return -1, size
        size += 1
        at = skip_space(data, at)
        if data[at] == 93:
            return at + 1, size
        if data[at] != 44:
            return -1, size


@njit(**BORROWED)
def read_side(data, at):
    """(end, number): an integer from 1 to MOST_SIDE."""
    end, negative, digits, _, whole = read_numeral(data, at)
    if end < 0 or negative or not whole or digits < 1 or digits > MOST_SIDE:
        return -1, 0
    return end, np.int64(digits)


@njit(**BORROWED_INLINE)
def read_input(data, at, most, row, out):
    """Read the input object of a row: (end, parts seen, its text's end, its values' end)."""
    text_end, value_end, seen = out.text_offset[row], out.value_offset[row], 0
    if data[at] != 123:
        return -1, 0, text_end, value_end
    while True:
        at, which = word_at(data, skip_space(data, at + 1), PARTS, PART_ENDS)
        if at < 0 or seen & 1 << which:
            return -1, 0, text_end, value_end
        seen |= 1 << which
        at = skip_space(data, at)
        if data[at] != 58:
            return -1, 0, text_end, value_end
        at = skip_space(data, at + 1)
        if which == 0:
            at, text_end = read_string(data, at, out.text, text_end)
        elif which == 2:
            at, out.width[row] = read_side(data, at)
        elif which == 3:
            at, out.height[row] = read_side(data, at)
        else:
            at, value_end = read_values(data, at, most, out, value_end)
        if at < 0:
            return -1, 0, text_end, value_end
        at = skip_space(data, at)
        if data[at] == 125:
            return at + 1, seen, text_end, value_end
        if data[at] != 44:
            return -1, 0, text_end, value_end


@njit(**BORROWED)
def find_domain(data, start, stop, domains, n_domain):
    """(index, new number of domains): the domain's place in the table; -1 when the table is full."""
    for i in range(n_domain):
        if known_key(data, start, stop, domains, i, i + 1):
            return i, n_domain
    if n_domain == domains.shape[0]:
        return -1, n_domain
    domains[n_domain, 0], domains[n_domain, 1] = start, stop
    return n_domain, n_domain + 1


@njit(**BORROWED_INLINE)
def read_record(data, at, most, nameless, row, n_domain, scratch, out):
    """Read one record into row `row`: (end, new number of domains). The end is that of its last brace."""
    keys, levels = scratch
    seen, parts, kind = 0, 0, -1
    id_end, answer_end, metadata_end = out.id_offset[row], out.answer_offset[row], out.metadata_offset[row]
    text_end, value_end = out.text_offset[row], out.value_offset[row]
    if data[at] != 123:
        return -1, n_domain
    while True:
        at, which = word_at(data, skip_space(data, at + 1), WORDS, WORD_ENDS)
        if at < 0 or seen & 1 << which:
            return -1, n_domain
        seen |= 1 << which
        at = skip_space(data, at)
        if data[at] != 58:
            return -1, n_domain
        at = skip_space(data, at + 1)
        start = at
        if which == 0:
            at, id_end = read_string(data, at, out.id, id_end)
        elif which == 1:
            at = skip_string(data, at) if data[at] == 34 else -1
            for i in range(start, at):
                if data[i] == 92:
                    return -1, n_domain
            if at >= 0:
                out.domain[row], n_domain = find_domain(data, start + 1, at - 1, out.domains, n_domain)
                if at - start == 2 or out.domain[row] < 0:
                    return -1, n_domain
        elif which == 2:
            at, kind = word_at(data, at, KINDS, KIND_ENDS)
        elif which == 3:
            at, parts, text_end, value_end = read_input(data, at, most, row, out)
        elif which == 4:
            at, answer_end = read_string(data, at, out.answer, answer_end)
        else:
            at = skip_object(data, at, keys, levels)
            for i in range(start, at):
                out.metadata[metadata_end] = data[i]
                metadata_end += 1
        if at < 0:
            return -1, n_domain
        at = skip_space(data, at)
        if data[at] == 125:
            break
        if data[at] != 44:
            return -1, n_domain
    if nameless and seen & DOMAIN == 0:
        out.domain[row], n_domain = find_domain(data, 0, 0, out.domains, n_domain)
        seen |= DOMAIN * (out.domain[row] >= 0)
    if seen & 31 != 31:
        return -1, n_domain
    wanted = TEXT if kind == 0 else VALUES if kind == 1 else WIDTH | HEIGHT | PIXELS
    n_value = value_end - out.value_offset[row]
    if parts != wanted or (kind == 2 and out.width[row] * out.height[row] != n_value):
        return -1, n_domain
    out.kind[row] = kind
    out.id_offset[row + 1], out.text_offset[row + 1], out.answer_offset[row + 1] = id_end, text_end, answer_end
    out.metadata_offset[row + 1], out.value_offset[row + 1] = metadata_end, value_end
    return at + 1, n_domain


@njit(**BORROWED)
def scan_lines(data, most_bytes, most_numbers, nameless, scratch, out):
    """Read a block of lines: (lines, rows, domains).

    data : uint8, ends in a line feed; a line of more bytes or numbers is unsure; nameless : bool, take lines
    without a domain, as of an empty one; scratch : (keys (MOST_KEYS, 2) int64, levels (MOST_DEPTH,) int64)
    """
    at, line, row, n_domain = 0, 0, 0, 0
    while at < data.shape[0]:
        out.line_start[line] = at
        first = skip_space(data, at)
        if data[first] == 10:
            out.line_status[line] = BLANK
            at = first + 1
        else:
            end, n_domain = read_record(data, first, most_numbers, nameless, row, n_domain, scratch, out)
            if end >= 0:
                end = skip_space(data, end)
            if end >= 0 and data[end] == 10 and end - at <= most_bytes:
                out.line_status[line] = ACCEPTED
                row += 1
                at = end + 1
            else:
                out.line_status[line] = UNSURE
                while data[at] != 10:
                    at += 1
                at += 1
        line += 1
    out.line_start[line] = at
    return line, row, n_domain
