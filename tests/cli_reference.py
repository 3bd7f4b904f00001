"""Write the tables of every command and option into README: `python tests/cli_reference.py`.

`test_readme.py` says when one is missing.
"""

import importlib
from pathlib import Path

import click

PROGRAMS = {"grapheme-train": "train", "grapheme-data": "data", "grapheme-bench": "bench"}
BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"


def programs():
    """(program name, its click group) of the three programs."""
    for program, module in PROGRAMS.items():
        yield program, importlib.import_module(f"grapheme_numba.cli.{module}").main


def arguments_of(command):
    """(spelling, help text) of the arguments and options of a command, as `--help` lists them."""
    context = click.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            record = parameter.get_help_record(context)
            if record and "--help" not in parameter.opts:
                yield record[0], " ".join(record[1].split())


def table(commands):
    """A Markdown table of what all the given commands take."""
    rows = dict(row for command in commands for row in arguments_of(command))
    cells = [(f"`{spelling}`".replace("|", "\\|"), text.replace("|", "\\|")) for spelling, text in rows.items()]
    return "\n".join(["| option | |", "|---|---|", *[f"| {spelling} | {text} |" for spelling, text in cells]])


def reference():
    """The whole section: one fold per command, the two trainers together."""
    parts = []
    for program, group in programs():
        commands = dict(group.commands)
        trainers = {name: commands.pop(name) for name in ("agi", "unified") if name in commands}
        groups = [trainers] if trainers else []
        for members in [*groups, *({name: command} for name, command in commands.items())]:
            names = " and ".join(f"<code>{program} {name}</code>" for name in members)
            text = " ".join(next(iter(members.values())).help.split("\n\n")[0].split())
            title = "the two trainers" if members is trainers else text.rstrip(".")
            parts.append(f"<details><summary>{names}: {title}</summary>\n\n{table(members.values())}\n\n</details>")
    return "\n".join(parts)


if __name__ == "__main__":
    readme = Path(__file__).parent.parent / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{rest.split(END)[1]}")
