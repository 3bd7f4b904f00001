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
    """A Markdown table of what the given commands (name -> command) take; where they differ, each one's text."""
    rows = {}
    for name, command in commands.items():
        for spelling, text in arguments_of(command):
            rows.setdefault(spelling, {}).setdefault(text, []).append(name)
    cells = [(f"`{spelling}`", told(texts, len(commands))) for spelling, texts in rows.items()]
    lines = [
        f"| {spelling} | {text} |"
        for spelling, text in ((a.replace("|", "\\|"), b.replace("|", "\\|")) for a, b in cells)
    ]
    return "\n".join(["| option | |", "|---|---|", *lines])


def told(texts, n_command):
    """One help text, or the common words and then each command's default."""
    if len(texts) == 1:
        ((text, names),) = texts.items()
        return text if len(names) == n_command else f"{text} ({' and '.join(names)} only)"
    words = next(iter(texts)).split(" [default")[0]
    defaults = [
        f"{' and '.join(names)}: {text.partition('[default: ')[2][:-1] or 'none'}" for text, names in texts.items()
    ]
    return f"{words} [default: {', '.join(defaults)}]"


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
            parts.append(f"<details><summary>{names}: {title}</summary>\n\n{table(members)}\n\n</details>")
    return "\n".join(parts)


if __name__ == "__main__":
    readme = Path(__file__).parent.parent / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{rest.split(END)[1]}")
