"""The most memory that a whole process takes, against what is promised: 600 MB to convert, 512 MB to read."""

import gzip
import json
import os
import subprocess
import sys

import heavy_lines
import pyarrow as pa
import pytest

MOST_CONVERTING, MOST_READING = 600, 512
# A child's peak counts its parent's memory until it starts its own program, and a test's is large: so a small
# process starts the program.
STARTER = """
import os, subprocess, sys
run = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(run.pid, 0)
print(os.waitstatus_to_exitcode(status), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
BATCHES = """
import sys
from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.stream.open_dataset import open_dataset
dataset = open_dataset(sys.argv[1])
for batch in dataset.batches(shared_layout(dataset.summary(), 8), int(sys.argv[2]), seed=0):
    pass
"""
COMMAND = ("-m", "grapheme_numba.cli.data")
READERS = {
    "inspect": (*COMMAND, "inspect", "{file}"),
    "validate": (*COMMAND, "validate", "{file}", "--max-line-bytes", "100000000", "--max-numbers", "100000000"),
    "export": (*COMMAND, "export", "{file}", "-o", "{file}.json"),
    "shuffled batches": ("-c", BATCHES, "{file}", "{rows}"),
}
# Just below what a row group may unpack to, with the levels and lengths that come on top.
GROUPS = {"texts of one row": 19, "texts of many rows": 19, "numbers of one row": 11, "numbers of many rows": 18}


def peak(*arguments) -> int:
    """Megabytes that a Python process took at most; it has to succeed."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-c", STARTER, sys.executable, *map(str, arguments)]
    done = subprocess.run(program, env=variables, capture_output=True, text=True, check=True)
    status, used = map(int, done.stdout.split())
    assert status == 0, done.stderr
    return used // 1_000_000


def converting(folder, name) -> int:
    """Megabytes that the conversion of a file took at most."""
    return peak(*COMMAND, "convert", folder / name, "-o", folder / "out.parquet", "--max-rejects", "1000")


def test_a_peak_is_seen():
    """And none of ours is counted."""
    held = bytearray(400_000_000)
    assert 300 < peak("-c", "bytearray(b'x') * 300_000_000") < 350
    assert len(held)


@pytest.mark.parametrize("name", ["text", "values"])
def test_long_lines_are_converted_in_bounded_memory(tmp_path, name):
    with open(tmp_path / "a.jsonl", "wb") as file:
        heavy_lines.write_lines(file, [name], 4)
    assert converting(tmp_path, "a.jsonl") < MOST_CONVERTING


@pytest.mark.long
def test_lines_of_every_kind_are_converted_in_bounded_memory(tmp_path, figure):
    found = {}
    for name in heavy_lines.LINES:
        with open(tmp_path / "a.jsonl", "wb") as file:
            heavy_lines.write_lines(file, [name], 4)
        found[name] = converting(tmp_path, "a.jsonl")
    names = [name for name in heavy_lines.LINES if "unknown" not in name]
    with open(tmp_path / "a.jsonl", "wb") as file:
        heavy_lines.write_lines(file, names, 1)
    data = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data, 1))
    with pa.CompressedOutputStream(str(tmp_path / "a.jsonl.zst"), "zstd") as file:
        file.write(data)
    for packed in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        found[f"mixed, {packed}"] = converting(tmp_path, packed)
    most = max(found, key=found.get)
    assert found[most] < MOST_CONVERTING, json.dumps(found, indent=1)
    figure(
        f"`convert` of lines of 15 MB, of {len(heavy_lines.LINES)} kinds, plain, gzip and zstd",
        f"at most {found[most]} MB for the whole process ({most}); {MOST_CONVERTING} are promised",
    )


@pytest.mark.long
def test_files_that_unpack_to_8_gb_are_read_in_bounded_memory(tmp_path, figure):
    found = {}
    for name, size in GROUPS.items():
        rows = (
            8 if name == "numbers of one row" else 64
        )  # encoded, 64 rows of a million numbers are 370 MB by themselves
        heavy_lines.write_bomb(tmp_path / "a.parquet", name, size << 20, 8_000_000_000 if size == 19 else 500_000_000)
        for how, arguments in READERS.items():
            if how in ("inspect", "shuffled batches") or size != 19:
                found[f"{how}, {name}"] = peak(
                    *(part.format(file=tmp_path / "a.parquet", rows=rows) for part in arguments)
                )
    most = max(found, key=found.get)
    assert found[most] < MOST_READING, json.dumps(found, indent=1)
    figure(
        "small Parquet files that unpack to 8 GB, read by " + ", ".join(READERS),
        f"at most {found[most]} MB for the whole process ({most}); {MOST_READING} are promised",
    )
