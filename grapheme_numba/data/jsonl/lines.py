"""Blocks of JSONL lines from wherever the user points: files, globs, folders, gzip, zstd, standard input.

A block is parsed line by line with `parse_example` here, slower than the scanner, but without compiled code.
"""

import glob
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import pyarrow as pa

from grapheme_numba.data.file_kinds import JSON_LINES, PARQUET, PICTURES, TABLES, files_in, packed
from grapheme_numba.data.records import Limits, parse_example
from grapheme_numba.data.rejects import SHOWN, Reject
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

BLOCK_BYTES = 4 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Whole lines of one file, as bytes.

    source : name of the file; first_line : number of its first line, from 1; offset : of its first byte in
    the (unpacked) file; read : bytes of the packed file read so far
    too_long : when not 0, the block stands for one line of that many bytes, of which `data` is only the start
    """

    source: str
    data: bytes
    first_line: int
    offset: int
    read: int
    too_long: int = 0


def find_sources(names: Iterable[str | Path]) -> list[str]:
    """The files that the given names mean, in order: `-` is standard input, folders and globs are expanded.

    Raises MissingInputError for a name that means nothing, UsageError for one of a Parquet file.
    """
    sources = []
    for name in map(str, names):
        if name.lower().endswith(PARQUET):
            raise UsageError(
                f"{name} is named as Parquet, but JSONL is wanted here; `grapheme-data export` turns it back"
            )
        if name == "-":
            sources.append("-")
            continue
        path = Path(name)
        if path.is_dir():
            inside = [str(file) for file in files_in(path, lambda low: low.endswith(packed(JSON_LINES)))]
            if not inside and files_in(path, lambda low: low.endswith(PICTURES)):
                raise UsageError(
                    f"{name} is a folder of pictures; make examples of them with "
                    f"`grapheme-data import {name} -o FILE.parquet`"
                )
            if not inside and files_in(path, lambda low: low.endswith(packed(TABLES))):
                raise UsageError(
                    f"{name} is a folder of tables; make examples of their rows with "
                    f"`grapheme-data convert {name} --target COLUMN -o FILE.parquet`"
                )
            if not inside:
                raise MissingInputError(f"folder {name} holds no {', '.join(JSON_LINES)} file (also .gz or .zst)")
            sources += inside
        elif path.exists():
            sources.append(name)
        else:
            inside = sorted(file for file in glob.glob(name, recursive=True) if Path(file).is_file())
            if not inside:
                raise MissingInputError(
                    f"{name} does not exist; name a JSONL file, a folder, a glob or - for standard input"
                )
            sources += inside
    return sources


def total_bytes(sources: Iterable[str]) -> int:
    """Bytes of the files as they lie on the disk, 0 if one is standard input or a pipe."""
    sizes = [Path(name).stat().st_size if name != "-" and Path(name).is_file() else 0 for name in sources]
    return sum(sizes) if all(sizes) else 0


class Readable(Protocol):
    """What unpacked bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many; none at the end."""


def _open(name: str) -> tuple[BinaryIO | None, Readable]:
    """(raw, unpacked): the raw file, whose position counts the bytes read, and a reader of unpacked bytes."""
    if name == "-":
        return None, sys.stdin.buffer
    try:
        raw = open(name, "rb")  # noqa: SIM115, read_blocks closes it
    except OSError as error:
        raise MissingInputError(f"cannot read {name}: {error.strerror}") from None
    if name.lower().endswith(".gz"):
        return raw, gzip.GzipFile(fileobj=raw)
    if name.lower().endswith(".zst"):
        return raw, pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    return raw, raw


def read_blocks(name: str, limit: int, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Cut a file into blocks of whole lines; memory stays within a block and a line of `limit` bytes.

    A longer line becomes a block of its own that only counts its bytes. A byte-order mark at the very
    start of a file is left out.
    """
    raw, stream = _open(name)
    line, offset, rest = 1, 0, b""
    counted = raw is not None and raw.seekable()  # a pipe has no position
    try:
        start = _read(stream, len(BYTE_ORDER_MARK), name)
        if start == BYTE_ORDER_MARK:
            start, offset = b"", len(BYTE_ORDER_MARK)
        while data := start + _read(stream, block_bytes, name):
            start = b""
            read = raw.tell() if counted and raw is not None else offset
            end = data.rfind(b"\n") + 1
            if end == 0:
                rest += data
                if len(rest) > limit:
                    size, start = _skip_line(stream, rest, block_bytes, name)
                    rest = b""
                    yield Block(name, b"", line, offset, read, too_long=size)
                    line, offset = line + 1, offset + size
                continue
            whole, rest = rest + data[:end] if rest else data[:end], data[end:]
            yield Block(name, whole, line, offset, read)
            line, offset = line + whole.count(b"\n"), offset + len(whole)
            del whole  # before more is read
        if rest:
            yield Block(name, rest, line, offset, read)
    finally:
        if raw is not None:
            raw.close()


def _read(stream: Readable, size: int, name: str) -> bytes:
    try:
        return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{name} cannot be unpacked: {str(error)[:100]}; is it damaged or cut?") from None


def _skip_line(stream: Readable, start: bytes, block_bytes: int, name: str) -> tuple[int, bytes]:
    """Read on to the end of a line that is too long: its size and what was read after it."""
    size = len(start)
    while data := _read(stream, block_bytes, name):
        end = data.find(b"\n") + 1
        if end:
            return size + end, data[end:]
        size += len(data)
    return size, b""


def split_lines(block: Block) -> Iterator[tuple[int, int, bytes]]:
    """(line number, byte offset, line without its end) of each line that is not blank."""
    offset = block.offset
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        content = line[:-1] if line.endswith(b"\r") else line
        if content.strip(b" \t\r"):
            yield number, offset, content
        offset += len(line) + 1


def reject(block: Block, line: int, offset: int, content: bytes, reason: str) -> Reject:
    """The reject of one line of a block."""
    return Reject(block.source, line, offset, reason, content[:SHOWN].decode(errors="replace"))


class Parsed(NamedTuple):
    """`lines` that are not blank became rows or rejects."""

    rows: pa.RecordBatch
    rejects: list[Reject]
    lines: int


def too_long(block: Block, limits: Limits) -> Parsed:
    """The result for a block that stands for one line of too many bytes."""
    reason = f"the line has {block.too_long} bytes, more than the limit of {limits.line_bytes}"
    return Parsed(to_arrow([]), [reject(block, block.first_line, block.offset, block.data, reason)], 1)


def parse_line_by_line(block: Block, limits: Limits) -> Parsed:
    """Parse and check every line of a block; blank lines are left out."""
    if block.too_long:
        return too_long(block, limits)
    examples, rejects = [], []
    lines = list(split_lines(block))
    for number, offset, content in lines:
        try:
            examples.append(parse_example(content, limits))
        except RecordError as error:
            rejects.append(reject(block, number, offset, content, str(error)))
    return Parsed(to_arrow(examples), rejects, len(lines))
