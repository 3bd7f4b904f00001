"""Data frames of pandas, polars and others, and Arrow tables, as Parquet files. The frames stay as they are."""

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from grapheme_numba.data.stream.cache import content_digest, user_data_cache
from grapheme_numba.errors import RecordError

KEPT = 8  # frames in the user's cache
PREFIX = "frame-"
# Python's and pandas' types whose `str` is what a person would read; a column of several of them is of texts.
MIXED = {
    *("str", "int", "float", "bool", "bool_", "int64", "float64"),
    *("Decimal", "date", "datetime", "Timestamp", "Interval"),
}


def is_frame(given: object) -> bool:
    """Whether `given` is a table in memory: of pandas, polars, Arrow, or what exports Arrow streams."""
    return hasattr(given, "__arrow_c_stream__") or isinstance(given, pa.RecordBatch) or _is_pandas(given)


def _is_pandas(given: object) -> bool:
    return type(given).__name__ == "DataFrame" and type(given).__module__.partition(".")[0] == "pandas"


def arrow_table(frame: Any) -> pa.Table:
    """A frame as an Arrow table, without the index that pandas has. Raises RecordError for columns that do not fit."""
    if type(frame).__name__ == "Series":
        raise RecordError("the table is a single column; give a data frame, as to_frame() makes one")
    if _is_pandas(frame):
        names = [str(name) for name in frame.columns]
        _refuse_twice(names)
        columns = [_pandas_column(names[i], frame.iloc[:, i]) for i in range(len(names))]
        return pa.Table.from_arrays(columns, names=names)
    try:
        if isinstance(frame, pa.RecordBatch):
            return pa.Table.from_batches([frame])
        return frame if isinstance(frame, pa.Table) else pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise RecordError(f"the table does not go into Arrow columns: {str(error)[:160]}") from None


def _pandas_column(name: str, cells: Any) -> pa.Array | pa.ChunkedArray:
    """A column of pandas; mixed objects and intervals as text. RecordError for what is neither number nor text."""
    if hasattr(cells, "sparse") and type(cells.dtype).__name__ == "SparseDtype":
        cells = cells.sparse.to_dense()
    with suppress(pa.ArrowException, TypeError, ValueError):
        found = pa.array(cells, from_pandas=True)
        if "interval" not in str(found.type):
            return found
    missing = cells.isna().to_numpy()
    kinds = {type(cell).__name__ for cell, gone in zip(cells, missing, strict=True) if not gone}
    if odd := sorted(kinds - MIXED):
        raise RecordError(f"column {name!r} of the table holds {', '.join(odd[:3])}; give numbers, texts or dates")
    texts = [None if gone else str(cell) for cell, gone in zip(cells, missing, strict=True)]
    return pa.array(texts, pa.string())


def _refuse_twice(names: list[str]) -> None:
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if twice is not None:
        raise RecordError(f"the table has two columns named {twice!r}; rename one")


def write_frame(frame: Any, path: Path) -> list[str]:
    """Write a frame as Parquet; returns the names of its columns.

    Raises RecordError where it has no columns or no rows, or two columns of one name.
    """
    table = arrow_table(frame)
    names = table.column_names
    if not names or not table.num_rows:
        raise RecordError(
            f"the table has {table.num_rows} rows and {len(names)} columns; at least one of each is needed"
        )
    _refuse_twice(names)
    try:
        pq.write_table(table.replace_schema_metadata(None), path)
    except pa.ArrowException as error:
        raise RecordError(f"the table does not go into Parquet: {str(error)[:160]}") from None
    return names


@contextmanager
def frame_file(frame: Any) -> Iterator[Path]:
    """A temporary Parquet file of the frame."""
    folder = tempfile.mkdtemp(prefix="grapheme-table-")
    try:
        write_frame(frame, Path(folder) / "table.parquet")
        yield Path(folder) / "table.parquet"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kept_frame(frame: Any) -> tuple[Path, str]:
    """A Parquet file of the frame in the user's cache, named by its content, and what its rows are called.

    The newest few files stay.
    """
    folder = user_data_cache()
    descriptor, made = tempfile.mkstemp(prefix=".frame-", suffix=".parquet", dir=folder)
    os.close(descriptor)
    try:
        names = write_frame(frame, Path(made))
        path = folder / f"{PREFIX}{content_digest(Path(made))}.parquet"
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    old = sorted(folder.glob(f"{PREFIX}*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    for file in old[:-KEPT]:
        file.unlink(missing_ok=True)
    return path, domain_name(names)


def domain_name(names: list[str]) -> str:
    """What the rows of a frame are called, which no file names: `table`, or with a number where a column is."""
    name, number = "table", 2
    while name in names:
        name, number = f"table_{number}", number + 1
    return name
