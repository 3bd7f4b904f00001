"""Parquet back to JSONL: record for record what `convert` was given."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from grapheme_numba.data.schema import from_arrow, to_line
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.files.overwriting import refuse_overwriting
from grapheme_numba.files.whole_file import WholeFile

ROWS = 4096  # made into Python objects at once


def export(
    source: str | Path, output: str | Path | BinaryIO, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write the examples of a Parquet file or folder as JSONL; returns their number.

    output : a path, or a binary stream such as standard output
    progress : called with rows written and rows in all
    """
    dataset = open_parquet(source)
    if not hasattr(output, "write"):
        refuse_overwriting([output], dataset.files)
    file = output if hasattr(output, "write") else WholeFile(Path(output))
    done = 0
    try:
        for table in dataset.tables():
            for batch in table.to_batches(ROWS):
                file.write(b"".join(to_line(example) + b"\n" for example in from_arrow(batch)))
                done += batch.num_rows
                if progress is not None:
                    progress(done, dataset.n_rows)
    except BaseException:
        if file is not output:
            file.abandon()
        raise
    if file is not output:
        file.finish()
    return done
