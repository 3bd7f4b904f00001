"""JSONL to Parquet in bounded memory: every line ends up in the rows or, with its reason, in the rejects.

JSONL files shared out among ranks: each file becomes one Parquet file of a folder, whoever converts it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa

from grapheme_numba.data.file_kinds import PARQUET, REJECTS
from grapheme_numba.data.jsonl.lines import find_sources, total_bytes
from grapheme_numba.data.jsonl.parsing import parsed_blocks
from grapheme_numba.data.parquet.files import ParquetSource
from grapheme_numba.data.parquet.row_groups import row_groups
from grapheme_numba.data.parquet.sinks import FileSink, FolderSink, deal, folder_mode, refuse_existing
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits
from grapheme_numba.data.rejects import Reject, RejectSink
from grapheme_numba.data.threads import ahead
from grapheme_numba.errors import GraphemeError, OutputError, RecordError, UsageError
from grapheme_numba.files.overwriting import refuse_overwriting
from grapheme_numba.files.storage import WholeFile, fsync_folder, mode_of


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
    stem = output.stem if output.suffix.lower() in PARQUET else output.name
    return output.with_name(stem + REJECTS)


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
    mode = mode_of(sources)
    given: dict[str, Any] = dict(strict=strict, limits=limits, threads=threads, progress=progress, note=note)
    if shards > 1:
        refuse_existing(output)
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
            done = convert(names, Path(folder) / "all.parquet", rejects=rejects, **given)
            source = ParquetSource(done.outputs[0])
            return done._replace(outputs=deal(source.tables(), source.n_rows, output, shards, mode))
    refused, lines = RejectSink(rejects, mode), 0
    sink = (
        FileSink(output, mode, sources) if rows_per_file is None else FolderSink(output, lambda i: rows_per_file, mode)
    )

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


COPIED = 1 << 20  # bytes of rejects moved at once


class Communicator(Protocol):
    """What of the ranks a conversion uses; see `distributed.comm`."""

    rank: int
    size: int

    def all_gather(self, payload: bytes = b"") -> list[bytes]:
        """Every rank's payload, in rank order."""

    def broadcast(self, data: bytes | None) -> bytes:
        """Rank 0's bytes."""


class Done(msgspec.Struct, frozen=True):
    """What the conversion of one file gave; `first` is its first refused line."""

    index: int
    rows_in: int
    rows_out: int
    rejects: int
    first: Reject | None


def convert_together(
    comm: Communicator,
    names: Iterable[str | Path],
    output: str | Path,
    *,
    rejects: str | Path | None = None,
    strict: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Convert files to the folder `output`, on all ranks of `comm`; every rank gets the totals.

    The folder's bytes do not depend on the number of ranks. The other arguments and the errors are those of
    `convert`; moreover UsageError for standard input and for an `output` that is named like a file.
    """
    output = Path(output)
    rejects = Path(rejects or default_rejects_path(output))
    sources = find_sources(names)
    if "-" in sources or output.suffix == ".parquet":
        raise UsageError(
            "several ranks turn files into a folder of files: name files, and give --output a name without .parquet"
        )
    refuse_overwriting([output, rejects], sources)
    name = None
    if comm.rank == 0:
        refuse_existing(output)
        name = make_folder(output).encode()
    folder = Path(comm.broadcast(name).decode())
    try:
        done = []
        for index in share(sources, comm.rank, comm.size):
            target, refused = folder / f"part-{index:05d}.parquet", folder / f"part-{index:05d}{REJECTS}"
            given: dict[str, Any] = dict(
                rejects=refused, strict=strict, limits=limits, threads=threads, progress=progress
            )
            one = convert([sources[index]], target, **given)
            done.append(Done(index, one.rows_in, one.rows_out, one.rejects, one.first_reject))
        payloads = comm.all_gather(msgspec.msgpack.encode(done))
        by_rank = [msgspec.msgpack.decode(payload, type=list[Done]) for payload in payloads]
        done = sorted((one for rank in by_rank for one in rank), key=lambda one: one.index)
        if comm.rank == 0:
            finish(folder, output, rejects, done, mode_of(sources))
        comm.all_gather()
    except BaseException:
        # On every rank: whoever still writes when another one fails puts files back into what that one deleted.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    rows_in, rows_out, n_refused = (
        sum(getattr(one, key) for one in done) for key in ("rows_in", "rows_out", "rejects")
    )
    first = next((one.first for one in done if one.first is not None), None)
    outputs = [output / f"part-{one.index:05d}.parquet" for one in done]
    return Converted(rows_in, rows_out, n_refused, first, outputs, rejects)


def make_folder(output: Path) -> str:
    """A temporary folder beside `output`, on the file system that all ranks share."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".tmp", dir=output.parent.resolve())
    except OSError as error:
        raise OutputError(f"cannot write in {output.parent}: {error.strerror}") from None


def share(sources: list[str], rank: int, size: int) -> list[int]:
    """The files of a rank: the largest first, each to whoever has the fewest bytes."""
    sizes = [Path(name).stat().st_size for name in sources]
    load, own = [0] * size, []
    for index in sorted(range(len(sources)), key=lambda index: (-sizes[index], index)):
        lightest = min(range(size), key=lambda other: (load[other], other))
        load[lightest] += sizes[index]
        if lightest == rank:
            own.append(index)
    return sorted(own)


def finish(folder: Path, output: Path, rejects: Path, done: list[Done], mode: int) -> None:
    """Gather the rejects of all files, in their order, and give the folder its name."""
    merged = WholeFile(rejects, mode=mode) if any(one.rejects for one in done) else None
    for one in done:
        path = folder / f"part-{one.index:05d}{REJECTS}"
        if merged is not None and one.rejects:
            with path.open("rb") as file:
                while data := file.read(COPIED):
                    merged.write(data)
            path.unlink()
    if merged is not None:
        merged.finish()
    else:
        rejects.unlink(missing_ok=True)
    try:
        os.chmod(folder, folder_mode(mode))
        os.replace(folder, output)
        fsync_folder(output.parent)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror}") from None
