"""A table that is to be answered: each block as its file has it, beside the examples that are made of its rows."""

import csv
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.sources.tables.dialect import SPACE
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.open_table import open_table
from grapheme_numba.data.sources.tables.readers import Block, Table, TextTable
from grapheme_numba.data.sources.tables.row_examples import Form, Made, examples_of
from grapheme_numba.data.sources.tables.typed import ArrowTable, JsonTable, ParquetTable

WHOLE, DECIMAL = r"^-?(0|[1-9]\d{0,17})$", r"^-?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?$"
Rows: TypeAlias = Any  # a RecordBatch, or a list of JSON values: the rows of a block as they were given


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
        self.dialect = self.table.dialect
        self.plain = isinstance(self.table, TextTable)
        self._as_written: TextTable | None = None
        if isinstance(self.table, TextTable):
            self._as_written = TextTable(path, mapping)
            self._as_written.dialect = msgspec.structs.replace(self.dialect, missing=(), missing_number=())
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


def unseen_categories(given: Given, form: Form, known: dict[str, tuple[str, ...]]) -> dict[str, tuple[int, str]]:
    """Column -> (cells, the first of them) of the examples' categories that are none of `known`; none is left out."""
    names = [name for name in form.roles.inputs if form.kinds[name] != "number"]
    if form.input_type != "tabular" or not names or not given.made.batch.num_rows:
        return {}
    flat, found = given.made.batch.column("categories").values, {}
    for place, name in enumerate(names):
        cells = flat.take(pa.array(range(place, len(flat), len(names)))).drop_null()
        strange = cells.filter(pc.invert(pc.is_in(cells, pa.array(known[name], pa.string()))))
        if len(strange):
            found[name] = len(strange), strange[0].as_py()
    return found
