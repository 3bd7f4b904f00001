"""`grapheme-bench` from its command line, on the smallest cases and with the shortest measurements."""

import json

import pytest
from click.testing import CliRunner

from grapheme_numba.bench import kernels, peers, records, timing
from grapheme_numba.cli.bench import main

FEW = ["--cases", "classifier-64-128-10", "--batch", "1,3", "--threads", "1", "--repeat", "5"]


@pytest.fixture
def bench(monkeypatch):
    """Run the command; returns Click's result."""
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(kernels, "LEVELS", {"L1": 4096, "L2": 8192})
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments)])


def test_every_command_and_option_has_help():
    for command in main.commands.values():
        assert command.help
        assert "Example:" in command.help
        for option in command.params:
            assert option.help, f"{command.name} {option.name}"


def test_kernels_shows_and_saves(bench, tmp_path):
    path = tmp_path / "now.json"
    done = bench("kernels", *FEW, "--json", path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "of L2" in done.stdout
    assert "ceiling, G/s" in done.stdout
    assert "a call on a network of one edge: forward" in done.stdout
    assert "sigmoid" in done.stdout
    record = json.loads(path.read_text())
    assert [(row["batch"], row["step"]) for row in record["rows"]] == [
        (batch, step) for batch in (1, 3) for step in ("forward", "backward", "step")
    ]
    again = bench("kernels", *FEW, "--compare", path)
    assert again.exit_code == 0
    assert "all, geometric mean" in again.stdout
    assert "classifier-64-128-10 3 1 step" in again.stdout


def test_lists(bench):
    assert "layered-120x1024x32: 120 layers" in bench("kernels", "--cases", "list").stdout
    listed = bench("peers", "--baselines", "list").stdout.splitlines()
    assert set(peers.BASELINES) == {line.split(":")[0] for line in listed}


def test_peers_shows_and_saves(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "PLAN", (("scipy-csr", "classifier-64-128-10", 8, (1,)),))
    path = tmp_path / "peers.json"
    done = bench("peers", "--threads", "1", "--json", path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "scipy-csr  classifier-64-128-10" in done.stdout
    assert len(json.loads(path.read_text())["rows"]) == 1
    assert "geometric mean" in bench("peers", "--threads", "1", "--compare", path).stdout


def test_peers_names_what_is_not_installed(bench, monkeypatch):
    monkeypatch.setattr(peers.TorchLevels, "package", "no_such_package")
    done = bench("peers", "--baselines", "torch-levels")
    assert done.exit_code == 0
    assert "left out: torch-levels on irregular-20k-400k: no_such_package is not installed" in done.stdout


def test_challenge_shows_and_saves(bench, tmp_path):
    path = tmp_path / "challenge.json"
    done = bench("challenge", "--neurons", 64, "--layers", 4, "--rows", 20, "--threads", "1,2", "--json", path)
    assert done.exit_code == 0
    assert "no row dies" in done.stdout
    assert len(records.load(path, "challenge")["rows"]) == 4


def test_challenge_names_what_is_not_installed(bench, monkeypatch):
    monkeypatch.setattr("grapheme_numba.cli.bench_command.challenge.PACKAGE", "no_such_package")
    done = bench("challenge", "--graphblas")
    assert done.exit_code == 2
    assert "pip install python-graphblas suitesparse-graphblas" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["kernels", "--cases", "x"], 2, "error: there is no case 'x'; choose from layered-10x1000x32, "),
        (["peers", "--baselines", "x"], 2, "error: there is no baseline 'x'; choose from scipy-csr, "),
        (["kernels", "--batch", "0"], 2, "wants whole numbers of at least 1 with commas between, as 1,2, got '0'"),
        (["kernels", "--threads", "one"], 2, "wants whole numbers of at least 1"),
        (["kernels", "--compare", "missing.json"], 66, "error: there is no file missing.json"),
        (["peers", "--clock", "cpu", "--threads", "1,2"], 2, "--clock cpu measures one thread only, got --threads 1,2"),
        (["kernels", "--clock", "cpu", "--threads", "2"], 2, "--clock cpu measures one thread only, got --threads 2"),
        (["challenge", "--neurons", "100"], 65, "error: n_neuron is 100; give 16 times a power of two"),
    ],
)
def test_mistakes_are_one_sentence(bench, arguments, code, message):
    done = bench(*arguments)
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
