"""No command writes over what it reads, however the two are named, nor over a folder, device or pipe."""

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from odd_lines import TEXT
from runs import cli, small_data, train

from grapheme_numba.cli.bench import main as bench
from grapheme_numba.cli.data import main
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run with its data, to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    small_data(folder / "data", 16)
    train(folder / "data", folder / "run", epochs=1)
    convert([folder / "data" / "test.jsonl"], folder / "q.parquet")
    return folder


# What each command is given, and the names of the paths that it reads.
COMMANDS = {
    "predict": ("predict run --input {questions} --output {out} --rejects {refused}", ["questions", "run"]),
    "attribute": ("attribute run --data {table} --output {out}.parquet", ["table", "run"]),
    "export": ("export run --to {out}.csv", ["run"]),
    "plot": ("plot run --output {out}.html", ["run"]),
}
WRITTEN = {
    "predict": {"out": ("{}",), "refused": ("{}",)},
    "attribute": {"out": ("{}.parquet", "{}.inputs.parquet", "{}.nodes.parquet", "{}.edges.parquet")},
    "export": {"out": ("{}.csv", "{}.nodes.csv", "{}.embedding.npy")},
    "plot": {"out": ("{}.html",)},
}
READ = {
    "questions": ("data/test.jsonl",),
    "table": ("q.parquet",),
    "run": ("run/checkpoint_best/model.safetensors", "run/checkpoint_best/manifest.json", "run/metrics.jsonl"),
}
PAIRS = [
    (command, option, file, read)
    for command, (_, reads) in COMMANDS.items()
    for option, files in WRITTEN[command].items()
    for file in files
    for name in reads
    for read in READ[name]
]


@pytest.mark.parametrize("how", [os.symlink, os.link], ids=["symlink", "hard link"])
@pytest.mark.parametrize(("command", "option", "file", "read"), PAIRS)
def test_no_command_writes_over_what_it_reads(finished, tmp_path, monkeypatch, command, option, file, read, how):
    """Each file that a command writes is in turn a link to each file that it reads."""
    shutil.copytree(finished, tmp_path / "w", symlinks=True)
    monkeypatch.chdir(tmp_path / "w")
    paths = {"questions": "data/test.jsonl", "table": "q.parquet", "out": "out", "refused": "refused"}
    how(os.path.abspath(read), file.format(paths[option]))
    before = {path: path.read_bytes() for path in (tmp_path / "w").rglob("*") if path.is_file()}
    done = cli(*COMMANDS[command][0].format(**paths).split())
    assert done.exit_code == 2, done.output
    message = f"{file.format(paths[option])} is read and would be overwritten; give the output another name"
    assert done.stderr == f"error: {message}\n"
    assert {path: path.read_bytes() for path in before} == before


def test_two_outputs_in_one_file_are_refused(finished, monkeypatch):
    monkeypatch.chdir(finished)
    done = cli("predict", "run", "--input", "data/test.jsonl", "--output", "o", "--rejects", "./o")
    assert done.exit_code == 2
    assert done.stderr == "error: ./o would be written twice; give each output a name of its own\n"
    assert not (finished / "o").exists()


@pytest.mark.parametrize(("mode", "shown"), [(0o600, 0o600), (0o640, 0o640), (0o444, 0o644)])
def test_what_is_made_of_private_data_is_as_private(folder, mode, shown):
    """No output is readable by more people than its source."""
    (folder / "a.jsonl").write_bytes(TEXT + b"\n{}\n")
    for name in ("a.jsonl", "t.csv"):
        (folder / name).chmod(mode)
    (folder / "a.parquet").unlink()
    for args in (
        "convert a.jsonl --max-rejects 1",
        "convert a.jsonl -o s --shards 2 --max-rejects 1",
        "export a.parquet -o b.jsonl",
        "import csv t.csv --input-column x --target-column y -o t.parquet",
    ):
        assert CliRunner().invoke(main, args.split()).exit_code == 0, args
    made = ["a.parquet", "a.rejects.jsonl", "s/part-00000.parquet", "b.jsonl", "t.parquet"]
    assert [oct(path.stat().st_mode & 0o777) for path in map(folder.joinpath, made)] == [oct(shown)] * len(made)
    assert (folder / "s").stat().st_mode & 0o077 == (shown & 0o044) | (shown & 0o044) >> 2


TRAIN = "agi --epochs 1 --hidden 8 --fan-in 4 --quiet --no-cache"


@pytest.mark.parametrize("name", ["metrics.jsonl", "rejects.jsonl", "report.html", "config.toml"])
@pytest.mark.parametrize("option", ["--data", "--graph", "--config", "--external"])
def test_training_never_writes_over_what_it_reads(finished, tmp_path, monkeypatch, option, name):
    """The output is the folder that holds what is read, under each name that a run gives to a file."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / name).write_bytes(
        (finished / "data" / "train.jsonl").read_bytes() if option != "--config" else b"lr = 0.1\n"
    )
    before = (folder / name).read_bytes()
    given = "a" if option == "--external" else f"a/{name}"
    data = [] if option == "--data" else ["--data", finished / "data"]
    done = cli(*TRAIN.split(), option, given, *data, "--output", "a")
    assert done.exit_code == 2, done.output
    assert f"a/{name} is read and would be overwritten; give the output another name" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: before}


@pytest.mark.parametrize("command", ["kernels", "peers"])
def test_a_measurement_never_replaces_the_one_it_is_compared_with(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "before.json").write_text("{}")
    os.link("before.json", "same.json")
    for target in ("before.json", "./before.json", "same.json"):
        done = CliRunner().invoke(bench, [command, "--quick", "--json", target, "--compare", "before.json"])
        assert done.exit_code == 2
        assert "is read and would be overwritten" in done.stderr
    assert (tmp_path / "before.json").read_text() == "{}"


def test_what_a_run_shows_of_private_data_is_as_private(tmp_path):
    """The report has examples in it, and the rejects, and the explanations; so has the table of explained elements."""
    small_data(tmp_path / "data", 16)
    for path in (tmp_path / "data").iterdir():
        path.chmod(0o600)
    options = ["--epochs", "1", "--hidden", "8", "--fan-in", "4", "--quiet", "--route", "--threshold", "0.9"]
    assert cli("agi", "--data", tmp_path / "data", "--output", tmp_path / "run", *options).exit_code == 0
    table = tmp_path / "why.parquet"
    done = cli("attribute", tmp_path / "run", "--data", tmp_path / "data" / "test.jsonl", "--output", table, "--quiet")
    assert done.exit_code == 0, done.output
    made = [tmp_path / "run" / "report.html", tmp_path / "run" / "rejects.jsonl", table]
    assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o600"] * 3
