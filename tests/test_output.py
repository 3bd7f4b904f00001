"""What the command line prints: readers that go, and control characters out of other people's files."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import unicodedata

import pytest
from click.testing import CliRunner
from runs import small_data

from grapheme_numba.cli import bench, data, output, train
from grapheme_numba.errors import OutputError

SMALL = ["--hidden", "16", "--fan-in", "8", "--epochs", "2", "--val-freq", "1", "--batch-size", "16"]
PROGRAMS = {"train": train.main, "data": data.main, "bench": bench.main}
ESCAPES = "\x1b]0;OWNED\x07\x1b[2J\u009b31m\u202e\r\nerror: forged"
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


class Gone(io.StringIO):
    """A stream that cannot be written."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number
        self.buffer = self

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    flush = write_through = lambda self: self.write("")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data, a Parquet file, a table, a graph and a run."""
    folder = tmp_path_factory.mktemp("made")
    small_data(folder / "data")
    run = CliRunner().invoke
    (folder / "t.csv").write_text("x,y\n1,2\n3,4\n")
    (folder / "g.csv").write_text("source,target\na,b\nb,c\n")
    assert run(data.main, ["convert", str(folder / "data/test.jsonl"), "-o", str(folder / "t.parquet")]).exit_code == 0
    arguments = ["agi", "--data", str(folder / "data"), "--output", str(folder / "run"), *SMALL]
    assert run(train.main, arguments).exit_code == 0
    return folder


DISPLAYS = [
    ("train", "agi --data data --output TMP/run --hidden 16 --fan-in 8 --epochs 2"),
    ("train", "agi --data data --output TMP/json --hidden 16 --fan-in 8 --epochs 2 --log-format json"),
    ("train", "agi --data data --output TMP/rich --hidden 16 --fan-in 8 --epochs 2 --log-format rich"),
    ("train", "attribute run --data data/test.jsonl --limit 3 --output TMP/a.parquet"),
    ("train", "export run --to TMP/net.csv"),
    ("train", "plot run --output TMP/c.html"),
    ("train", "predict run --input data/train.jsonl --output TMP/a.jsonl"),
    ("data", "generate TMP/g --samples 10"),
    ("data", "convert data/test.jsonl -o TMP/c.parquet"),
    ("data", "export t.parquet -o TMP/e.jsonl"),
    ("data", "import csv t.csv --input-column x --target-column y -o TMP/i.parquet"),
]
ANSWERS = [
    ("train", "agi --data data --output TMP/run --hidden 16 --fan-in 8 --dry-run"),
    ("train", "evaluate run --data data/test.jsonl"),
    ("train", "evaluate run --data data/test.jsonl --log-format json"),
    ("train", "predict run --input data/test.jsonl"),
    ("train", "inspect run"),
    ("train", "inspect g.csv"),
    ("train", "inspect g.csv --log-format json"),
    ("train", "--help"),
    ("train", "agi --help"),
    ("train", "--version"),
    ("data", "export t.parquet"),
    ("data", "validate data/test.jsonl"),
    ("data", "inspect t.parquet --samples 0"),
    ("data", "inspect --help"),
    ("bench", "kernels --cases list"),
    ("bench", "peers --baselines list"),
    ("bench", "--version"),
]
ENDS = {"closed": None, "reader gone": errno.EPIPE, "disk full": errno.ENOSPC, "terminal gone": errno.EIO}


def run_to(stream, monkeypatch, made, tmp_path, program, line):
    """Run a command with this standard output; its exit code and what it said on standard error."""
    said = io.StringIO()
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", said)
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program].main(line.replace("TMP", str(tmp_path)).split(), prog_name=f"grapheme-{program}")
    monkeypatch.undo()
    return ended.value.code, said.getvalue()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("program", "line"), DISPLAYS, ids=[line for _, line in DISPLAYS])
def test_a_lost_display_is_silence_and_the_work_is_done(monkeypatch, made, tmp_path, program, line, end):
    stream = None if ENDS[end] is None else Gone(ENDS[end])
    code, said = run_to(stream, monkeypatch, made, tmp_path, program, line)
    assert (code, "error" in said) == (0, False), said
    assert list(tmp_path.iterdir())
    for folder in ("run", "json", "rich"):
        if (tmp_path / folder).exists():
            assert (tmp_path / folder / "report.html").exists()


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(("program", "line"), ANSWERS, ids=[line for _, line in ANSWERS])
def test_lost_answers_are_74(monkeypatch, made, tmp_path, program, line, end):
    stream = None if ENDS[end] is None else Gone(ENDS[end])
    code, said = run_to(stream, monkeypatch, made, tmp_path, program, line)
    assert code == 74, said
    if end == "reader gone":
        assert "error" not in said
    else:
        assert said.splitlines()[-1].startswith("error: standard output cannot be written (")


def test_every_command_is_among_those_tried():
    tried = {(program, line.split()[0]) for program, line in [*DISPLAYS, *ANSWERS]}
    measured = {("train", "unified"), ("train", "doctor"), ("bench", "challenge"), ("bench", "data")}
    assert {(name, command) for name, group in PROGRAMS.items() for command in group.commands} - tried <= measured


def test_a_run_into_head_goes_on_to_its_end(made, tmp_path):
    """A real pipe whose reader leaves after a line."""
    command = f"{sys.executable} -m grapheme_numba.cli.train agi --data {made}/data --output run {' '.join(SMALL)}"
    script = f"{{ {command}; echo $? > code; }} 2> said | head -1"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert ((tmp_path / "code").read_text(), (tmp_path / "said").read_text()) == ("0\n", "")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows if row["kind"] == "epoch"] == [1, 2]


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_descriptors_are_no_internal_error(made, tmp_path, closed):
    """No file that the run opens may get the number of a standard stream."""
    command = f"{sys.executable} -m grapheme_numba.cli.train agi --data {made}/data --output run {' '.join(SMALL)}"
    done = subprocess.run(["bash", "-c", f"{command} {closed}"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    files = sorted(path.name for path in (tmp_path / "run" / "checkpoint_last").iterdir())
    assert files == sorted(path.name for path in (made / "run" / "checkpoint_last").iterdir())


@pytest.mark.parametrize("command", ["data convert - -o a.parquet", "data validate -", "train predict RUN"])
def test_a_closed_standard_input_is_no_empty_file(made, tmp_path, command):
    command = f"{sys.executable} -m grapheme_numba.cli.{command.replace('RUN', str(made / 'run'))} <&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    expected = "error: standard input is closed, so - cannot be read; name a file instead\n"
    assert (done.returncode, done.stderr) == (66, expected)


def is_control(code: int) -> bool:
    """By the Unicode tables: what moves the cursor, turns the direction of text, or cannot be text."""
    category, direction = unicodedata.category(chr(code)), unicodedata.bidirectional(chr(code))
    marks = chr(code) in "\u200e\u200f\u061c"
    return category in ("Cc", "Cs", "Zl", "Zp") or direction in TURNS or marks


def test_exactly_the_control_characters_become_escapes():
    for code in range(sys.maxunicode + 1):
        shown = output.visible(chr(code))
        if is_control(code):
            assert shown.isascii(), hex(code)
            assert shown.isprintable(), hex(code)
            assert shown.startswith("\\"), hex(code)
        else:
            assert shown == chr(code), hex(code)


def test_json_says_the_same_without_control_characters():
    for code in [*range(0x3000), *range(0xD800, 0xE000)]:
        line = output.as_json({"a": chr(code)})
        assert json.loads(line) == {"a": chr(code)}
        assert not any(map(is_control, map(ord, line))), hex(code)


def test_bytes_of_a_path_are_shown_as_bytes():
    assert output.visible(os.fsdecode(b"d\xe9p")) == "d\\xe9p"


def clean(result) -> bool:
    """Whether nothing that was printed is a control character but the ends of its lines."""
    assert "internal error" not in result.output
    return not any(is_control(ord(one)) for one in result.output if one != "\n") and "\nerror: forged" not in (
        "\n" + result.output
    )


def test_names_out_of_files_cannot_steer_a_terminal(tmp_path, monkeypatch):
    """Every command that prints names of others: domains, ids, answers, nodes, paths, arguments."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": f"{i}{ESCAPES}", "domain": f"math{ESCAPES}", "input_type": "text", "input": {"text": f"{i}{ESCAPES}"}}
        | {"expected_output": f"{i % 3}{ESCAPES}"}
        for i in range(30)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "t.jsonl").write_text(text)
    odd = "odd\x1b[2J.jsonl"
    (tmp_path / odd).write_text(text + "oops\n")
    (tmp_path / "cycle.csv").write_text('source,target\n"a\x1b[2J",b\nb,"a\x1b[2J"\n')
    (tmp_path / "dead.csv").write_text('source,target\n"a\x1b[2J",b\nb,"c\u202e"\n')
    small = ["--hidden", "16", "--fan-in", "8", "--epochs", "2"]
    lines = [
        (train.main, ["agi", "--data", "t.jsonl", "--output", "r\x1b[2J", *small]),
        (train.main, ["agi", "--data", "t.jsonl", "--output", "rich", *small, "--log-format", "rich"]),
        (train.main, ["agi", "--data", "t.jsonl", "--output", "json", *small, "--log-format", "json"]),
        (train.main, ["agi", "--data", odd, "--output", "odd", *small]),
        (train.main, ["agi", "--\x1b[2J"]),
        (train.main, ["\x1b[2J"]),
        (train.main, ["agi", "--data", "\x1b[2J"]),
        (train.main, ["agi", "--topology", "\x1b[2J", "--data", "t.jsonl"]),
        (train.main, ["evaluate", "json", "--data", "t.jsonl"]),
        (train.main, ["evaluate", "json", "--data", "t.jsonl", "--log-format", "json"]),
        (train.main, ["predict", "json", "--input", "t.jsonl"]),
        (train.main, ["predict", "json", "--input", odd]),
        (train.main, ["attribute", "json", "--data", "t.jsonl", "--output", "a.parquet"]),
        (train.main, ["attribute", "json", "--data", "t.jsonl", "--output", "b.parquet", "--log-format", "json"]),
        (train.main, ["inspect", "json"]),
        (train.main, ["inspect", "json", "--log-format", "json"]),
        (train.main, ["inspect", "cycle.csv"]),
        (train.main, ["inspect", "dead.csv"]),
        (train.main, ["inspect", "cycle.csv", "--debug"]),
        (train.main, ["export", "json", "--to", "\x1b[2J.csv"]),
        (train.main, ["plot", "r\x1b[2J", "--output", "\x1b[2J.html"]),
        (data.main, ["validate", odd]),
        (data.main, ["validate", odd, "--log-format", "json"]),
        (data.main, ["convert", odd, "-o", "\x1b[2J.parquet"]),
        (data.main, ["convert", "t.jsonl", "-o", "t.parquet"]),
        (data.main, ["inspect", "t.parquet"]),
        (data.main, ["inspect", "t.parquet", "--log-format", "json"]),
        (data.main, ["export", "\x1b[2J.nothing"]),
        (data.main, ["generate", "\x1b[2J", "--samples", "10"]),
        (data.main, ["import", "csv", "cycle.csv", "--input-column", "\x1b[2J", "--target-column", "b", "-o", "x"]),
        (bench.main, ["kernels", "--cases", "\x1b[2J"]),
    ]
    for group, arguments in lines:
        result = CliRunner().invoke(group, arguments)
        assert result.exit_code in (0, 2, 65, 66), (arguments, result.output)
        assert result.output, arguments
        assert clean(result), (arguments, result.output)


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("data", "convert data/test.jsonl -o -"),
        ("data", "import csv t.csv --input-column x --target-column y -o -"),
        ("data", "generate -"),
        ("train", "export run --to -"),
        ("train", "attribute run --output -"),
        ("train", "plot run --output -"),
        ("bench", "kernels --json -"),
    ],
)
def test_what_cannot_go_to_standard_output_says_so(monkeypatch, made, program, line):
    monkeypatch.chdir(made)
    result = CliRunner().invoke(PROGRAMS[program], line.split())
    assert result.exit_code == 2
    assert "this cannot go to standard output, which takes text" in result.stderr.replace("\n", " ")
    assert not (made / "-").exists()


def test_text_outside_the_encoding_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    output.answer("Zürich", "\udce9")
    assert stream.buffer.getvalue() == b"Z\\xfcrich\n\\xe9\n"


def test_a_stream_that_was_lost_stays_lost(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Gone(errno.ENOSPC))
    output.show("a")
    with pytest.raises(OutputError, match="so the answers are lost"):
        output.answer("b")


def wait_for(run, words):
    """Read what the process prints until a line holds `words`."""
    for line in run.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} was never printed: {run.stderr.read()}")


def test_hanging_up_saves_and_stops_also_when_it_is_heard_twice(made, tmp_path):
    """The kernel and the shell both send SIGHUP when a terminal closes."""
    command = [sys.executable, "-m", "grapheme_numba.cli.train", "agi", "--data", str(made / "data"), "--output", "run"]
    command += [*SMALL, "--epochs", "100000", "--log-format", "plain"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(run, "  loss ")
    for _ in range(3):
        run.send_signal(signal.SIGHUP)
    _, said = run.communicate()
    assert run.returncode == 75, said
    assert "because SIGHUP was received; resume with: grapheme-train agi --resume auto" in said
    assert (tmp_path / "run" / "checkpoint_last" / "manifest.json").exists()


def test_nohup_is_respected(made, tmp_path):
    command = [sys.executable, "-m", "grapheme_numba.cli.train", "agi", "--data", str(made / "data"), "--output", "run"]
    command = ["bash", "-c", 'trap "" HUP; exec "$@"', "bash", *command, *SMALL, "--epochs", "100000"]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(run, "  loss ")
    run.send_signal(signal.SIGHUP)
    wait_for(run, "  validation  loss ")
    run.send_signal(signal.SIGTERM)
    _, said = run.communicate()
    assert run.returncode == 75
    assert "because SIGTERM was received" in said
