"""Opening a table of any format, and tables of text as blocks of columns.

A block is read in a thread of its own (`Job`), so a CSV of a gigabyte is read by all cores, in bounded memory. A plain
block is read by a kernel: numbers into one matrix, no Arrow array a column. Of rows with 19 numbers and 5 texts that
takes half of Arrow's time, and the numbers stand as the training format wants them.
"""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from grapheme_numba.data.file_kinds import ARROW, JSON, PARQUET, bare_name
from grapheme_numba.data.sources.tables.blocks import (
    Array,
    Block,
    Job,
    PlainNumbers,
    Refused,
    Table,
    opened,
    read,
    text_blocks,
)
from grapheme_numba.data.sources.tables.dialect import (
    SAMPLE_BYTES,
    SPACE,
    Dialect,
    dialect_of,
    likely_numbers,
    without_sentinels,
)
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.typed import ArrowTable, JsonTable, ParquetTable
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

MOST_RAGGED = 1024  # rows of a block with another number of cells; a block with more is no plain one
MOST_ODD = 4  # blocks that the kernel did not take, after which it is not tried again
ZERO_LED = re.compile(rb"[^\d.+-]0\d")  # what may begin a cell


class TextTable:
    """CSV, TSV and their kin. Plain blocks are read by a kernel, others by Arrow."""

    def __init__(self, path: Path, mapping: TableMapping):
        self.path = path
        with opened(path) as stream:
            sample = read(stream, SAMPLE_BYTES, path)
            whole = not read(stream, 1, path)
        self.dialect = dialect_of(sample, whole, path, mapping)
        self.likely = likely_numbers(sample, self.dialect)
        self.names = list(self.dialect.names)
        self.types: dict[str, pa.DataType] = {}
        self.notes = [self.dialect.sentence(path)]
        self.most_shown: int | None = 160  # characters of a refused row that are kept; None keeps all
        self._slow: set[str] = set()  # columns of numbers that Arrow's own reader of numbers does not take
        self._odd_blocks = 0  # that the kernel did not take

    def jobs(
        self, columns: Collection[str], numeric: Collection[str], exact: Collection[str]
    ) -> Iterator[tuple[Job, int]]:
        """Blocks as text cells; `numeric` columns as doubles where Arrow reads every cell of the block so."""
        header = self.dialect.header
        for data in text_blocks(self.path, self.dialect):
            yield self._job(data, header, list(columns), set(numeric)), len(data)
            header = False

    def _job(self, data: bytes, header: bool, columns: list[str], numeric: set[str]) -> Job:
        return lambda: self._read(data, header, columns, numeric)

    def _read(self, data: bytes, header: bool, columns: list[str], numeric: set[str]) -> Block:
        if numeric - self._slow and len(self.names) > 1 and self._odd_blocks < MOST_ODD and self.most_shown is not None:
            block = plain_block(data, header, columns, numeric - self._slow, self.dialect, self.most_shown)
            if block is not None:
                return block
            self._odd_blocks += 1
        return self._read_by_arrow(data, header, columns, numeric)

    def _read_by_arrow(self, data: bytes, header: bool, columns: list[str], numeric: set[str]) -> Block:
        refused: list[Refused] = []
        dialect = self.dialect

        def odd(row: pacsv.InvalidRow) -> str:
            reason = f"the row has {row.actual_columns} cells instead of {row.expected_columns}"
            refused.append(Refused(len(refused), reason, row.text[: self.most_shown]))
            numbers.append(row.number)
            return "skip"

        replaced = not is_utf8(data)
        if replaced:
            data = data.decode(errors="replace").encode()
        while True:
            numbers: list[int | None] = []
            refused.clear()
            # Numerals as 01234 may be codes: their cells are looked at as they are written.
            fast = set() if ZERO_LED.search(data) else numeric - self._slow
            try:
                table = self._parsed(data, header, columns, fast, odd)
                break
            except pa.ArrowInvalid as error:
                found = re.search(r"In CSV column #(\d+):", str(error))
                name = self.names[int(found[1])] if found and int(found[1]) < len(self.names) else None
                if name in fast:
                    self._slow.add(name)
                    continue
                raise RecordError(f"{self.path} is not a table: {str(error)[:160]}") from None
        n = table.num_rows + len(refused)
        gone = np.array([(number or 1) - 1 - header for number in numbers], np.int64)
        row = np.delete(np.arange(n), gone[gone < n]) if len(gone) else np.arange(n)
        refused = [one._replace(row=int(at) + 1) for one, at in zip(refused, gone)]
        arrays = {name: _joined(table.column(name)) for name in columns}
        if replaced:
            broken = np.zeros(table.num_rows, bool)
            for array in arrays.values():
                if pa.types.is_string(array.type):
                    broken |= pc.match_substring(array, "\ufffd").to_numpy(zero_copy_only=False)
            why = "the row is not UTF-8; if the file is not, name its --encoding, as cp1252"
            refused += [Refused(int(row[i]) + 1, why, "") for i in np.flatnonzero(broken)]
            arrays = {name: array.filter(pa.array(~broken)) for name, array in arrays.items()}
            row = row[~broken]
        sign = dialect.delimiter[:1].encode()
        blanks = sign + b" " in data or b" " + sign in data or b" \n" in data or b"\n " in data
        for name, array in arrays.items():
            if pa.types.is_string(array.type):
                arrays[name] = without_marks(array, dialect, blanks)
            else:
                arrays[name] = without_sentinels(array, dialect)
        return Block(arrays, row, n, sorted(refused))

    def _parsed(self, data: bytes, header: bool, columns: list[str], fast: set[str], odd: Callable[[Any], str]) -> Any:
        types = {name: pa.float64() if name in fast else pa.string() for name in columns}
        dialect = self.dialect
        reading = pacsv.ReadOptions(
            column_names=self.names, skip_rows=int(header), use_threads=False, block_size=len(data) + 1
        )
        if header:
            reading = pacsv.ReadOptions(
                column_names=self.names, skip_rows_after_names=1, use_threads=False, block_size=len(data) + 1
            )
        parsing = pacsv.ParseOptions(
            delimiter="\t" if dialect.delimiter == SPACE else dialect.delimiter,
            newlines_in_values=b'"' in data,
            ignore_empty_lines=len(self.names) > 1,
            invalid_row_handler=odd,
        )
        converting = pacsv.ConvertOptions(
            column_types=types,
            include_columns=columns,
            null_values=[*dialect.missing, *dialect.missing_number],
            strings_can_be_null=False,
            decimal_point=dialect.decimal,
            check_utf8=False,
        )
        return pacsv.read_csv(pa.BufferReader(data), reading, parsing, converting)


def without_marks(cells: pa.StringArray, dialect: Dialect, blanks: bool) -> pa.StringArray:
    """Cells with null for the marks of missing ones. `blanks` : some cells may have blanks around them."""
    marks = pa.array(dialect.missing, pa.string())
    missing = pc.is_in(pc.utf8_trim_whitespace(cells) if blanks else cells, marks)
    if pc.any(missing, min_count=0).as_py():
        return pc.if_else(missing, pa.scalar(None, pa.string()), cells)
    return cells


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    try:
        return data.isascii() or bool(data.decode()) or True
    except UnicodeDecodeError:
        return False


def _joined(column: pa.ChunkedArray) -> Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def plain_block(
    data: bytes, header: bool, columns: list[str], numeric: set[str], dialect: Dialect, shown: int
) -> Block | None:
    """The block that the kernel reads; None where a cell or row is not plain, so that Arrow's reader has to.

    Both give the same rows. shown : characters of a refused row that are kept
    """
    from grapheme_numba.kernels.codec import table_cells as kernel

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
    for number in dialect.sentinels:
        values[values == number] = np.nan
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
    from grapheme_numba.kernels.codec import table_cells as kernel

    offset = np.empty(len(start) + 1, np.int32)
    kernel.text_sizes(start, stop, offset)
    text = np.empty(offset[-1], np.uint8)
    kernel.gather_texts(data, start, offset, text)
    return pa.StringArray.from_buffers(len(start), pa.py_buffer(offset), pa.py_buffer(text))


def open_table(path: Path, mapping: TableMapping) -> Table:
    """Open a table by the end of its name. Raises MissingInputError, UsageError, RecordError."""
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; give a .csv, .tsv, .parquet, .arrow or .jsonl file")
    if not path.is_file():
        raise UsageError(f"{path} is no ordinary file; a table is read twice, so write it to one first")
    if not path.stat().st_size:
        raise RecordError(f"{path} is empty; a row of names and at least one row of cells are needed")
    name = bare_name(path)
    if name.endswith(PARQUET):
        return ParquetTable(path, mapping)
    if name.endswith(ARROW):
        return ArrowTable(path, mapping)
    if name.endswith(JSON):
        return JsonTable(path, mapping)
    with open(path, "rb") as file:
        start = file.read(6)
    if start[:4] == b"PAR1":
        return ParquetTable(path, mapping)
    if start == b"ARROW1":
        return ArrowTable(path, mapping)
    return TextTable(path, mapping)


def unusable(kind: pa.DataType) -> str:
    """What a column of a type that no input takes holds, in a word."""
    return f"{str(kind)[:60]}, which no input takes"
