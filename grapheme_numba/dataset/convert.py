"""JSONL to Parquet in bounded memory: every line ends up in the rows or, with its reason, in the rejects."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from grapheme_numba.dataset.grouping import row_groups
from grapheme_numba.dataset.lines import find_sources, total_bytes
from grapheme_numba.dataset.parquet import ParquetSource
from grapheme_numba.dataset.parsing import parsed_blocks
from grapheme_numba.dataset.prefetch import ahead
from grapheme_numba.dataset.records import DEFAULT_LIMITS, Limits
from grapheme_numba.dataset.rejects import Reject, RejectSink
from grapheme_numba.dataset.shards import FileSink, FolderSink, deal, refuse_existing
from grapheme_numba.errors import GraphemeError, RecordError
from grapheme_numba.files.overwriting import refuse_overwriting


class Converted(NamedTuple):
    """What a conversion did: `rows_in == rows_out + rejects` holds, or it would have failed."""

    rows_in: int
    rows_out: int
    rejects: int
    first_reject: Reject | None
    outputs: list[Path]
    rejects_path: Path


def default_rejects_path(output: Path) -> Path:
    """`data.parquet` -> `data.rejects.jsonl`, beside it."""
    return output.with_name(output.name.removesuffix(".parquet") + ".rejects.jsonl")


def convert(
    names: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    rejects: str | Path | None = None,
    strict: bool = False,
    shards: int = 1,
    rows_per_file: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Converted:
    """Convert JSONL (files, globs, folders, gzip, zstd, `-`) to one Parquet file, or to a folder of them.

    rejects : where refused lines go; None for `<output>.rejects.jsonl`
    strict : stop at the first refused line and write nothing
    shards : number of files of a folder `output`, of about equal size; or `rows_per_file` rows each
    threads : parsing threads; None for one a core
    progress : called with the bytes read so far and the bytes of all files (0 if unknown), in a thread
    note : called with a sentence when something takes time before the first byte

    The caller compares `rejects` with what it tolerates. Raises MissingInputError for a name that means
    nothing, UsageError for an output that is also read, RecordError for input without a single line,
    OutputError when the disk does not take it.
    """
    names = [names] if isinstance(names, str | Path) else list(names)
    output = Path(output)
    rejects = Path(rejects or default_rejects_path(output))
    sources = find_sources(names)
    refuse_overwriting([output, rejects], sources)
    given = dict(strict=strict, limits=limits, threads=threads, progress=progress, note=note)
    if shards > 1:
        refuse_existing(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
            done = convert(names, Path(folder) / "all.parquet", rejects=rejects, **given)
            source = ParquetSource(done.outputs[0])
            return done._replace(outputs=deal(source.tables(), source.n_rows, output, shards))
    refused, lines = RejectSink(rejects), 0
    sink = FileSink(output) if rows_per_file is None else FolderSink(output, lambda i: rows_per_file)

    def accepted() -> Iterator[pa.RecordBatch]:
        nonlocal lines
        for parsed in parsed_blocks(sources, limits, threads, total_bytes(sources), progress, note):
            lines += parsed.lines
            refused.write(parsed.rejects)
            if strict and parsed.rejects:
                first = parsed.rejects[0]
                raise RecordError(f"{first.file}, line {first.line}: {first.reason}; nothing was written (--strict)")
            yield parsed.rows
            del parsed  # before the next is waited for

    try:
        groups = ahead(row_groups(accepted()), 1)  # read, parsed and gathered while the one before is written
        with closing(groups):
            for group in groups:
                sink.write(group)
                del group  # before the next is waited for
        if not lines:
            raise RecordError(f"{', '.join(sources[:3])} holds no line; at least one example is needed")
        if lines != sink.rows + refused.count:
            raise GraphemeError(f"{lines} rows went in, but {sink.rows} + {refused.count} came out; please report it")
        refused.finish()
        outputs = sink.finish()
    except BaseException:
        refused.abandon()
        sink.abandon()
        raise
    return Converted(lines, sink.rows, refused.count, refused.first, outputs, refused.path)
