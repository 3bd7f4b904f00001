"""What `bench/data.py` runs in processes of their own: imports first, then the clock."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
EPOCHS = 3

Task: TypeAlias = tuple[Callable[[], object], int]  # what is timed, and its bytes or examples


def convert(folder: Path) -> Task:
    """Ours: typed parsing, every line checked, rejects kept, checksums and digests written."""
    from grapheme_numba.data.jsonl.convert import convert as run
    from grapheme_numba.data.jsonl.lines import Block
    from grapheme_numba.data.jsonl.scanner import parse_block
    from grapheme_numba.data.records import DEFAULT_LIMITS

    parse_block(Block("", b"{}\n", 1, 0, 0), DEFAULT_LIMITS)  # loads or compiles the scanner
    source = folder / "sample.jsonl"

    def work() -> None:
        done = run([source], folder / "ours.parquet")
        if done.rejects:
            raise ValueError(f"{done.rejects} rejects")

    return work, source.stat().st_size


def polars(folder: Path) -> Task:
    """polars: scan_ndjson with the schema given, sink_parquet."""
    import polars as pl

    numbers = pl.List(pl.Float64)
    given = pl.Struct({"text": pl.String, "values": numbers, "width": pl.Int32, "height": pl.Int32, "pixels": numbers})
    names = ("id", "domain", "input_type", "expected_output")
    metadata = pl.Struct({"operator": pl.String, "pattern": pl.String})
    schema: dict[str, type[pl.String] | pl.Struct] = {
        **dict.fromkeys(names, pl.String), "input": given, "metadata": metadata,
    }  # fmt: skip
    source = folder / "sample.jsonl"

    def work() -> None:
        pl.scan_ndjson(source, schema=schema).unnest("input").sink_parquet(
            folder / "polars.parquet", compression="zstd"
        )

    return work, source.stat().st_size


def duckdb(folder: Path) -> Task:
    """duckdb: read_json with the columns given, COPY TO parquet."""
    import duckdb as db

    given = "STRUCT(text VARCHAR, values DOUBLE[], width INTEGER, height INTEGER, pixels DOUBLE[])"
    names = ("id", "domain", "input_type", "expected_output")
    columns = {**dict.fromkeys(names, "VARCHAR"), "input": given, "metadata": "JSON"}
    source, target = folder / "sample.jsonl", folder / "duckdb.parquet"
    connection = db.connect()
    connection.execute("SET enable_progress_bar = false")
    read = f"read_json('{source}', format='newline_delimited', columns={columns})"

    def work() -> None:
        select = f"SELECT {', '.join(names)}, input.*, metadata FROM {read}"
        connection.execute(f"COPY ({select}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")

    return work, source.stat().st_size


def batches(folder: Path) -> Task:
    """Ours: reading, shuffling and encoding batches of 64, as training asks for them."""
    from grapheme_numba.data.codec.layout import shared_layout
    from grapheme_numba.data.stream.open_dataset import open_dataset

    dataset = open_dataset(folder / "ours.parquet")
    layout = shared_layout(dataset.summary(), 8)
    next(dataset.batches(layout, 64, seed=0))

    def work() -> None:
        for epoch in range(EPOCHS):
            for _ in dataset.batches(layout, 64, seed=0, epoch=epoch):
                pass

    return work, dataset.n_rows * EPOCHS


TASKS = {task.__name__: task for task in (convert, polars, duckdb, batches)}


def main(task: str, folder: str) -> None:
    """Run one task and write its figures as one JSON object."""
    work, amount = TASKS[task](Path(folder))
    start, used = time.perf_counter(), time.process_time()
    work()
    seconds, used = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MEMORY_UNIT / 1e6
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu": used, "amount": amount, "peak_mb": peak}) + "\n")
