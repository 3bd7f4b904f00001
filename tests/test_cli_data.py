"""`grapheme-data` as a stranger uses it: what it prints, where, and the exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from odd_lines import TEXT

from grapheme_numba.cli.data import main


def run(*args, stdin=None):
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(TEXT + b"\n" + TEXT + b"\n")
    return path


def test_generate_validate_convert_inspect_export(tmp_path):
    done = run("generate", tmp_path / "d", "--samples", 20, "--seed", 4)
    assert done.stdout == f"{tmp_path / 'd'}: 64 train, 8 val, 8 test\n"
    assert run("validate", tmp_path / "d").stdout == "80 usable rows, 0 rejects\n"
    done = run("convert", tmp_path / "d", "-o", tmp_path / "all.parquet")
    assert done.stdout == f"{tmp_path / 'all.parquet'}: 80 rows in = 80 rows out + 0 rejects\n"
    done = run("inspect", tmp_path / "all.parquet")
    assert "80 rows, checksums ok, fingerprint" in done.stdout
    assert "vision: 20 rows, image up to 64 pixels" in done.stdout
    assert done.stdout.count('{"id":') == 3
    done = run("export", tmp_path / "all.parquet", "--output", tmp_path / "back.jsonl")
    assert done.stdout == f"{tmp_path / 'back.jsonl'}: 80 rows\n"
    splits = ("test", "train", "val")
    given = [
        json.loads(line) for split in splits for line in (tmp_path / "d" / f"{split}.jsonl").read_text().splitlines()
    ]
    assert [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()] == given
    assert all(result.exit_code == 0 for result in (done, run("inspect", tmp_path / "d" / "val.jsonl")))


def test_json_output_is_one_object_a_line(lines, tmp_path):
    done = run("convert", lines, "--log-format", "json")
    assert json.loads(done.stdout) == {
        "rows_in": 2,
        "rows_out": 2,
        "rejects": 0,
        "outputs": [str(tmp_path / "a.parquet")],
    }
    found = [
        json.loads(line) for line in run("inspect", tmp_path / "a.parquet", "--log-format", "json").stdout.splitlines()
    ]
    assert found[0]["rows"] == 2
    assert found[1]["domain"] == "d"
    assert found[2]["sample"]["id"] == "a"
    assert run("convert", lines, "--quiet").output == ""


def test_a_reject_is_exit_65_after_both_files_are_written(lines, tmp_path):
    lines.write_bytes(lines.read_bytes() + b"{}\n")
    done = run("convert", lines, tmp_path / "x.parquet")
    assert done.exit_code == 65
    assert done.stdout.endswith("3 rows in = 2 rows out + 1 rejects\n")
    assert done.stderr.startswith("error: 1 of 3 lines were refused, 0 are tolerated (--max-rejects); the first: ")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "x.parquet").exists()
    assert json.loads((tmp_path / "x.rejects.jsonl").read_text())["line"] == 3
    assert run("convert", lines, tmp_path / "x.parquet", "--max-rejects", 1).exit_code == 0
    assert run("convert", lines, tmp_path / "x.parquet", "--rejects", tmp_path / "mine.jsonl").exit_code == 65
    assert (tmp_path / "mine.jsonl").exists()
    done = run("convert", lines, tmp_path / "strict.parquet", "--strict")
    assert (done.exit_code, "line 3" in done.stderr) == (65, True)
    assert not (tmp_path / "strict.parquet").exists()
    done = run("validate", lines)
    assert done.exit_code == 65
    assert f"{lines}, line 3, byte {2 * len(TEXT) + 2}: id is missing" in done.stdout
    assert run("validate", lines, "--max-rejects", 1).exit_code == 0


def test_standard_input_and_output(tmp_path):
    assert run("convert", "-", "-o", tmp_path / "a.parquet", stdin=TEXT + b"\n").exit_code == 0
    assert json.loads(run("export", tmp_path / "a.parquet").stdout) == json.loads(TEXT)


def test_limits_are_options(lines, tmp_path):
    done = run("convert", lines, "--max-line-bytes", 20)
    assert done.exit_code == 65
    assert "more than the limit of 20" in done.stderr
    assert run("validate", lines, "--max-depth", 1).exit_code == 65


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (["convert", "nowhere.jsonl", "-o", "a.parquet"], 66, "nowhere.jsonl does not exist"),
        (["convert", "a.jsonl", "b.jsonl"], 2, "no output; add --output FILE.parquet"),
        (["convert", "a.jsonl", "-o", "no/where/a.parquet"], 74, "cannot write in no/where"),
        (["convert"], 2, "Missing argument 'INPUTS...'"),
        (["convert", "a.jsonl", "--shards", "0"], 2, "0 is not in the range"),
        (["convert", "a.jsonl", "--shards", "2", "--rows-per-file", "1"], 2, "give one of them"),
        (["convert", "a.jsonl", "b.parquet", "-o", "c.parquet"], 2, "b.parquet is named as Parquet"),
        (["convert", "empty.jsonl"], 65, "empty.jsonl holds no line"),
        (["convert", "a.jsonl", "-o", "full", "--shards", "2"], 2, "full already holds something"),
        (["export", "nowhere.parquet"], 66, "nowhere.parquet does not exist"),
        (["export", "a.jsonl"], 65, "a.jsonl is not a whole Parquet file"),
        (["inspect", "nowhere"], 66, "nowhere does not exist"),
        (["inspect", "full"], 66, "folder full holds no .parquet file"),
        (["validate", "empty.jsonl"], 65, "holds no line"),
        (["generate"], 2, "no folder to write to"),
        (["generate", "x", "--samples", "3"], 2, "3 is not in the range"),
        (["import", "gsm8k", "nowhere", "-o", "a.parquet"], 66, "nowhere does not exist"),
        (["import", "csv", "a.csv", "-o", "a.parquet"], 2, "name the columns"),
        (["import", "xml", "a.csv", "-o", "a.parquet"], 2, "'xml' is not one of"),
    ],
)
def test_errors_are_one_sentence_and_a_code(lines, tmp_path, monkeypatch, args, code, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = run(*args)
    assert done.exit_code == code
    assert reason in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_import(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n3,\n")
    columns = ["--input-column", "x", "--target-column", "y"]
    done = run("import", "csv", tmp_path / "a.csv", "-o", tmp_path / "a.parquet", *columns)
    assert done.exit_code == 65
    assert done.stdout.endswith(f"{tmp_path / 'a.parquet'}: 2 rows in = 1 rows out + 1 rejects\n")
    assert "a.csv, row 2: the answer is missing (column y); all in" in done.stderr
    refused = json.loads((tmp_path / "a.rejects.jsonl").read_text())
    assert (refused["line"], refused["reason"]) == (2, "the answer is missing (column y)")
    done = run(
        "import", "csv", tmp_path / "a.csv", "-o", tmp_path / "a.parquet", *columns, "--max", 1, "--log-format", "json"
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout.splitlines()[-1])["rows_out"] == 1


def test_every_option_has_help():
    for command in main.commands.values():
        assert command.help
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, f"{command.name} {option.name}"


def test_sigterm_stops_with_75_and_leaves_nothing(tmp_path):
    fifo = tmp_path / "in.jsonl"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "grapheme_numba.cli.data", "convert", fifo, "-o", tmp_path / "a.parquet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with open(fifo, "wb") as file:  # opens when the other side does
        file.write(TEXT + b"\n")
        file.flush()
        while not list(tmp_path.glob(".partial-*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    _, said = process.communicate()
    assert process.returncode == 75
    assert said == "error: stopped because SIGTERM was received; run the same command again\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_closed_pipe_is_no_failure(tmp_path):
    run("generate", tmp_path / "d", "--samples", 500)
    run("convert", tmp_path / "d", "-o", tmp_path / "a.parquet")
    command = f"{sys.executable} -m grapheme_numba.cli.data export {tmp_path / 'a.parquet'} | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["", "."])
def test_an_output_without_a_name_is_refused_as_usage(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("x,y\n1,2\n")
    done = CliRunner().invoke(main, ["convert", "a.csv", "--target", "y", "-o", name])
    assert done.exit_code == 2, done.output
    assert "names no file; give its name, as data.parquet" in done.output
