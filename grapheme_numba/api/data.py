"""`gn.convert`: JSONL to Parquet as `grapheme-data convert` does it."""

import os
from collections.abc import Iterable

from grapheme_numba import arguments
from grapheme_numba.data.jsonl import convert as converting
from grapheme_numba.data.jsonl.convert import Converted
from grapheme_numba.errors import RecordError, UsageError


def convert(
    inputs: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    shards: int = 1,
    rows_per_file: int | None = None,
    rejects: str | os.PathLike[str] | None = None,
    max_rejects: int = 0,
    strict: bool = False,
    threads: int | None = None,
) -> Converted:
    """Convert JSONL (files, globs, folders, gzip, zstd) to one Parquet file or to a folder of them.

    Parameters
    ----------
    inputs : path, or iterable of paths
    output : path
        A `.parquet` file; a folder where `shards` or `rows_per_file` asks for several files.
    shards : int
        Number of files, of about equal size.
    rows_per_file : int, optional
        Rows of each file instead.
    rejects : path, optional
        Where refused lines go; `<output>.rejects.jsonl` without it.
    max_rejects : int
        Refused lines that are tolerated.
    strict : bool
        Stop at the first refused line, and write nothing.
    threads : int, optional
        Parsing threads; one a core without it.

    Returns
    -------
    Converted
        `rows_in`, `rows_out`, `rejects` (counts), `first_reject`, `outputs` and `rejects_path`.

    Raises
    ------
    RecordError
        More lines were refused than are tolerated (both files are written by then), or there is no line.
    MissingInputError, UsageError, OutputError
    """
    single = isinstance(inputs, str | os.PathLike)
    given = [inputs] if single else arguments.listed("inputs", inputs, "a path, or several")
    names = [str(arguments.path("inputs", one)) for one in given]
    arguments.whole("shards", shards, 1)
    for name, number, least in (("rows_per_file", rows_per_file, 1), ("threads", threads, 1)):
        if number is not None:
            arguments.whole(name, number, least)
    if shards > 1 and rows_per_file is not None:
        raise UsageError("shards and rows_per_file say the same in two ways; give one of them")
    arguments.whole("max_rejects", max_rejects, 0)
    done = converting.convert(
        names,
        str(arguments.path("output", output)),
        rejects=None if rejects is None else str(arguments.path("rejects", rejects)),
        strict=strict,
        shards=shards,
        rows_per_file=rows_per_file,
        threads=threads,
    )
    first = done.first_reject
    if done.rejects > max_rejects and first is not None:
        raise RecordError(
            f"{done.rejects} of {done.rows_in} lines were refused, {max_rejects} are tolerated (max_rejects); the "
            f"first: {first.file}, line {first.line}, byte {first.offset}: {first.reason}; all in {done.rejects_path}"
        )
    return done
