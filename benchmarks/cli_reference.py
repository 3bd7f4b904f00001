"""Every command and option of the three programs as Markdown tables, read from click.

`tables.py` writes them into docs/command-line.md.
"""

import importlib
import re

import click

PROGRAMS = {"grapheme-train": "train", "grapheme-data": "data", "grapheme-bench": "bench"}


def programs():
    """(program name, its click group) of the three programs."""
    for program, module in PROGRAMS.items():
        yield program, importlib.import_module(f"grapheme_numba.cli.{module}").main


def arguments_of(command):
    """(spelling, help text, section of the help) of the options of a command, as `--help` lists them."""
    context = click.Context(command)
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            record = parameter.get_help_record(context)
            if record and "--help" not in parameter.opts:
                yield record[0], " ".join(record[1].split()), getattr(parameter, "section", "")


def tables(commands):
    """Markdown tables of the options of the given commands (name -> command), one a section, the most used first.

    Where the commands differ, each one's text stands.
    """
    rows = {}
    for name, command in commands.items():
        for spelling, text, section in arguments_of(command):
            rows.setdefault(section, {}).setdefault(spelling, {}).setdefault(text, []).append(name)
    parts = []
    for section in sorted(rows, key=lambda section: section != "Most used"):
        cells = [(spelling.replace("|", "\\|"), one_text(of, len(commands))) for spelling, of in rows[section].items()]
        lines = [f"| `{spelling}` | {escaped(text)} |" for spelling, text in cells]
        parts += [f"**{section}**"] if section else []
        parts.append("\n".join(["| option | meaning |", "| --- | --- |", *lines]))
    return "\n\n".join(parts)


def escaped(text):
    """Help text as Markdown shows it; what stands between backticks is left as it is."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[|\[\]<>*_]", r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def one_text(texts, n_command):
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
    """The whole section: a heading and a table per command, the two trainers together."""
    parts = []
    for program, group in programs():
        commands = dict(group.commands)
        trainers = {name: commands.pop(name) for name in ("agi", "unified") if name in commands}
        groups = [trainers] if trainers else []
        for members in [*groups, *({name: command} for name, command in commands.items())]:
            names = " and ".join(f"`{program} {name}`" for name in members)
            parts += [f"## {names}", *(summary(command) for command in members.values()), tables(members)]
    return "\n\n".join(parts)


def summary(command):
    """The first paragraph of a command's help, and its usage line."""
    text = " ".join(command.help.split("\n\n")[0].split()).rstrip(".")
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    return f"{text}. Usage: `{command.name} {usage}`"
