"""Parquet that can be trusted: written whole or not at all, and read only where its digests agree.

Page checksums (CRC32) cover the data of a page, not its header and not the file's footer. So each row
group's bytes have a digest in the footer, and the footer has one of itself. Of 3,000 files with a flipped
or cut byte none may load as other data: `test_parquet.py`.

How much a row group may unpack to: what our own writer can make of lines within the limits, and no more.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from grapheme_numba.data.file_kinds import PARQUET
from grapheme_numba.data.parquet.row_groups import GROUP_BYTES, GROUP_ROWS, LISTS, LONG_DOMAIN
from grapheme_numba.data.records import DEFAULT_LIMITS
from grapheme_numba.data.schema import (
    SCHEMA,
    SCHEMAS,
    TABULAR_SCHEMA,
    TABULAR_VERSION,
    VERSION,
    is_tabular,
    widened,
)
from grapheme_numba.data.threads import exclusive_if_large
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.files.storage import WholeFile, write_file

LEVELS = 4 << 20  # beside the content: lengths, definition and repetition levels, dictionaries of numbers
# Domains up to LONG_DOMAIN bytes are not counted where row groups are cut. Unknown fields are written anew, where
# `1e15,` becomes `1000000000000000.0,`; nothing gets longer than that.
ASIDE = {"domain": GROUP_ROWS * LONG_DOMAIN + GROUP_BYTES, "extra": 4 * DEFAULT_LIMITS.line_bytes + LEVELS}
SEVERAL = {"content": GROUP_BYTES + LEVELS, "numbers": 0, **ASIDE}
# A row alone may hold more than GROUP_BYTES: the strings of one line, and 8 bytes for each of its numbers.
ALONE = {"content": DEFAULT_LIMITS.line_bytes + LEVELS, "numbers": 8 * DEFAULT_LIMITS.numbers + LEVELS, **ASIDE}
# Lines beyond the default limits make larger groups. They are read where the file is of a size to match: real text
# shrinks to a third or a quarter, and a small file never unpacks to much. 256 MiB for every file, as it was, let
# one of 4 MB take 2.1 GB as batches and 2.7 GB in `inspect`.
MOST_TIMES_FILE = 8
MOST_GROUP_BYTES = 256 << 20  # in any case


def refuse_large_group(sizes: dict[str, int], rows: int, file_bytes: int, index: int, path: Path) -> None:
    """RecordError when a row group unpacks to more than it may.

    sizes : bytes that each column unpacks to; rows, index : of the row group; file_bytes : of the whole file
    """
    allowed = ALONE if rows == 1 else SEVERAL
    counted, unpacked = dict.fromkeys(allowed, 0), sum(sizes.values())
    for name, size in sizes.items():
        counted[_kind(name, rows)] += size
    usual = all(counted[kind] <= most for kind, most in allowed.items())
    most = max(MOST_TIMES_FILE * file_bytes, sum(allowed.values()) if usual else allowed["content"])
    if unpacked > min(most, MOST_GROUP_BYTES):
        raise RecordError(
            f"{path}: row group {index} unpacks to {unpacked} bytes, more than the limit of "
            f"{min(most, MOST_GROUP_BYTES)}; convert the JSONL again"
        )


def _kind(name: str, rows: int) -> str:
    """Which allowance a column is counted in."""
    if name == "domain":
        return name
    if name in ("extra", "input_extra"):
        return "extra"
    return "numbers" if rows == 1 and name in (*LISTS, "numbers") else "content"


VERSION_KEY, GROUPS_KEY, FOOTER_KEY = (f"grapheme_numba.{name}" for name in ("schema", "row_groups", "footer"))
BLANK = "0" * 64
# Dictionaries only where what a page unpacks to is known from its number of values: numbers, and the two
# columns that are read as dictionaries. (Dictionaries of numbers also write a quarter faster and half as large
# as plain ones; byte-stream split was as slow and twice as large. The numbers of tabular rows are of many columns,
# one after the other, which no dictionary holds: it took 55 ms for 17,000 rows of 20, without 22 and 5 % smaller.)
REPEATING = (
    *("domain", "input_type", "values.list.element", "pixels.list.element", "width", "height"),
    "fields",
)
# Handed to Python at once: every page by itself waited for the interpreter, which the threads that cut and parse
# lines hold for milliseconds. With it and row groups gathered in a thread, a conversion takes 1.15 s instead of 1.4.
WRITTEN_BYTES = 8 << 20
FLAT = {"PLAIN", "RLE", "BIT_PACKED"}
DICTIONARY = {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class Group(NamedTuple):
    """One row group of a file: where its bytes are, what they hash to, and what it unpacks to."""

    start: int
    size: int
    digest: str
    rows: int
    unpacked: int


class ParquetSink:
    """Writes record batches as one Parquet file; nothing is left under `path` unless `close` succeeds.

    Use as a context manager: leaving it by an exception removes what was written. `mode` as of `WholeFile`.
    origin : what is kept of the file that the rows are of; see `origin_of`
    """

    def __init__(self, path: Path, mode: int = 0o666, origin: str | None = None) -> None:
        self.path, self._mode, self._origin = Path(path), mode, origin
        self._open(SCHEMA)

    def _open(self, schema: pa.Schema) -> None:
        """Begin a file, so far without rows."""
        self._schema = schema
        self._groups: list[list[int | str]] = []  # start, size, digest
        self._file = WholeFile(self.path, hashlib.blake2b(digest_size=8), self._mode)
        self._stream = pa.BufferedOutputStream(pa.PythonFile(self._file, "w"), WRITTEN_BYTES)
        try:
            self._writer = pq.ParquetWriter(
                self._stream,
                schema,
                compression="zstd",
                compression_level=1 if schema is SCHEMA else -1,  # tabular rows: 5 % smaller, not slower
                use_dictionary=list(REPEATING),
                write_page_checksum=True,
                write_statistics=False,
            )
            self._stream.flush()
        except BaseException:
            self._file.abandon()
            raise

    def write(self, table: pa.Table) -> None:
        """Write one row group."""
        if table.num_rows == 0:
            return
        if is_tabular(table) and self._schema is SCHEMA:
            self._widen()
        if self._schema is TABULAR_SCHEMA:
            table = pa.Table.from_batches(list(map(widened, table.to_batches())), TABULAR_SCHEMA)
        self._file.restart_digest()
        start = self._file.size
        with exclusive_if_large(table.nbytes):  # Arrow's writer takes up to five times the table
            self._writer.write_table(table, row_group_size=table.num_rows)
            self._stream.flush()
        self._groups.append([start, self._file.size - start, self._file.digest()])

    def _widen(self) -> None:
        """Go on as a file with tabular rows: what was written without their columns is written again."""
        written, n_group, old = self._file, len(self._groups), (self._writer, self._stream)
        try:
            self._writer.close()
            self._stream.flush()
            source = pq.ParquetFile(pa.PythonFile(written.read_back(), "r"))
            self._open(TABULAR_SCHEMA)
            for index in range(n_group):
                self.write(source.read_row_group(index))
        finally:
            written.abandon()
            for gone in old:
                with contextlib.suppress(pa.ArrowException, OSError, ValueError):
                    gone.close()

    def __enter__(self) -> "ParquetSink":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.abandon()
        for gone in (self._writer, self._stream):
            with contextlib.suppress(pa.ArrowException, OSError, ValueError):
                gone.close()  # else its destructor complains that the file is gone

    def close(self) -> None:
        """Write the footer and its digest, flush to the disk, and give the file its name."""
        try:
            version = TABULAR_VERSION if self._schema is TABULAR_SCHEMA else VERSION
            metadata = {VERSION_KEY: str(version), GROUPS_KEY: json.dumps(self._groups), FOOTER_KEY: BLANK}
            self._writer.add_key_value_metadata(metadata)
            self._writer.close()
            self._stream.flush()
            footer, at = _read_footer(self._file.read_back(), self.path)
            digest = _footer_digest(footer)
            self._file.patch(at + footer.index(BLANK.encode()), digest)
        except BaseException:
            self.abandon()
            raise
        self._file.finish()
        if self._origin is not None:
            write_file(origin_file(self.path), f"{self._origin} {digest.decode()}\n".encode(), self._mode)


def origin_of(source: Path) -> str:
    """A file's name, size and time of change, by which a conversion beside it is known to be of its present content."""
    status = source.stat()
    return f"{status.st_size} {status.st_mtime_ns} {os.fsencode(source.name).hex()}"


def origin_file(path: Path) -> Path:
    """Where a conversion's origin is kept: beside it, since its own bytes depend on the rows alone."""
    return path.with_name(f".{path.name}.origin")


def conversion_of(path: Path) -> tuple[str, bool] | None:
    """(name of the file beside it that a Parquet file was made of, whether that is unchanged since), None if none."""
    try:
        found = pq.read_metadata(path).metadata or {}
        size, time, name, digest = origin_file(path).read_text("ascii").split()
        if digest.encode() != found[FOOTER_KEY.encode()]:
            return None  # another file has taken its place
        source = path.with_name(os.fsdecode(bytes.fromhex(name)))
        return source.name, origin_of(source) == f"{size} {time} {name}"
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None


def parquet_files(path: str | Path) -> list[Path]:
    """The files that a path means: itself, or the .parquet files of a folder. Raises MissingInputError."""
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; name a .jsonl or .parquet file, or a folder of .parquet")
    if not path.is_dir() and not path.is_file():
        raise MissingInputError(
            f"{path} is a pipe or device; turn what it gives into a file with `grapheme-data convert`"
        )
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.endswith(PARQUET) and file.name[0] != ".")
    if not files:
        raise MissingInputError(
            f"folder {path} holds no .parquet file; name a .jsonl file in it, or make Parquet with "
            "`grapheme-data convert`"
        )
    return files


def _footer_digest(footer: bytes) -> bytes:
    return hashlib.blake2b(footer, digest_size=32).hexdigest().encode()


def _read_footer(file: BinaryIO | pa.NativeFile, path: Path) -> tuple[bytes, int]:
    """The Thrift bytes of the footer and their position in the file."""
    end = file.seek(0, os.SEEK_END)
    if end < 12:
        raise RecordError(f"{path} is not a Parquet file: it has {end} bytes")
    file.seek(end - 8)
    tail = file.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or size > end - 12:
        raise RecordError(f"{path} is not a whole Parquet file: its end is missing or damaged; convert it again")
    file.seek(end - 8 - size)
    return file.read(size), end - 8 - size


def _checked_digest(footer: bytes, path: Path) -> str:
    """The digest that a footer holds of itself; RecordError for another writer, version or content."""
    version = re.search(re.escape(VERSION_KEY.encode()) + rb"[^0-9a-z]{1,3}([0-9]+)", footer)
    if version is None:
        raise RecordError(
            f"{path} was not written by grapheme-data; turn the JSONL it came from into Parquet with "
            "`grapheme-data convert`, or a table with `grapheme-data import csv`"
        )
    if version[1].decode() not in map(str, SCHEMAS):
        raise RecordError(
            f"{path} has version {version[1].decode()} of the data format, this program reads "
            f"{' and '.join(map(str, SCHEMAS))}; "
            "convert the JSONL again with this version"
        )
    found = re.search(re.escape(FOOTER_KEY.encode()) + rb"[^0-9a-z]{1,3}([0-9a-f]{64})", footer)
    if found is None or _footer_digest(footer.replace(found[1], BLANK.encode())) != found[1]:
        raise RecordError(f"{path} is damaged: its footer does not match its digest; convert it again")
    return found[1].decode()


class ParquetSource:
    """One Parquet file of examples, opened and checked: version, schema, footer digest, sizes.

    path : Path; n_rows : int; groups : list of Group; digest : hex digest of the footer, thus of the content
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._raw = pa.OSFile(os.fsencode(self.path), "r")
        except OSError as error:
            raise MissingInputError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
        try:
            footer, _ = _read_footer(self._raw, path)
            self.digest = _checked_digest(footer, path)  # before anything parses the footer
            self._raw.seek(0)
            self._file = pq.ParquetFile(self._raw, page_checksum_verification=True, pre_buffer=False)
            self._check()
        except RecordError:
            self._raw.close()
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            self._raw.close()
            raise RecordError(f"{path} is damaged: {str(error)[:120]}; convert it again") from None

    def _check(self) -> None:
        path, metadata = self.path, self._file.metadata
        version = int((metadata.metadata or {}).get(VERSION_KEY.encode(), b"0"))
        if version not in SCHEMAS or not self._file.schema_arrow.equals(SCHEMAS[version]):
            raise RecordError(f"{path} has other columns than the data format; convert the JSONL again")
        groups = json.loads(metadata.metadata[GROUPS_KEY.encode()])
        self.n_rows = metadata.num_rows
        self.groups = []
        for index, (start, size, digest) in enumerate(groups):
            group = metadata.row_group(index)
            sizes = {}
            for position in range(group.num_columns):
                column = group.column(position)
                name = column.path_in_schema.partition(".")[0]
                sizes[name] = max(column.total_uncompressed_size, 8 * column.num_values)
                if not set(column.encodings) <= (FLAT | DICTIONARY if column.path_in_schema in REPEATING else FLAT):
                    raise RecordError(
                        f"{path}: column {column.path_in_schema} has encodings {', '.join(column.encodings)}, which "
                        "could unpack to any size; convert the JSONL again"
                    )
            refuse_large_group(sizes, group.num_rows, self._raw.size(), index, path)
            self.groups.append(Group(start, size, digest, group.num_rows, sum(sizes.values())))

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The row groups in file order."""
        for index in range(len(self.groups)):
            yield self.read(index, columns)

    def verify(self, index: int) -> None:
        """RecordError when the bytes of a row group do not match their digest."""
        group = self.groups[index]
        if _digest(self._raw.read_at(group.size, group.start)) != group.digest:
            raise RecordError(f"{self.path} is damaged: row group {index} does not match its digest; convert it again")

    def glance(self, index: int, columns: list[str]) -> pa.Table:
        """Some columns of a row group by their page checksums alone: a look at few bytes before all of it is read."""
        try:
            return self._file.read_row_group(index, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise RecordError(f"{self.path}: row group {index} is damaged: {str(error)[:120]}") from None

    def read(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """One row group, after its bytes were compared with their digest. Repeating columns are dictionaries."""
        group = self.groups[index]
        self.verify(index)
        try:
            table = self._file.read_row_group(index, columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise RecordError(f"{self.path}: row group {index} is damaged: {str(error)[:120]}") from None
        if table.num_rows != group.rows:
            raise RecordError(f"{self.path}: row group {index} has {table.num_rows} rows instead of {group.rows}")
        return table
