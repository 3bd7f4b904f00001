"""Rows as their user gave them, with columns added, as CSV, TSV, JSONL or Parquet."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grapheme_numba.data.jsonl.lines import PARQUET
from grapheme_numba.data.sources.tables.given_rows import GivenTable, Rows, cell_text
from grapheme_numba.errors import UsageError

Kind: TypeAlias = Literal["csv", "tsv", "jsonl", "parquet"]
KINDS: dict[str, Kind] = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", **dict.fromkeys(PARQUET, "parquet")}
OTHERS = (".gz", ".zst", ".json", ".arrow", ".arrows", ".feather", ".ipc", ".xlsx", ".xls", ".txt")
ANSWER, CONFIDENCE = "answer", "confidence"


def kind_of(target: str | None, table: GivenTable | None) -> Kind:
    """The format of a file by its suffix, JSONL where that says nothing; on standard output CSV for a table of text.

    Raises UsageError for the suffix of a format that is not written.
    """
    if target is None or target == "-":
        return "csv" if table is not None and table.plain else "jsonl"
    suffix = Path(target).suffix.lower()
    if suffix in OTHERS:
        raise UsageError(f"--output {target}: answers are written as .csv, .tsv, .parquet or .jsonl; name it so")
    return KINDS.get(suffix, "jsonl")


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
        self, file: BinaryIO, kind: Kind, table: GivenTable | None, added: Sequence[str], numbers: Sequence[str]
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
