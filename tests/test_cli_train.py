"""`grapheme-train` as a person uses it: a whole run, what it leaves behind, and what each mistake answers."""

import json
import os
import re
import subprocess
import sys

import pytest
from runs import cli, small_data

from grapheme_numba.cli.train import main
from grapheme_numba.runs.journal import read_rows
from grapheme_numba.training.config import KEYS

SMALL = ["--hidden", "16", "--fan-in", "8", "--epochs", "2", "--val-freq", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A finished small run and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = cli("agi", "--data", data, "--output", folder, *SMALL)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def test_a_run_leaves_what_it_promises(trained):
    folder, _ = trained
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint_best",
        "checkpoint_last",
        "checkpoint_step_00000004",
        "config.toml",
        "metrics.jsonl",
        "report.html",
        "report.json",
    ]
    kinds = [row["kind"] for row in read_rows(folder / "metrics.jsonl")]
    assert kinds == ["epoch", "validation"] * 2
    page = (folder / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert "http" not in page.replace("http-equiv", "")
    for part in ("Loss", "Topology", "Sample answers", "Configuration", "best constant answer"):
        assert part in page


def test_a_run_in_a_pipe_prints_plain_lines(trained):
    _, printed = trained
    lines = printed.splitlines()
    assert "\x1b" not in printed
    assert any(line.startswith("network: ") and "levels" in line for line in lines)
    assert any(line.startswith("epoch 2/2  loss ") for line in lines)
    assert any(line.startswith("  validation  loss ") for line in lines)
    assert any(line.startswith("trained 2 epochs, 8 steps") for line in lines)


def test_json_prints_one_object_a_line(data, tmp_path):
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *SMALL, "--log-format", "json")
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [one["kind"] for one in objects]
    assert kinds.count("epoch") == kinds.count("validation") == 2
    assert {"note", "start", "checkpoint", "end"} <= set(kinds)


@pytest.mark.parametrize("topology", ["random", "scale_free"])
def test_other_topologies_train(data, tmp_path, topology):
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *SMALL, "--topology", topology)
    assert result.exit_code == 0, result.output


def test_a_graph_file_is_the_network(data, tmp_path):
    edges = [f"in{i},h{i % 7}" for i in range(200)] + [f"h{i % 7},out{i}" for i in range(30)]
    (tmp_path / "graph.csv").write_text("sender,receiver\n" + "\n".join(edges) + "\n")
    arguments = ["--data", data, "--output", tmp_path / "run", *SMALL, "--graph", tmp_path / "graph.csv"]
    result = cli("agi", *arguments)
    assert result.exit_code == 0, result.output
    assert "graph.csv lies between the inputs and outputs of the data" in result.stdout
    n_input, n_output = map(int, re.search(r"network: (\d+) inputs, .* (\d+) outputs", result.stdout).groups())
    edges = [f"in{i},h{i % 7}" for i in range(n_input)] + [f"h{i % 7},out{i}" for i in range(n_output)]
    (tmp_path / "graph.csv").write_text("sender,receiver\n" + "\n".join(edges) + "\n")
    arguments[arguments.index("--output") + 1] = tmp_path / "whole"
    assert cli("agi", *arguments).exit_code == 0
    facts = json.loads(cli("inspect", tmp_path / "whole", "--log-format", "json").stdout)
    assert facts["network"]["edges"] == n_input + n_output


def test_quiet_prints_nothing(data, tmp_path):
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *SMALL, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_a_dry_run_writes_nothing(data, tmp_path):
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *SMALL, "--dry-run")
    assert result.exit_code == 0
    assert "network: " in result.stdout
    assert not (tmp_path / "run").exists()


def test_flags_beat_set_beats_the_file(data, tmp_path):
    (tmp_path / "c.toml").write_text("epochs = 1\nbatch_size = 16\nhidden = [16]\nfan_in = 8\nlr = 0.5\nseed = 3\n")
    arguments = ["--config", tmp_path / "c.toml", "--set", "lr=0.25", "--set", "batch_size=32", "--batch-size", "64"]
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *arguments)
    assert result.exit_code == 0, result.output
    written = (tmp_path / "run" / "config.toml").read_text()
    for line in ("epochs = 1", "lr = 0.25", "batch_size = 64", "seed = 3"):
        assert f"\n{line}\n" in written
    again = cli("agi", "--config", tmp_path / "run" / "config.toml", "--output", tmp_path / "again", "--quiet")
    assert again.exit_code == 0
    one, other = (tmp_path / name / "checkpoint_last" / "model.safetensors" for name in ("run", "again"))
    assert one.read_bytes() == other.read_bytes()


def test_without_output_a_run_gets_a_folder_of_its_own(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert cli("agi", "--data", data, *SMALL, "--epochs", "1").exit_code == 0
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(folder.name.startswith("agi-20") for folder in folders)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--epochs", "0"], 2, r"epochs in the flags: Expected `int` >= 1, got 0"),
        (["--set", "epohcs=3"], 2, r"unknown key 'epohcs' in --set; the nearest known key is 'epochs'"),
        (["--set", "lr"], 2, r"--set wants key=value, got 'lr'"),
        (["--lr", "-1"], 2, r"lr in the flags: Expected `float` > 0.0"),
        (["--init", "zeros"], 2, r"unknown init 'zeros'; choose one of dynamic_xavier"),
        (["--graph", "/nowhere.csv"], 66, r"/nowhere.csv"),
        (["--topology", "ring"], 2, r"unknown topology 'ring'; choose one of"),
        (["--activation", "sine"], 2, r"unknown activation 'sine'; choose one of linear, relu"),
        (["--data", "/nowhere"], 66, r"the data /nowhere does not exist; check --data"),
        (["--config", "/nowhere.toml"], 66, r"cannot read the config /nowhere.toml"),
        (["--resume", "/nowhere"], 66, r"/nowhere does not exist"),
        (["--brain", "math"], 2, r"write NAME=INPUTS,OUTPUTS"),
    ],
)
def test_a_mistake_gets_one_sentence_and_its_code(data, tmp_path, arguments, code, message):
    result = cli("agi", "--data", data, "--output", tmp_path / "run", *SMALL, *arguments)
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message.replace("`", "") in result.stderr.replace("`", "")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("empty.jsonl", "", 65, "holds no line; at least one example is needed"),
        ("broken.jsonl", '{"id": "a", \n', 65, "line"),
        ("types.jsonl", '{"id": 3, "domain": "math", "input_type": "text"}\n', 65, "id"),
    ],
)
def test_bad_data_is_named_and_nothing_is_half_written(tmp_path, name, content, code, message):
    (tmp_path / name).write_text(content)
    result = cli("agi", "--data", tmp_path / name, "--output", tmp_path / "run", *SMALL)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_an_output_that_cannot_be_written_is_an_io_error(data, tmp_path):
    (tmp_path / "file").write_text("")
    result = cli("agi", "--data", data, "--output", tmp_path / "file" / "run", *SMALL)
    assert result.exit_code == 74
    assert "cannot make the folder" in result.stderr


def test_debug_shows_the_traceback(data, tmp_path):
    result = cli("agi", "--data", data, "--topology", "ring", "--output", tmp_path / "run", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_limits_stop_with_a_checkpoint_and_resume_goes_on(data, tmp_path):
    arguments = ["--data", data, "--output", tmp_path / "run", *SMALL]
    result = cli("agi", *arguments, "--max-steps", "3")
    assert result.exit_code == 75
    assert "step 3 because --max-steps 3 is reached; resume with: grapheme-train agi --resume auto" in result.stderr
    assert cli("agi", *arguments, "--max-time", "0.0001", "--resume", "auto").exit_code == 75
    assert cli("agi", *arguments).exit_code == 2
    result = cli("agi", "--data", data, "--output", tmp_path / "run", "--resume", "auto")
    assert result.exit_code == 0, result.output
    assert "trained 2 epochs" in result.stdout


@pytest.mark.parametrize("command", [None, *main.commands])
def test_every_command_and_option_has_help(command):
    result = cli(*([] if command is None else [command]), "--help")
    assert result.exit_code == 0
    if command is not None:
        assert main.commands[command].help
        for parameter in main.commands[command].params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_every_config_key_is_an_option_of_both_trainers():
    for command in ("agi", "unified"):
        assert set(KEYS) <= {parameter.name for parameter in main.commands[command].params}


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from grapheme_numba.cli.train import main; main(['agi', '--help'], standalone_mode=False); "
        "print(sorted({'numba', 'numpy', 'pyarrow', 'rich', 'safetensors'} & set(sys.modules)))"
    )
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
