"""Blocks of plain CSV, read by a kernel: numbers into one matrix, no Arrow array a column.

A block with anything that is not plain is left to Arrow's reader, and both give the same rows. Of rows with 19 numbers
and 5 texts the kernel takes half of Arrow's time, and the numbers stand as the training format wants them.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.sources.tables.dialect import SPACE, Dialect
from grapheme_numba.data.sources.tables.readers import Block, PlainNumbers, Refused, is_utf8, without_marks
from grapheme_numba.kernels.codec import table_cells as kernel

MOST_RAGGED = 1024  # rows of a block with another number of cells; a block with more is no plain one


def plain_block(
    data: bytes, header: bool, columns: list[str], numeric: set[str], dialect: Dialect, shown: int
) -> Block | None:
    """The block that the kernel reads; None where a cell or row is not plain.

    shown : characters of a refused row that are kept
    """
    if not data.endswith(b"\n") or not is_utf8(data):
        return None
    first = _after_header(data) if header else 0
    n_row = data.count(b"\n")
    numbers = tuple(name for name in columns if name in numeric)
    texts = tuple(name for name in columns if name not in numeric)
    number_of = {name: index for index, name in enumerate(dialect.names)}
    role, place = np.zeros(len(number_of), np.int8), np.zeros(len(number_of), np.int32)
    for kind, own in ((kernel.NUMBER, numbers), (kernel.TEXT, texts)):
        for index, name in enumerate(own):
            role[number_of[name]], place[number_of[name]] = kind, index
    values = np.empty((n_row, len(numbers)))
    out = kernel.Cells(
        numbers=values,
        bits=values.view(np.uint64),
        start=np.empty((n_row, len(texts)), np.int32),
        stop=np.empty((n_row, len(texts)), np.int32),
        row=np.empty(n_row, np.int32),
        odd=np.empty((min(n_row, MOST_RAGGED), 4), np.int32),
        blanks=np.zeros(1, np.int64),
        missing=np.zeros(len(numbers), np.int64),
        low=np.full(len(numbers), np.inf),
        high=np.full(len(numbers), -np.inf),
        fraction=np.zeros(len(numbers), np.int64),
        padded=np.zeros(len(numbers), np.int64),
    )
    raw = np.frombuffer(data, np.uint8)
    signs = ord("\t" if dialect.delimiter == SPACE else dialect.delimiter), ord(dialect.decimal)
    marks = [mark.encode() for mark in (*dialect.missing, *dialect.missing_number) if mark]
    wanted = kernel.Wanted(
        role,
        place,
        np.array(signs, np.uint8),
        np.frombuffer(b"".join(marks) + b"\n", np.uint8),
        np.cumsum([0, *map(len, marks)]),
    )
    m, n_odd, column = kernel.read_cells(raw, first, wanted, out)
    if column >= 0:
        return None
    values = values[:m]
    kernel.add_facts(values, m, out)
    arrays = {}
    for index, name in enumerate(texts):
        start, stop = np.ascontiguousarray(out.start[:m, index]), np.ascontiguousarray(out.stop[:m, index])
        arrays[name] = without_marks(_gathered(raw, start, stop), dialect, bool(out.blanks[0]))
    refused = [
        Refused(row + 1, f"the row has {cells} cells instead of {len(number_of)}", _shown(data[begin:end], shown))
        for row, cells, begin, end in out.odd[:n_odd].tolist()
    ]
    plain = PlainNumbers(numbers, values, out.missing, out.low, out.high, out.fraction, out.padded)
    return Block(arrays, out.row[:m].astype(np.int64), m + n_odd, refused, plain)


def _after_header(data: bytes) -> int:
    """Where the second row starts: the first line that closes the quotes it opens ends the first one."""
    at = 0
    while True:
        at = data.index(b"\n", at) + 1
        if data.count(b'"', 0, at) % 2 == 0 or at == len(data):
            return at


def _shown(row: bytes, most: int) -> str:
    return row.decode().rstrip("\r\n")[:most]


def _gathered(data: npt.NDArray[np.uint8], start: npt.NDArray[np.int32], stop: npt.NDArray[np.int32]) -> pa.StringArray:
    """The texts between start and stop, (n,) each."""
    offset = np.empty(len(start) + 1, np.int32)
    kernel.text_sizes(start, stop, offset)
    text = np.empty(offset[-1], np.uint8)
    kernel.gather_texts(data, start, offset, text)
    return pa.StringArray.from_buffers(len(start), pa.py_buffer(offset), pa.py_buffer(text))
