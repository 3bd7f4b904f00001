"""One Parquet file, or a folder of them, that appears when all of it is written."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from grapheme_numba.data.parquet.files import ParquetSink, origin_of
from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files.storage import fsync_folder


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
