"""kill -9 and a full disk while data is written: the old file or the new one, never a mixture."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from grapheme_numba.cli.data import main
from grapheme_numba.data.jsonl.convert import convert, export
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset

WRITER = """
import itertools, os, sys
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.stream.open_dataset import open_dataset
folder = sys.argv[1]
os.chdir(folder)
print("ready", flush=True)
for i in itertools.count():
    convert("ab"[i % 2] + ".jsonl", "out.parquet", rejects="out.rejects", threads=1)
    convert("a.jsonl", f"shards-{os.getpid()}-{i}", rows_per_file=70, threads=1)
    open_dataset("a.jsonl").close()
    for file in os.scandir(".grapheme_cache"):
        os.unlink(file)
"""


def prepare(folder):
    """Two versions of the data, the second with two lines that are refused; what each exports to."""
    first, second = list(generate(50, "train")), list(generate(40, "train", seed=1))
    (folder / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in first))
    (folder / "b.jsonl").write_text("".join(json.dumps(one) + "\n" for one in second) + "bad\n{}\n")
    return first, second


def exported(path, folder):
    export(path, folder / "back.json")
    return [json.loads(line) for line in (folder / "back.json").read_bytes().splitlines()]


def kill_writers(folder, n, rng):
    """Kill n writers at random moments; after each, every file is a whole one of one version."""
    (first, second), n_shards = prepare(folder), 0
    for _ in range(n):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, folder], stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(float(rng.uniform(0.2, 1.5)))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        if (folder / "out.parquet").exists():
            assert exported(folder / "out.parquet", folder) in (first, second)
        if (folder / "out.rejects").exists():
            assert [json.loads(line)["line"] for line in (folder / "out.rejects").read_text().splitlines()] == [
                161,
                162,
            ]
        for shards in folder.glob("shards-*"):
            assert exported(shards, folder) == first
            shutil.rmtree(shards)  # seen; else the last kill would look through the folders of all before
            n_shards += 1
        assert open_dataset(folder / "a.jsonl").n_rows == len(first)
    assert n_shards


def test_kill_9_leaves_whole_files(tmp_path, rng):
    kill_writers(tmp_path, 3, rng)


@pytest.mark.long
def test_kill_9_leaves_whole_files_200_times(tmp_path, rng, figure):
    n = int(os.environ.get("GRAPHEME_KILLS", "200"))
    kill_writers(tmp_path, n, rng)
    figure("kill -9 while converting to a file, rejects, shards, the cache", f"whole files after {n} of {n}")


@contextmanager
def small_disk(folder, n_byte):
    """A disk of n_byte bytes if this user may mount one, else a limit on the size of a file: how, in a word."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={n_byte}", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield "a full disk"
        finally:
            subprocess.run(["umount", folder], check=True)
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_byte, before[1]))
    try:
        yield "a limit on the size of files"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


COMMANDS = [
    "convert {data} -o {disk}/old.parquet",
    "convert {data} -o {disk}/new.parquet",
    "convert {data} -o {disk}/shards --shards 3",
    "convert {data} -o {disk}/shards --rows-per-file 2000",
    "convert {bad} -o {folder}/x.parquet --rejects {disk}/old.jsonl",
    "export {parquet} -o {disk}/old.jsonl",
    "import csv {table} --input-column x --target-column y -o {disk}/old.parquet",
    "generate {disk}/made --samples 300",
]


@pytest.mark.parametrize("room", [0, 40_000])
def test_a_full_disk_keeps_the_old_files(tmp_path, room, figure):
    """Every command that writes, on a disk that is full after `room` bytes."""
    names = {name: tmp_path / file for name, file in (
        ("data", "a.jsonl"), ("bad", "bad.jsonl"), ("table", "t.csv"), ("parquet", "a.parquet"), ("disk", "disk"),
        ("folder", "."),
    )}  # fmt: skip
    names["data"].write_text("".join(json.dumps(one) + "\n" for one in generate(1200, "train")))
    names["bad"].write_text("no JSON at all\n" * 1500)
    names["table"].write_text("x,y\n" + "".join(f"{i * 7919 % 99991},{i * i}\n" for i in range(9000)))
    convert(names["data"], names["parquet"])
    assert names["parquet"].stat().st_size > 60_000
    with small_disk(names["disk"], 8192 + 4096 * -(-room // 4096)) as how:
        for old in ("old.parquet", "old.jsonl"):
            (names["disk"] / old).write_bytes(b"old")
        for command in COMMANDS:
            args = [part.format(**names) for part in command.split()]
            done = CliRunner().invoke(main, args)
            assert (done.exit_code, done.stderr.count("\n")) == (74, 1), (command, done.stderr)
            left = {path.name for path in names["disk"].rglob("*") if path.is_file()}
            assert left == {"old.parquet", "old.jsonl"}, command
            assert {(names["disk"] / name).read_bytes() for name in left} == {b"old"}, command
    figure(f"{how} after {room} bytes", f"old files kept by {len(COMMANDS)} of {len(COMMANDS)} commands")


def test_a_full_disk_is_told_by_the_cache(tmp_path):
    with small_disk(tmp_path / "disk", 1 << 20):
        path = tmp_path / "disk" / "a.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in generate(900, "train")))
        (tmp_path / "disk" / "filler").write_bytes(b"x" * ((1 << 20) - path.stat().st_size - 16_384))
        code = "import sys; from grapheme_numba.data.stream.open_dataset import open_dataset; open_dataset(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert "OutputError: cannot write" in done.stderr
        assert not list((tmp_path / "disk").rglob("*.parquet"))
        (tmp_path / "disk" / "filler").unlink()
        assert open_parquet(open_dataset(path).files[0]).n_rows == 3600
