"""Parquet that appears when all of it is written: of examples one file or a folder of them, of other rows a table."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet as pq

from grapheme_numba.data.parquet.files import ParquetSink, origin_of
from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files.storage import WholeFile, fsync_folder

CELL_TYPES = {"text": pa.string(), "int": pa.int32(), "float": pa.float32()}  # of a `RowTable`


def refuse_existing(output: Path) -> None:
    """UsageError for a file, or a folder that is not empty: a folder cannot be replaced in one move."""
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise UsageError(f"{output} already holds something; give the folder of shards a new name or remove it")


class FolderSink:
    """Takes row groups in order and fills the files of a folder one after the other.

    rows_of : rows of file i; mode : permissions of the files, of which the umask takes its bits
    """

    def __init__(self, output: Path, rows_of: Callable[[int], int], mode: int = 0o666) -> None:
        self.output, self._rows_of, self._mode = Path(output), rows_of, mode
        refuse_existing(self.output)
        try:
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.output.name}.", suffix=".tmp", dir=self.output.parent))
        except OSError as error:
            raise OutputError(f"cannot write in {self.output.parent}: {error.strerror}") from None
        self.rows = self._left = 0
        self._files: list[str] = []
        self._sink: ParquetSink | None = None

    def write(self, table: pa.Table) -> None:
        """Write rows as one or, at the end of a file, several row groups."""
        self.rows += table.num_rows
        while table.num_rows:
            if self._sink is None:
                self._left = self._rows_of(len(self._files))
                self._files.append(f"part-{len(self._files):05d}.parquet")
                self._sink = ParquetSink(self._folder / self._files[-1], self._mode)
            piece = table.slice(0, self._left)
            self._sink.write(piece)
            table, self._left = table.slice(piece.num_rows), self._left - piece.num_rows
            if self._left == 0:
                self._sink.close()
                self._sink = None

    def finish(self) -> list[Path]:
        """Give the folder its name; the files in it."""
        if self._sink is not None:
            self._sink.close()
        try:
            os.chmod(self._folder, folder_mode(self._mode))
            os.replace(self._folder, self.output)
            fsync_folder(self.output.parent)
        except OSError as error:
            raise OutputError(f"cannot write {self.output}: {error.strerror}") from None
        return [self.output / name for name in self._files]

    def abandon(self) -> None:
        """Remove what was written."""
        if self._sink is not None:
            self._sink.abandon()
        shutil.rmtree(self._folder, ignore_errors=True)


class FileSink:
    """Takes row groups in order and writes one file; `mode` as of `FolderSink`, `sources` what the rows are of."""

    def __init__(self, output: Path, mode: int = 0o666, sources: Sequence[str | Path] = ()) -> None:
        self.output, self.rows = Path(output), 0
        origin = None
        if len(sources) == 1 and str(sources[0]) != "-" and _are_siblings(Path(sources[0]), self.output):
            origin = origin_of(Path(sources[0]))
        self._sink = ParquetSink(self.output, mode, origin)

    def write(self, table: pa.Table) -> None:
        """Write one row group."""
        self.rows += table.num_rows
        self._sink.write(table)

    def finish(self) -> list[Path]:
        """Give the file its name."""
        self._sink.close()
        return [self.output]

    def abandon(self) -> None:
        """Remove what was written."""
        self._sink.abandon()


def _are_siblings(source: Path, output: Path) -> bool:
    """Whether both stand in one folder under one name but for the endings, as `convert` names its output."""
    names = source.name.partition(".")[0], output.name.partition(".")[0]
    return names[0] == names[1] and source.is_file() and source.resolve().parent == output.resolve().parent


def folder_mode(mode: int) -> int:
    """The permissions of a folder for files of `mode`: who may read those may list it, and only its user writes."""
    return 0o700 | (mode & 0o044) | (mode & 0o044) >> 2


def deal(tables: Iterable[pa.Table], n_rows: int, output: Path, shards: int, mode: int = 0o666) -> list[Path]:
    """Write tables of n_rows rows in all as `shards` files of equal size (fewer where rows are fewer)."""
    shards = max(min(shards, n_rows), 1)
    sink = FolderSink(output, lambda i: n_rows * (i + 1) // shards - n_rows * i // shards, mode)
    try:
        for table in tables:
            sink.write(table)
        return sink.finish()
    except BaseException:
        sink.abandon()
        raise


class RowTable:
    """Takes columns part by part; the file appears at the end of the `with` body, unless that raises.

    Parameters
    ----------
    path : path
    columns : dict of str to "text", "int" or "float"
    mode : int
        Permissions, of which the umask takes its bits.

    Raises
    ------
    OutputError
        The folder or the disk does not take the file.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, str], mode: int = 0o666) -> None:
        self.n_row = 0
        self._schema = pa.schema([(name, CELL_TYPES[kind]) for name, kind in columns.items()])
        self._file = WholeFile(Path(path), mode=mode)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"), self._schema, compression="zstd", write_page_checksum=True
        )

    def write(self, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any] | pa.Array]) -> None:
        """Append rows: name -> sequence, all of one length."""
        arrays = [pa.array(columns[field.name], field.type, from_pandas=False) for field in self._schema]
        if len(arrays[0]):
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self.n_row += len(arrays[0])

    def __enter__(self) -> "RowTable":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._writer.close()
            self._file.finish()
        else:
            self._file.abandon()
            with contextlib.suppress(pa.ArrowException, OSError, ValueError):
                self._writer.close()  # else its destructor complains that the file is gone


def repeated(values: Sequence[str], counts: npt.NDArray[np.integer]) -> pa.Array:
    """The texts `values`, each as often as `counts` says, stored once each."""
    index = np.repeat(np.arange(len(values), dtype=np.int32), counts)
    return pa.array(list(values), pa.string()).take(pa.array(index))
