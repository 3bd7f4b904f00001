"""From a path to an open table, and the columns of a table to what they are taken for."""

from pathlib import Path

import pyarrow as pa

from grapheme_numba.data.jsonl.lines import PARQUET
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.readers import Table, TextTable
from grapheme_numba.data.sources.tables.streams import bare_name
from grapheme_numba.data.sources.tables.typed import ArrowTable, JsonTable, ParquetTable
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
ARROW = (".arrow", ".feather", ".ipc", ".arrows")
JSON = (".jsonl", ".ndjson", ".json")
ALL = (*TEXT, *PARQUET, *ARROW, *JSON)


def is_table(path: Path) -> bool:
    """Whether a file's name is one of a table, JSON rows included."""
    return bare_name(path).endswith(ALL)


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
