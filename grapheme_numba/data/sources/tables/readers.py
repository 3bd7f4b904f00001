"""Tables of every format as blocks of columns: text where the file holds text, numbers where its types say so.

A block is read in a thread of its own (`Job`), so a CSV of a gigabyte is read by all cores, in bounded memory.
"""

import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from grapheme_numba.data.sources.tables.dialect import SAMPLE_BYTES, SPACE, Dialect, dialect_of, likely_numbers
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.streams import opened, read, text_blocks
from grapheme_numba.errors import RecordError

MOST_ODD = 4  # blocks that the kernel did not take, after which it is not tried again
Array: TypeAlias = Any  # pa.Array, which has no types to check by


class Refused(NamedTuple):
    """A row that cannot be used: its number from 1, the reason, and how it starts."""

    row: int
    reason: str
    start: str


ZERO_LED = re.compile(rb"[^\d.+-]0\d")  # what may begin a cell


class PlainNumbers(NamedTuple):
    """Columns of numbers side by side.

    names : of the columns; values : (n, n_column) float64, NaN where missing
    missing, low, high, fraction, padded : (n_column,), count, range, and counts of numbers with a fraction and of
        numerals that begin with 0 before another digit
    """

    names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    missing: npt.NDArray[np.int64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    fraction: npt.NDArray[np.int64]
    padded: npt.NDArray[np.int64]


class Block(NamedTuple):
    """Some rows, one after the other.

    columns : name -> Arrow array of strings (null where missing in any column), of doubles (null where missing),
        or of another type that the file says
    row : (n,) int64, number of each row in the block, from 0; n : of rows with those that were refused
    numbers : columns of numbers that were read row by row; they are not in `columns`
    """

    columns: dict[str, Array]
    row: npt.NDArray[np.int64]
    n: int
    refused: list[Refused]
    numbers: PlainNumbers | None = None


Job = Callable[[], Block]


class Table(Protocol):
    """An open table. `types` has the Arrow types that the file says, by name; none for text."""

    path: Path
    names: list[str]
    types: dict[str, pa.DataType]
    dialect: Dialect
    notes: list[str]

    def jobs(
        self, columns: Collection[str], numeric: Collection[str], exact: Collection[str]
    ) -> Iterator[tuple[Job, int]]:
        """(reader of the next block, bytes of the file that it stands for).

        `numeric` columns may come as doubles, `exact` ones come as text, as they are written.
        """
        ...


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
            from grapheme_numba.data.sources.tables.plain_blocks import plain_block

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
        blanks = sign + b" " in data or b" " + sign in data or b" \n" in data
        for name, array in arrays.items():
            if pa.types.is_string(array.type):
                arrays[name] = without_marks(array, dialect, blanks)
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
