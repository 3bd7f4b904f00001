"""JSONL to Parquet in bounded memory: every line ends up in the rows or, with its reason, in the rejects."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa

from grapheme_numba.dataset.lines import Block, find_sources, read_blocks, split_lines
from grapheme_numba.dataset.parquet import ParquetSink
from grapheme_numba.dataset.records import Limits, parse_example
from grapheme_numba.dataset.schema import SCHEMA, to_arrow
from grapheme_numba.dataset.writing import WholeFile
from grapheme_numba.errors import RecordError

GROUP_ROWS = 16_384
GROUP_BYTES = 32 << 20
SHOWN = 160  # bytes of a refused line that its reject keeps


class Reject(msgspec.Struct, frozen=True):
    """A refused line: where it is and why."""

    file: str
    line: int
    offset: int
    reason: str
    start: str


class Parsed(NamedTuple):
    """The verdict on the lines of one block."""

    rows: pa.RecordBatch
    rejects: list[Reject]


class Converted(NamedTuple):
    """What a conversion did."""

    rows_in: int
    rows_out: int
    rejects: int
    first_reject: Reject | None
    outputs: list[Path]
    rejects_path: Path | None


def _reject(block: Block, line: int, offset: int, content: bytes, reason: str) -> Reject:
    return Reject(block.source, line, offset, reason, content[:SHOWN].decode(errors="replace"))


def parse_block(block: Block, limits: Limits) -> Parsed:
    """Judge every line of a block; blank lines are left out."""
    if block.too_long:
        reason = f"the line has {block.too_long} bytes, more than the limit of {limits.line_bytes}"
        return Parsed(to_arrow([]), [_reject(block, block.first_line, block.offset, block.data, reason)])
    examples, rejects = [], []
    for number, offset, content in split_lines(block):
        try:
            examples.append(parse_example(content, limits))
        except RecordError as error:
            rejects.append(_reject(block, number, offset, content, str(error)))
    return Parsed(to_arrow(examples), rejects)


def parsed_blocks(sources: Iterable[str], limits: Limits, progress=None) -> Iterator[Parsed]:
    """Verdicts on all blocks of the sources, in order."""
    done = 0
    for source in sources:
        last = 0
        for block in read_blocks(source, limits.line_bytes):
            yield parse_block(block, limits)
            last = block.read
            if progress is not None:
                progress(done + last)
        done += last


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches into row groups of GROUP_ROWS rows, or fewer where rows are large."""
    held, rows, size = [], 0, 0
    for batch in batches:
        while batch.num_rows:
            per_row = max(batch.nbytes // batch.num_rows, 1)
            room = max(min(GROUP_ROWS - rows, (GROUP_BYTES - size) // per_row), 1)
            piece = batch.slice(0, room)
            batch = batch.slice(piece.num_rows)
            held.append(piece)
            rows, size = rows + piece.num_rows, size + per_row * piece.num_rows
            if rows >= GROUP_ROWS or size + per_row > GROUP_BYTES:
                yield pa.Table.from_batches(held, SCHEMA).unify_dictionaries()
                held, rows, size = [], 0, 0
    if held:
        yield pa.Table.from_batches(held, SCHEMA).unify_dictionaries()


def convert(
    names: Iterable[str | Path],
    output: str | Path,
    *,
    rejects: str | Path | None = None,
    max_rejects: int = 0,
    limits: Limits = Limits(),
    progress: Callable[[int], None] | None = None,
) -> Converted:
    """Convert JSONL to one Parquet file. The caller compares `rejects` with what it tolerates.

    Raises RecordError when no line could be used.
    """
    output = Path(output)
    rejects_path = (
        Path(rejects) if rejects else output.with_name(output.name.removesuffix(".parquet") + ".rejects.jsonl")
    )
    rows_out, refused = 0, []

    def accepted():
        nonlocal rows_out
        for parsed in parsed_blocks(find_sources(names), limits, progress):
            refused.extend(parsed.rejects)
            rows_out += parsed.rows.num_rows
            yield parsed.rows

    with ParquetSink(output) as sink:
        for group in row_groups(accepted()):
            sink.write(group)
    if refused:
        file = WholeFile(rejects_path)
        for reject in refused:
            file.write(msgspec.json.encode(reject) + b"\n")
        file.finish()
    return Converted(
        rows_out + len(refused),
        rows_out,
        len(refused),
        refused[0] if refused else None,
        [output],
        rejects_path if refused else None,
    )
