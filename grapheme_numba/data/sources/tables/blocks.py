"""The file of a table as bytes, unpacked and in UTF-8, and the blocks of whole rows that its readers make of it."""

import codecs
import gzip
import re
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.file_kinds import PACKED
from grapheme_numba.data.sources.tables.dialect import SPACE, Dialect
from grapheme_numba.errors import MissingInputError, RecordError

BLOCK_BYTES = 4 << 20
LONGEST_ROW = 64 << 20


def opened(path: Path) -> IO[bytes]:
    """The unpacked bytes of a file. Raises MissingInputError."""
    name = path.name.lower()
    try:
        if name.endswith(".gz"):
            return cast(
                IO[bytes], gzip.GzipFile(path, "rb")
            )  # which closes the file that it opened, but none that it was given
        raw = open(path, "rb")  # noqa: SIM115, its reader closes it
    except OSError as error:
        raise MissingInputError(f"cannot read {path}: {error.strerror}") from None
    if name.endswith(".zst"):
        return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    return raw


def read(stream: IO[bytes], size: int, path: Path) -> bytes:
    """The next bytes. Raises RecordError for a packed file that is damaged."""
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{path} cannot be unpacked: {str(error)[:100]}; is it damaged or cut?") from None


def seekable(path: Path) -> IO[bytes]:
    """A file that can be read anywhere: itself, or a temporary copy of its unpacked bytes."""
    stream = opened(path)
    if not path.name.lower().endswith(PACKED):
        return stream
    copy = tempfile.TemporaryFile()  # noqa: SIM115, its reader closes it
    while data := read(stream, BLOCK_BYTES, path):
        copy.write(data)
    stream.close()
    copy.seek(0)
    return copy


def text_blocks(path: Path, dialect: Dialect, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Blocks of whole rows, comments left out, the header still in front of the first."""
    rest = b""
    for data in _utf8(path, dialect, size):
        data = rest + data
        end = _end_of_rows(data, dialect)
        if end == 0 and len(data) > LONGEST_ROW:
            raise RecordError(
                f"{path}: a row has more than {LONGEST_ROW} bytes; does a quote not close? Another --delimiter may help"
            )
        whole, rest = data[:end], data[end:]
        if whole:
            yield _cleaned(whole, dialect)
    if rest.strip(b"\r\n") or (rest and len(dialect.names) == 1):
        yield _cleaned(rest + b"\n", dialect)


def _utf8(path: Path, dialect: Dialect, size: int) -> Iterator[bytes]:
    with opened(path) as stream:
        if dialect.encoding == "utf-8":
            while data := read(stream, size, path):
                yield data
            return
        if dialect.encoding == "utf-8-sig":
            read(stream, 3, path)
            while data := read(stream, size, path):
                yield data
            return
        decoder = codecs.getincrementaldecoder(dialect.encoding)("replace")
        while data := read(stream, size, path):
            yield decoder.decode(data).encode()
        yield decoder.decode(b"", True).encode()


def _end_of_rows(data: bytes, dialect: Dialect) -> int:
    if b'"' not in data or dialect.delimiter == SPACE:
        if b"\n" not in data and b"\r" in data[:-1]:
            return data.rfind(b"\r", 0, len(data) - 1) + 1  # lines of old Macintosh files
        return data.rfind(b"\n") + 1
    from grapheme_numba.kernels.codec.table_text import last_row_end

    return int(last_row_end(np.frombuffer(data, np.uint8), ord(dialect.delimiter), 34))


def _cleaned(data: bytes, dialect: Dialect) -> bytes:
    if dialect.comment and dialect.comment.encode() in data:
        data = re.sub(rb"(?m)^" + re.escape(dialect.comment.encode()) + rb"[^\n]*\n?", b"", data)
    if dialect.delimiter == SPACE:
        data = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", data)
        data = re.sub(rb"[ \t]+", b"\t", data)
    return data


Array: TypeAlias = Any  # pa.Array, which has no types to check by


class Refused(NamedTuple):
    """A row that cannot be used: its number from 1, the reason, and how it starts."""

    row: int
    reason: str
    start: str


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
