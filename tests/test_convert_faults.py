"""Conversion when things fail: a full disk, a failing rename, kill -9. The old file or the new one, never a mixture."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from odd_lines import TEXT

from grapheme_numba.data.jsonl.convert import convert, export
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import OutputError
from grapheme_numba.files import storage


def write(path, records):
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))
    return path


def read(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("room", [0, 4, 1000, 8000])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, room):
    write(tmp_path / "a.jsonl", generate(50, "train"))
    (tmp_path / "a.parquet").write_bytes(b"old")
    real, left = storage.write, [room]

    def write_to_full_disk(descriptor, data):
        left[0] -= len(data)
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(storage, "write", write_to_full_disk)
    with pytest.raises(OutputError, match="cannot write .*a.parquet: No space left on device; what was there"):
        convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.parquet"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failing_fsync_or_rename_leaves_the_old_file(tmp_path, monkeypatch, step):
    write(tmp_path / "a.jsonl", generate(5, "train"))
    (tmp_path / "a.parquet").write_bytes(b"old")

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, step, fail)
    with pytest.raises(OutputError, match="Input/output error"):
        convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.parquet"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(TEXT)
    with pytest.raises(OutputError, match="cannot write in .*nowhere: No such file or directory"):
        convert([tmp_path / "a.jsonl"], tmp_path / "nowhere" / "a.parquet")


KILLED = """
import sys
from grapheme_numba.data.jsonl.convert import convert
while True:
    convert(sys.argv[1:2], sys.argv[2], threads=1)
"""


def test_kill_9_leaves_the_old_or_the_new_file(tmp_path):
    records_ = list(generate(100, "train"))
    write(tmp_path / "a.jsonl", records_)
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    for i in range(int(os.environ.get("GRAPHEME_KILLS", "3"))):
        process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "a.jsonl", tmp_path / "a.parquet"])
        before = (tmp_path / "a.parquet").stat().st_ino
        while (tmp_path / "a.parquet").stat().st_ino == before and process.poll() is None:
            time.sleep(0.01)  # until the first of its conversions is done
        time.sleep(0.003 * i)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert open_parquet(tmp_path / "a.parquet").n_rows == len(records_)
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")  # clears what the dead ones left
    kept = [".a.parquet.origin", "a.jsonl", "a.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept
    export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert read(tmp_path / "b.jsonl") == records_
