"""A table that is to be answered, and its rows given back with columns added.

Each block stays as its file has it, beside the examples that are made of its rows; it is written as CSV, TSV, JSONL or
Parquet.
"""

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grapheme_numba.data.file_kinds import PARQUET
from grapheme_numba.data.sources.tables.blocks import Block, Table
from grapheme_numba.data.sources.tables.dialect import SPACE
from grapheme_numba.data.sources.tables.mapping import TableMapping, refuse_twice
from grapheme_numba.data.sources.tables.readers import TextTable, open_table
from grapheme_numba.data.sources.tables.row_examples import Form, Made, examples_of
from grapheme_numba.data.sources.tables.typed import ArrowTable, JsonTable, ParquetTable
from grapheme_numba.errors import UsageError

WHOLE, DECIMAL = r"^-?(0|[1-9]\d{0,17})$", r"^-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?$"
Rows: TypeAlias = Any  # a RecordBatch, or a list of JSON values: the rows of a block as they were given
Written: TypeAlias = Literal["csv", "tsv", "jsonl", "parquet"]
FORMATS: dict[str, Written] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", **dict.fromkeys(PARQUET, "parquet")}
NOT_WRITTEN = (".gz", ".zst", ".json", ".arrow", ".arrows", ".feather", ".ipc", ".xlsx", ".xls", ".txt")
ANSWER, CONFIDENCE = "answer", "confidence"


class Given(NamedTuple):
    """A block: all of its rows, as given; the examples of those that can be used; the number of rows before it."""

    rows: Rows
    made: Made
    before: int


class GivenTable:
    """An open table whose rows go back to their user.

    names : its columns; notes : what was found out about its file
    plain : whether the file is text, whose cells have no types
    """

    def __init__(self, path: Path, mapping: TableMapping):
        self.path, self.table = path, open_table(path, mapping)
        self.names, self.notes = list(self.table.names), list(self.table.notes)
        refuse_twice(self.names, path)
        self.dialect = self.table.dialect
        self.plain = isinstance(self.table, TextTable)
        self._as_written: TextTable | None = None
        if isinstance(self.table, TextTable):
            self._as_written = TextTable(path, mapping)
            self._as_written.dialect = msgspec.structs.replace(
                self.dialect, missing=(), missing_number=(), sentinels=()
            )
            self._as_written.most_shown = None

    @property
    def delimiter(self) -> str | None:
        """The sign between the cells of a file of text, None for other files and for blanks."""
        return None if not self.plain or self.dialect.delimiter == SPACE else self.dialect.delimiter

    def blocks(self, form: Form, domain: str) -> Iterator[Given]:
        """The blocks in order. `domain` : for rows without a column that names it. Raises RecordError."""
        used, before = form.roles.used, 0
        exact = set(used) - set(form.roles.inputs)
        numeric = {name for name in form.roles.inputs if form.kinds[name] == "number"}
        for rows, block in self._pairs(used, exact, numeric if form.input_type == "tabular" else set()):
            yield Given(rows, examples_of(block, form, self.dialect, domain), before)
            before += block.n

    def _pairs(
        self, used: list[str], exact: Collection[str], numeric: Collection[str] = ()
    ) -> Iterator[tuple[Rows, Block]]:
        table: Table = self.table
        if isinstance(table, ParquetTable | ArrowTable):
            for batch in table.batches():
                yield batch, table.block(batch.select(used), exact)
            return
        if isinstance(table, JsonTable):
            for objects in table.row_blocks():
                yield objects, table.block(objects, used)
            return
        if self._as_written is not None:
            both = zip(self._as_written.jobs(self.names, (), ()), table.jobs(used, numeric, exact), strict=True)
            for (written, _), (read, _) in both:
                yield self._complete(written()), read()

    def _complete(self, block: Block) -> pa.RecordBatch:
        """All rows of a block of text, those that were refused in their places, with the cells that they have."""
        arrays = [block.columns[name] for name in self.names]
        if not block.refused:
            return pa.RecordBatch.from_arrays(arrays, names=self.names)
        cells: list[list[str | None]] = [[""] * block.n for _ in self.names]
        for column, array in zip(cells, arrays):
            for place, cell in zip(block.row.tolist(), array.to_pylist()):
                column[place] = cell
        sign = "\t" if self.dialect.delimiter == SPACE else self.dialect.delimiter
        for one in block.refused:
            for column, cell in zip(cells, next(csv.reader([one.start], delimiter=sign), [])):
                column[one.row - 1] = cell
        return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in cells], names=self.names)

    def given_rows(self) -> Iterator[Rows]:
        """The blocks as given, without examples."""
        for rows, _ in self._pairs(self.names[:1], self.names[:1]):
            yield rows

    def schema(self) -> pa.Schema:
        """The types that the columns have, or that all cells of a file of text or JSON have (one pass over it)."""
        if isinstance(self.table, ParquetTable | ArrowTable):
            return pa.schema([pa.field(name, self.table.types[name]) for name in self.names])
        kinds: dict[str, set[str]] = {name: set() for name in self.names}
        for rows in self.given_rows():
            for name, found in kinds.items():
                if found != {"text"}:
                    found |= self._kinds_of(rows, name)
        return pa.schema([pa.field(name, _type_of(found)) for name, found in kinds.items()])

    def _kinds_of(self, rows: Rows, name: str) -> set[str]:
        if isinstance(rows, list):
            cells = (row.get(name) for row in rows if isinstance(row, dict))
            return {_kind_of_value(cell) for cell in cells if cell is not None}
        cells = _without_marks(rows.column(name), self.dialect.missing)
        cells = cells.drop_null()
        if pc.all(pc.match_substring_regex(cells, WHOLE), min_count=0).as_py():
            return {"whole"} if len(cells) else set()
        if pc.all(pc.match_substring_regex(cells, DECIMAL), min_count=0).as_py():
            return {"number"}
        return {"text"}

    def typed(self, rows: Rows, schema: pa.Schema) -> pa.RecordBatch:
        """The rows of a block with the types of `schema`."""
        if isinstance(rows, list):
            objects = [row if isinstance(row, dict) else {} for row in rows]
            arrays = [pa.array([_value_as(row.get(f.name), f.type) for row in objects], f.type) for f in schema]
            return pa.RecordBatch.from_arrays(arrays, schema=schema)
        if not self.plain:
            return rows
        arrays = []
        for field in schema:
            cells = rows.column(field.name)
            if not pa.types.is_string(field.type):
                cells = pc.cast(_without_marks(cells, self.dialect.missing), field.type)
            arrays.append(cells)
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _without_marks(cells: pa.StringArray, marks: Collection[str]) -> pa.StringArray:
    """Null where a cell is missing."""
    missing = pc.is_in(cells, pa.array([*marks], pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), cells)


def _kind_of_value(cell: object) -> str:
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int):
        return "whole" if -(2**63) <= cell < 2**63 else "text"
    return "number" if isinstance(cell, float) else "text"


def _type_of(kinds: set[str]) -> pa.DataType:
    """The type that holds every cell of these kinds as it is; text where none does."""
    if kinds == {"whole"}:
        return pa.int64()
    if kinds in ({"number"}, {"number", "whole"}):
        return pa.float64()
    return pa.bool_() if kinds == {"boolean"} else pa.string()


def _value_as(cell: object, kind: pa.DataType) -> object:
    if cell is None or not pa.types.is_string(kind):
        return cell
    return cell_text(cell)


def cell_text(cell: object) -> str:
    """A cell as text: nothing where it is missing, JSON for what is nested, `true` and `false`."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, bytes):
        return cell.decode(errors="backslashreplace")
    if isinstance(cell, dict | list):
        return json.dumps(cell, ensure_ascii=False, default=cell_text)
    return str(cell)


def is_number(cell: str) -> bool:
    """Whether a cell is a number as JSON writes it."""
    return re.match(DECIMAL, cell) is not None


def missing_cells(given: Given, form: Form) -> dict[str, int]:
    """Column -> missing cells of a block's examples; columns without one are left out."""
    if form.input_type != "tabular" or not given.made.batch.num_rows:
        return {}
    found: dict[str, int] = {}
    for names, column in ((form.numbers, "numbers"), (form.categories, "categories")):
        cells = given.made.batch.column(column).flatten()
        gaps = pc.is_null(cells, nan_is_null=True).to_numpy(zero_copy_only=False).reshape(-1, max(len(names), 1))
        found.update(zip(names, gaps.sum(axis=0).tolist()))
    return {name: n for name, n in found.items() if n}


def unseen_categories(given: Given, form: Form, known: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, str]]:
    """Column -> (cells, the first of them) of the examples' categories that are none of `known`; none is left out."""
    names = form.categories
    if form.input_type != "tabular" or not names or not given.made.batch.num_rows:
        return {}
    flat, found = given.made.batch.column("categories").values, {}
    for place, name in enumerate(names):
        cells = flat.take(pa.array(range(place, len(flat), len(names)))).drop_null()
        strange = cells.filter(pc.invert(pc.is_in(cells, pa.array(known[name], pa.string()))))
        if len(strange):
            found[name] = len(strange), strange[0].as_py()
    return found


def format_of(target: str | None, table: GivenTable | None) -> Written:
    """The format of a file by its suffix, JSONL where that says nothing; on standard output CSV for a table of text.

    Raises UsageError for the suffix of a format that is not written.
    """
    if target is None or target == "-":
        return "csv" if table is not None and table.plain else "jsonl"
    suffix = Path(target).suffix.lower()
    if suffix in NOT_WRITTEN:
        raise UsageError(f"--output {target}: answers are written as .csv, .tsv, .parquet or .jsonl; name it so")
    return FORMATS.get(suffix, "jsonl")


def free_names(wanted: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The wanted names, with a number where a column has that name: `answer_2`."""
    found: list[str] = []
    for name in wanted:
        free, number = name, 2
        while free in taken or free in found:
            free, number = f"{name}_{number}", number + 1
        found.append(free)
    return found


class AnswerWriter:
    """Writes blocks of rows into a binary file; `close` ends a Parquet file, and leaves `file` open.

    table : whose rows are written; None where the added columns are all there is
    numbers : the added columns whose cells are numbers; in Parquet they are doubles, else strings
    """

    def __init__(
        self, file: BinaryIO, kind: Written, table: GivenTable | None, added: Sequence[str], numbers: Sequence[str]
    ):
        self.file, self.kind, self.table, self.added, self.numbers = file, kind, table, list(added), set(numbers)
        self.names = [] if table is None else table.names
        self._schema: pa.Schema | None = None
        if table is not None and kind in ("jsonl", "parquet"):
            self._schema = table.schema()
        self._parquet: pq.ParquetWriter | None = None
        plain = table is not None and table.plain
        self._comma = kind in ("csv", "tsv") and table is not None and plain and table.dialect.decimal == ","
        if kind == "parquet":
            types = [pa.float64() if name in self.numbers else pa.string() for name in self.added]
            schema = pa.schema([*(self._schema or ()), *map(pa.field, self.added, types)])
            self._parquet = pq.ParquetWriter(file, schema, compression="zstd")
        elif kind != "jsonl" and not (table is not None and plain and not table.dialect.header):
            self._lines([[*self.names, *self.added]])

    def write(self, rows: Rows, added: Mapping[str, Sequence[Any]]) -> None:
        """Write one block: its rows, and the cells of the added columns, None where there is none."""
        if self._parquet is not None:
            self._write_parquet(rows, added)
        elif self.kind == "jsonl":
            self._write_objects(rows, added)
        else:
            columns = [*self._texts(rows), *(self._shown(name, added[name]) for name in self.added)]
            self._lines(zip(*columns, strict=True))

    def close(self) -> None:
        """End the file's format."""
        if self._parquet is not None:
            self._parquet.close()

    def _lines(self, rows: Any) -> None:
        sign = "\t" if self.kind == "tsv" else ","
        if self.kind == "csv" and self.table is not None and self.table.delimiter not in (None, "\t"):
            sign = self.table.delimiter or sign
        text = io.StringIO()
        csv.writer(text, delimiter=sign, lineterminator="\n").writerows(rows)
        self.file.write(text.getvalue().encode())

    def _shown(self, name: str, cells: Sequence[Any]) -> list[str]:
        shown = [cell_text(cell) for cell in cells]
        return [cell.replace(".", ",") for cell in shown] if self._comma and name in self.numbers else shown

    def _texts(self, rows: Rows) -> list[list[str]]:
        if isinstance(rows, list):
            objects = [row if isinstance(row, dict) else {} for row in rows]
            return [[cell_text(row.get(name)) for row in objects] for name in self.names]
        return [[cell_text(cell) for cell in _values(column)] for column in rows.columns]

    def _write_parquet(self, rows: Rows, added: Mapping[str, Sequence[Any]]) -> None:
        parquet = self._parquet
        if parquet is None:
            return
        arrays = []
        if self.table is not None and self._schema is not None:
            arrays += self.table.typed(rows, self._schema).columns
        for name in self.added:
            cells = added[name]
            if name in self.numbers:
                arrays.append(pa.array([None if cell is None else float(cell) for cell in cells], pa.float64()))
            else:
                arrays.append(pa.array(cells, pa.string()))
        parquet.write_batch(pa.RecordBatch.from_arrays(arrays, schema=parquet.schema))

    def _write_objects(self, rows: Rows, added: Mapping[str, Sequence[Any]]) -> None:
        if not isinstance(rows, list) and self.table is not None and self._schema is not None:
            batch = self.table.typed(rows, self._schema)
            columns = [_values(column) for column in batch.columns]
            rows = [dict(zip(self.names, cells, strict=True)) for cells in zip(*columns, strict=True)]
        more = zip(*(added[name] for name in self.added), strict=True)
        lines = []
        for row, cells in zip(rows, more, strict=True):
            whole = {**(row if isinstance(row, dict) else {}), **dict(zip(self.added, cells, strict=True))}
            lines.append(_line(whole))
        self.file.write(b"".join(lines))


def _line(row: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(row) + b"\n"
    except (OverflowError, TypeError, ValueError):  # a whole number beyond 64 bits, a type that JSON does not have
        return json.dumps(row, ensure_ascii=False, default=cell_text).encode() + b"\n"


def _values(column: Any) -> list[Any]:
    """Cells as plain values: times as text, and floats of few bits with the digits that they are written with."""
    types, kind = pa.types, column.type
    if types.is_temporal(kind) or types.is_float32(kind):
        try:
            text = pc.cast(column, pa.string())
            column = pc.cast(text, pa.float64()) if types.is_float32(kind) else text
        except pa.ArrowException:
            return column.to_pylist()
    return column.to_pylist()
