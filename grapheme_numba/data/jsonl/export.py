"""Parquet back to JSONL: record for record what `convert` was given."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO, cast

from grapheme_numba.data.schema import from_arrow, to_line
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.files.storage import WholeFile, mode_of, refuse_overwriting

ROWS = 4096  # made into Python objects at once


def export(
    source: str | Path, output: str | Path | BinaryIO, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write the examples of a Parquet file or folder as JSONL; returns their number.

    output : a path, or a binary stream such as standard output
    progress : called with rows written and rows in all
    """
    dataset, done = open_parquet(source), 0
    stream = cast(BinaryIO, output) if hasattr(output, "write") else None
    path = Path() if stream is not None else Path(cast("str | Path", output))
    if stream is None:
        refuse_overwriting([path], dataset.files)
    with nullcontext(stream) if stream is not None else WholeFile(path, mode=mode_of(dataset.files)) as file:
        for table in dataset.tables():
            for batch in table.to_batches(ROWS):
                file.write(b"".join(to_line(example) + b"\n" for example in from_arrow(batch)))
                done += batch.num_rows
                if progress is not None:
                    progress(done, dataset.n_rows)
    return done
