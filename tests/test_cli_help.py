"""Help in sections, shell completion, and the list of all commands."""

import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete, ShellComplete

from grapheme_numba import __main__ as overview
from grapheme_numba.cli import options
from grapheme_numba.cli.program import SECTIONS, Option
from grapheme_numba.training.config import KEYS

PROGRAMS = overview.PROGRAMS


def completed(program: str, arguments: list[str], incomplete: str) -> list[tuple[str, str]]:
    """(type, value) of what the completion offers."""
    complete = ShellComplete(PROGRAMS[program], {}, program, "_COMPLETE")
    return [(item.type, item.value) for item in complete.get_completions(arguments, incomplete)]


def words(*arguments) -> list[str]:
    return [value for _, value in completed(*arguments)]


def test_every_key_of_a_run_has_a_section():
    assert set(KEYS) <= set(options.SECTION_OF)
    assert set(options.SECTIONS) <= set(SECTIONS)


@pytest.mark.parametrize("command", ["agi", "unified"])
def test_the_ten_options_that_matter_stand_first(command):
    found = PROGRAMS["grapheme-train"].commands[command]
    sections = {}
    shown = [parameter for parameter in found.params if not parameter.hidden]
    for parameter in shown:
        sections.setdefault(parameter.section, []).append(parameter.name)
    assert sections["Most used"] == [
        "data", "output", "epochs", "batch_size", "optimizer", "lr", "topology", "hidden", "graph", "resume",
    ]  # fmt: skip
    assert "Options" not in sections
    text = found.get_help(click.Context(found, info_name=command, terminal_width=80))
    titles = [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles == [name for name in SECTIONS if name in sections]
    for parameter in shown:
        for name in parameter.opts:
            assert text.count(f"\n  {name} ") == 1 or f", {name}" in text or f"\n  {name}\n" in text, name


def test_every_option_of_every_command_stands_in_a_known_section():
    for group in PROGRAMS.values():
        for command in group.commands.values():
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    assert isinstance(parameter, Option), f"{command.name} {parameter.name}"
                    assert parameter.section in SECTIONS


def test_the_names_shown_are_those_of_the_library():
    from grapheme_numba.graph.build import ACTIVATIONS
    from grapheme_numba.network.initializers import INITS
    from grapheme_numba.training.build import TOPOLOGIES

    known = {"topology": tuple(TOPOLOGIES), "init": INITS, "activation": tuple(ACTIVATIONS)}
    assert known == options.KNOWN


def test_help_shows_the_choices():
    command = PROGRAMS["grapheme-train"].commands["agi"]
    text = " ".join(command.get_help(click.Context(command, terminal_width=80)).split())
    assert "--topology [layered|random|scale_free]" in text
    assert "--init [dynamic_xavier|xavier|he|uniform|zero]" in text
    assert "--optimizer [sgd|" in text
    assert "One of linear, relu, leaky_relu, " in text


def test_commands_options_and_choices_complete():
    assert words("grapheme-train", [], "e") == ["evaluate", "export"]
    assert words("grapheme-train", ["agi"], "--top") == ["--topology"]
    assert words("grapheme-train", ["agi", "--topology"], "") == ["layered", "random", "scale_free"]
    assert words("grapheme-train", ["agi", "--activation"], "le") == ["leaky_relu", "lelu"]
    assert words("grapheme-train", ["agi", "--optimizer"], "ada")[:2] == ["adam", "adamw"]
    assert completed("grapheme-data", ["import"], "s") == [("plain", "squad"), ("file", "s")]
    assert completed("grapheme-train", ["agi", "--data"], "x") == [("file", "x")]
    assert completed("grapheme-train", ["agi", "--output"], "x") == [("dir", "x")]
    assert completed("grapheme-data", ["convert"], "x") == [("file", "x")]


def test_runs_and_their_checkpoints_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert completed("grapheme-train", ["evaluate"], "") == [("dir", "")]
    for run in ("a", "b"):
        (tmp_path / "runs" / run / "checkpoint_last").mkdir(parents=True)
        (tmp_path / "runs" / run / "checkpoint_last" / "manifest.json").write_text("{}")
    (tmp_path / "runs" / "nothing").mkdir()
    (tmp_path / "mine" / "checkpoint_best").mkdir(parents=True)
    assert sorted(words("grapheme-train", ["evaluate"], "")) == ["mine", "runs/a", "runs/b"]
    assert words("grapheme-train", ["predict"], "runs/b") == ["runs/b"]
    assert words("grapheme-train", ["plot", "runs/a"], "runs/b") == ["runs/b"]
    assert words("grapheme-train", ["inspect"], "runs/a/") == ["runs/a/checkpoint_last"]
    assert words("grapheme-train", ["agi", "--resume"], "a") == ["auto"]
    assert "never" in words("grapheme-train", ["agi", "--resume"], "")
    assert words("grapheme-train", ["evaluate"], str(tmp_path / "runs" / "a")) == [str(tmp_path / "runs" / "a")]
    assert completed("grapheme-train", ["inspect"], "gra") == [("file", "gra")]


def test_the_shell_gets_a_script_and_answers(tmp_path):
    program = "import sys; from grapheme_numba.cli.train import main; main(prog_name='grapheme-train')"
    given = {"_GRAPHEME_TRAIN_COMPLETE": "bash_source", "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True)
    assert "complete -o nosort -F _grapheme_train_completion grapheme-train" in done.stdout
    given |= {"_GRAPHEME_TRAIN_COMPLETE": "bash_complete", "COMP_WORDS": "grapheme-train agi --topology sc"}
    given["COMP_CWORD"] = "3"
    done = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("plain,scale_free\n", "")
    assert BashComplete.name == "bash"


def test_the_overview_names_every_command_in_one_line():
    done = subprocess.run([sys.executable, "-m", "grapheme_numba"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines == overview.overview()
    names = [line.split()[0].rstrip(":") for line in lines[:-1]]
    expected = [name for program, group in PROGRAMS.items() for name in (program, *group.commands)]
    assert names == expected
    assert max(map(len, lines)) <= 120
