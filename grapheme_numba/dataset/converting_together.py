"""JSONL files shared out among ranks: each file becomes one Parquet file of a folder, whoever converts it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from grapheme_numba.dataset.convert import Converted, convert, default_rejects_path
from grapheme_numba.dataset.lines import find_sources
from grapheme_numba.dataset.records import DEFAULT_LIMITS, Limits
from grapheme_numba.dataset.rejects import Reject
from grapheme_numba.dataset.shards import refuse_existing
from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files.overwriting import refuse_overwriting
from grapheme_numba.files.whole_file import WholeFile, sync_folder

REJECTS = ".rejects.jsonl"
COPIED = 1 << 20  # bytes of rejects moved at once


class Done(msgspec.Struct, frozen=True):
    """What the conversion of one file gave; `first` is its first refused line."""

    index: int
    rows_in: int
    rows_out: int
    rejects: int
    first: Reject | None


def convert_together(
    comm,
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
            given = dict(rejects=refused, strict=strict, limits=limits, threads=threads, progress=progress)
            one = convert([sources[index]], target, **given)
            done.append(Done(index, one.rows_in, one.rows_out, one.rejects, one.first_reject))
        told = [msgspec.msgpack.decode(said, type=list[Done]) for said in comm.meet(msgspec.msgpack.encode(done))]
        done = sorted((one for rank in told for one in rank), key=lambda one: one.index)
        if comm.rank == 0:
            finish(folder, output, rejects, done)
        comm.meet()
    except BaseException:
        if comm.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    rows_in, rows_out, refused = (sum(getattr(one, key) for one in done) for key in ("rows_in", "rows_out", "rejects"))
    first = next((one.first for one in done if one.first is not None), None)
    outputs = [output / f"part-{one.index:05d}.parquet" for one in done]
    return Converted(rows_in, rows_out, refused, first, outputs, rejects)


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
    load, found = [0] * size, []
    for index in sorted(range(len(sources)), key=lambda index: (-sizes[index], index)):
        lightest = min(range(size), key=lambda other: (load[other], other))
        load[lightest] += sizes[index]
        if lightest == rank:
            found.append(index)
    return sorted(found)


def finish(folder: Path, output: Path, rejects: Path, done: list[Done]) -> None:
    """Gather the rejects of all files, in their order, and give the folder its name."""
    merged = WholeFile(rejects) if any(one.rejects for one in done) else None
    for one in done:
        path = folder / f"part-{one.index:05d}{REJECTS}"
        if one.rejects:
            with path.open("rb") as file:
                while data := file.read(COPIED):
                    merged.write(data)
            path.unlink()
    if merged is not None:
        merged.finish()
    else:
        rejects.unlink(missing_ok=True)
    try:
        os.chmod(folder, 0o755)
        os.replace(folder, output)
        sync_folder(output.parent)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror}") from None
