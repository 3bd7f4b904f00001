"""JSONL to Parquet and back in bounded memory, or either only checked.

Every line ends up in the rows or, with its reason, in the rejects. JSONL files may be shared out among ranks: each
becomes one Parquet file of a folder, whoever converts it.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import msgspec
import pyarrow as pa

from grapheme_numba.data.file_kinds import JSON_LINES, PARQUET, REJECTS, bare_name, is_table
from grapheme_numba.data.jsonl.lines import find_sources, total_bytes
from grapheme_numba.data.jsonl.parsing import parsed_blocks
from grapheme_numba.data.parquet.files import ParquetSource, parquet_files
from grapheme_numba.data.parquet.row_groups import row_groups
from grapheme_numba.data.parquet.sinks import FileSink, FolderSink, deal, folder_mode, refuse_existing
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits, parse_example
from grapheme_numba.data.rejects import Reject, RejectSink
from grapheme_numba.data.schema import from_arrow, to_line
from grapheme_numba.data.threads import ahead
from grapheme_numba.errors import GraphemeError, OutputError, RecordError, UsageError
from grapheme_numba.files.storage import WholeFile, fsync_folder, mode_of, refuse_overwriting

COPIED = 1 << 20  # bytes of rejects moved at once
OBJECT_ROWS = 4096  # made into Python objects at once


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


class Validated(NamedTuple):
    """rows that can be used, rejects in all, and the first `shown` of them."""

    rows: int
    rejects: int
    shown: list[Reject]


def validate(
    names: Iterable[str | Path],
    *,
    limits: Limits = DEFAULT_LIMITS,
    shown: int = 10,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Validated:
    """Check every line of JSONL files (as `convert` finds them) and every row of .parquet files.

    Raises MissingInputError for a name that means nothing, RecordError for a damaged Parquet file or when
    there is no line at all.
    """
    given = [str(name) for name in names]
    for name in given:
        if (
            Path(name).is_file()
            and is_table(Path(name))
            and not bare_name(Path(name)).endswith((*JSON_LINES, *PARQUET))
        ):
            raise UsageError(
                f"{name} is a table, whose rows are examples once a column of answers is named: see it with "
                f"`grapheme-data inspect`, or try `grapheme-data convert {name} --target COLUMN -o FILE.parquet`"
            )
    tables = [file for name in given for file in tables_of(Path(name))]
    lines = find_sources(name for name in given if Path(name) not in tables and not _only_tables(Path(name)))
    rows = rejects = 0
    first: list[Reject] = []
    for parsed in parsed_blocks(lines, limits, threads, total_bytes(lines), progress, note):
        rows += parsed.rows.num_rows
        rejects += len(parsed.rejects)
        first += parsed.rejects[: max(shown - len(first), 0)]
    for path in tables:
        for refused in _wrong_rows(path, limits):
            rows += refused is None
            rejects += refused is not None
            if refused is not None and len(first) < shown:
                first.append(refused)
    if rows + rejects == 0:
        raise RecordError(f"{', '.join(given[:3])} holds no line; at least one example is needed")
    return Validated(rows, rejects, first)


def tables_of(path: Path) -> list[Path]:
    """The Parquet files that a name means: itself, or those of a folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.suffix == ".parquet" and path.exists() else []


def _only_tables(path: Path) -> bool:
    return (
        path.is_dir() and bool(tables_of(path)) and not any(path.rglob("*.jsonl*")) and not any(path.rglob("*.ndjson*"))
    )


def _wrong_rows(path: Path, limits: Limits) -> Iterator[Reject | None]:
    """For every row of a Parquet file: None, or a Reject whose line is the row's number from 1."""
    number = 0
    for table in ParquetSource(path).tables():
        for batch in table.to_batches(OBJECT_ROWS):
            for example in from_arrow(batch):
                number += 1
                try:
                    parse_example(to_line(example), limits)
                    yield None
                except (RecordError, TypeError, ValueError) as error:
                    yield Reject(str(path), number, 0, str(error), str(example.id)[:80])


def export(
    source: str | Path, output: str | Path | BinaryIO, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write the examples of a Parquet file or folder as JSONL; returns their number.

    output : a path, or a binary stream such as standard output
    progress : called with rows written and rows in all
    """
    files, done = parquet_files(source), 0
    sources = [ParquetSource(file) for file in files]
    n_rows = sum(one.n_rows for one in sources)
    if not n_rows:
        raise RecordError(f"{source} holds no examples; at least one is needed")
    stream = cast(BinaryIO, output) if hasattr(output, "write") else None
    path = Path() if stream is not None else Path(cast("str | Path", output))
    if stream is None:
        refuse_overwriting([path], files)
    with nullcontext(stream) if stream is not None else WholeFile(path, mode=mode_of(files)) as file:
        for table in (table for one in sources for table in one.tables()):
            for batch in table.to_batches(OBJECT_ROWS):
                file.write(b"".join(to_line(example) + b"\n" for example in from_arrow(batch)))
                done += batch.num_rows
                if progress is not None:
                    progress(done, n_rows)
    return done
