"""JSONL to Parquet beside polars and duckdb, and batches beside the clock, each in a process of its own.

The baselines write the same columns with zstd; only ours checks every line and keeps rejects. Runs are taken in
turn, so that noise hits all of them.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.bench.records import as_record
from grapheme_numba.bench.timing import ratio_of, timing_of
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.errors import GraphemeError

FULL_MB, QUICK_MB, DISTINCT = 1000, 64, 25_000  # DISTINCT examples of each domain, repeated to the size
PROGRAM = "import sys; from grapheme_numba.bench import data_tasks as t; t.main(*sys.argv[1:])"
NEEDS = {"polars": "polars", "duckdb": "duckdb"}


class Row(NamedTuple):
    """One task: median, lowest and highest seconds; amount / seconds is the rate.

    cpu : median processor seconds of all threads, which noise on the machine hardly touches
    times : how many times faster ours is, None for ours; peak_mb : most memory of the process
    """

    task: str
    size_mb: float
    unit: str
    rate: float
    median: float
    low: float
    high: float
    cpu: float
    times: float | None
    peak_mb: float


def write_sample(path: Path, size_mb: float) -> None:
    """A mixed JSONL file of about `size_mb` million bytes."""
    distinct = max(min(DISTINCT, int(size_mb * 1000)), 10)
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in generate(distinct, "train"))
    with open(path, "wb") as file:
        while file.tell() < size_mb * 1e6:
            file.write(lines[: lines.rfind(b"\n", 0, int(size_mb * 1e6) - file.tell() + 1) + 1] or lines)


def run_task(task: str, folder: Path) -> dict[str, float]:
    """One task in a process of its own: seconds, amount and peak memory."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, task, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise GraphemeError(f"{task} failed: {done.stderr.strip().splitlines()[-1][:200]}")
    return json.loads(done.stdout)


def run_data(
    repeat: int = 3, quick: bool = False, progress: Callable[[str], object] | None = None, size_mb: float | None = None
) -> dict[str, Any]:
    """Measure conversion and batches; returns a record of `Row`s with the baselines that are installed."""
    size_mb = size_mb or (QUICK_MB if quick else FULL_MB)
    tasks = ["convert", *(name for name, module in NEEDS.items() if importlib.util.find_spec(module)), "batches"]
    with tempfile.TemporaryDirectory(prefix="grapheme-bench-") as name:
        folder = Path(name)
        write_sample(folder / "sample.jsonl", size_mb)
        runs: dict[str, list[dict[str, float]]] = {task: [] for task in tasks}
        for _ in range(max(repeat, 1)):
            for task in tasks:
                if progress is not None:
                    progress(f"measuring {task}")
                runs[task].append(run_task(task, folder))
    return as_record("data", [_row(task, runs, size_mb) for task in tasks])


def _row(task: str, runs: dict[str, list[dict[str, float]]], size_mb: float) -> Row:
    own = runs[task]
    seconds = [one["seconds"] for one in own]
    timing = timing_of(seconds)
    times = ratio_of([one["seconds"] for one in runs["convert"]], seconds).median if task in NEEDS else None
    unit = "M examples/s" if task == "batches" else "MB/s"
    amount = own[0]["amount"] / 1e6
    peak = max(one["peak_mb"] for one in own)
    return Row(
        task,
        size_mb,
        unit,
        amount / timing.median,
        timing.median,
        timing.low,
        timing.high,
        timing_of([one["cpu"] for one in own]).median,
        times,
        peak,
    )


def cells(record: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows as text, the header first."""
    header = ("task", "MB", "rate", "unit", "s", "low", "high", "cpu s", "ours is", "peak MB")
    rows = []
    for row in record["rows"]:
        times = f"{row['times']:.2f} times faster" if row["times"] else ""
        seconds = (f"{row[key]:.2f}" for key in ("median", "low", "high", "cpu"))
        rows.append(
            (
                row["task"],
                f"{row['size_mb']:.0f}",
                f"{row['rate']:.2f}",
                row["unit"],
                *seconds,
                times,
                f"{row['peak_mb']:.0f}",
            )
        )
    return [header, *rows]
