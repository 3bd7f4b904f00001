"""No command writes over what it reads, however the two are named, nor over a folder, device or pipe."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from odd_lines import TEXT

from grapheme_numba.cli.data import main
from grapheme_numba.data.stream.dataset import open_dataset, open_parquet
from grapheme_numba.errors import MissingInputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A JSONL file under three names, its Parquet, and a table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(TEXT + b"\n")
    (tmp_path / "link").symlink_to("a.jsonl")
    os.link("a.jsonl", "hard")
    (tmp_path / "t.csv").write_text("x,y\n1,2\n")
    assert CliRunner().invoke(main, ["convert", "a.jsonl"]).exit_code == 0
    return tmp_path


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ("convert a.jsonl -o a.jsonl", "a.jsonl is read"),
        ("convert a.jsonl -o link", "link is read"),
        ("convert a.jsonl -o hard", "hard is read"),
        ("convert . -o ./a.jsonl", "a.jsonl is read"),
        ("convert a.jsonl -o b.parquet --rejects a.jsonl", "a.jsonl is read"),
        ("convert a.jsonl -o b.parquet --rejects ./b.parquet", "b.parquet would be written twice"),
        ("convert a.jsonl -o shards --shards 2 --rejects link", "link is read"),
        ("export a.parquet -o a.parquet", "a.parquet is read"),
        ("export . -o a.parquet", "a.parquet is read"),
        ("import csv t.csv --input-column x --target-column y -o t.csv", "t.csv is read"),
    ],
)
def test_what_is_read_stays(folder, args, named):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = CliRunner().invoke(main, args.split())
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {named}")
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("args", ["convert a.jsonl -o pipe", "convert a.jsonl -o inside", "export a.parquet -o pipe"])
def test_what_is_no_file_is_not_replaced_by_one(folder, args):
    os.mkfifo("pipe")
    (folder / "inside").mkdir()
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    done = CliRunner().invoke(main, args.split())
    assert done.exit_code == 74
    assert "it is a folder, device or pipe, which a file would replace; name a file" in done.stderr
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_a_pipe_is_read_like_standard_input(folder):
    command = "cat a.jsonl | {0} convert /dev/stdin -o b.parquet && {0} convert <(cat a.jsonl) -o c.parquet"
    program = f"{sys.executable} -m grapheme_numba.cli.data"
    subprocess.run(["bash", "-c", command.format(program)], check=True)
    for name in ("b.parquet", "c.parquet"):
        assert open_parquet(name).fingerprint == open_parquet("a.parquet").fingerprint
    os.mkfifo("pipe")
    with pytest.raises(MissingInputError, match="pipe is a pipe or device; turn what it gives into a file"):
        open_dataset("pipe")


def test_a_folder_of_shards_is_validated(folder):
    (folder / "a.jsonl").write_bytes((TEXT + b"\n") * 5)
    done = CliRunner().invoke(main, ["convert", "a.jsonl", "-o", "shards", "--shards", "2"])
    assert done.exit_code == 0
    assert CliRunner().invoke(main, ["validate", "shards"]).stdout == "5 usable rows, 0 rejects\n"
    damaged = bytearray((folder / "shards" / "part-00001.parquet").read_bytes())
    damaged[-300] ^= 1
    (folder / "shards" / "part-00001.parquet").write_bytes(damaged)
    for command in ("validate", "inspect", "export"):
        done = CliRunner().invoke(main, [command, "shards"])
        assert (done.exit_code, done.stderr.count("\n")) == (65, 1)
        assert "part-00001.parquet is damaged" in done.stderr
