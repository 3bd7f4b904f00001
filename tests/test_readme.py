"""What README promises exists: its Python runs, its commands parse, every command and option is named."""

import contextlib
import io
import re
import shlex
from pathlib import Path

import cli_reference
import click
import pytest

import grapheme_numba as gn

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GROUPS = dict(cli_reference.programs())
COMMANDS = [(program, name) for program, group in GROUPS.items() for name in group.commands]


def blocks(language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def run(example):
    """What a Python block prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
    return said.getvalue()


def test_the_first_python_example_is_short_and_learns():
    example = blocks("python")[0]
    assert len(example.splitlines()) <= 16
    error, constant = map(float, re.findall(r"0\.\d+", run(example)))
    assert error < constant / 20


def test_a_graph_of_ones_own_keeps_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(blocks("python")[1])
    graph = gn.load_graph(tmp_path / "trained.graphml")
    assert set(graph.names) == {"TP53", "RB1", "apoptosis", "cycle", "cell"}
    assert graph.weights.all()


def test_the_estimator_is_good():
    assert float(run(blocks("python")[2])) > 0.95


@pytest.mark.parametrize(("program", "name"), COMMANDS)
def test_every_command_and_option_is_named(program, name):
    assert f"{program} {name}" in README
    command = GROUPS[program].commands[name]
    for spelling, _ in cli_reference.arguments_of(command):
        flag = spelling.replace(",", "").split()[0]
        assert re.search(rf"{re.escape(flag)}\b", README), f"{flag} of {program} {name}: python tests/cli_reference.py"


def shell_lines():
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.split("  #")[0].strip()
            if "grapheme-" in line:
                yield line


def test_the_commands_shown_can_be_parsed():
    """Each program, command and option in a shell block exists; nothing is run."""
    lines = list(shell_lines())
    assert len(lines) >= 8
    for line in lines:
        words = shlex.split(line.split("| bin/")[-1])
        start = next(i for i, word in enumerate(words) if "grapheme-" in word)
        program, name, *arguments = Path(words[start]).name, *words[start + 1 :]
        command = GROUPS[program].commands[name]
        command.make_context(name, list(arguments))


def test_the_words_of_the_glossary_are_there():
    for word in (
        "sender",
        "receiver",
        "indptr",
        "level",
        "tile",
        "lane",
        "example",
        "brain",
        "slice",
        "pre-activation",
    ):
        assert re.search(rf"^\| [^|]*\b{word}\b", README, re.MULTILINE), word


def test_a_command_without_help_would_be_seen():
    """The check above is able to fail."""
    bare = click.Command("bare", params=[click.Option(["--nowhere"], help="x", is_flag=True)])
    assert [*cli_reference.arguments_of(bare)] == [("--nowhere", "x")]
    assert "--nowhere" not in README
