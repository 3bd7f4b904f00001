"""The types of options and arguments: names of files, runs and choices, lists, and how a shell completes them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

MOST_IN_METAVAR = 8  # more names than these stand in the help text instead
CHECKPOINTS = ("checkpoint_last", "checkpoint_best")

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # that of older releases takes no type argument


class Names(ParamType):
    """One of a few names, which are shown and completed, and checked by the library."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        self.name = "NAME"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names, where they are few."""
        return f"[{'|'.join(self.names)}]" if len(self.names) <= MOST_IN_METAVAR else "NAME"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so."""
        return [CompletionItem(name) for name in self.names if name.startswith(incomplete)]


class FileName(ParamType):
    """The name of a file (or of a folder), as text or Path. Whether it can be read is checked where it is read."""

    def __init__(self, kind: str = "file", make: type = str, name: str | None = None):
        self.name, self.kind, self.make = name or {"file": "FILE", "dir": "FOLDER"}[kind], kind, make

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name in the type asked for."""
        return self.make(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """What the shell finds."""
        return [CompletionItem(incomplete, type=self.kind)]


class OutputName(FileName):
    """The name of a binary file or of a folder to write, which `-` for standard output is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name in the type asked for."""
        if str(value) == "-":
            self.fail(
                "wants the name of a file or folder; this cannot go to standard output, which takes text", param, ctx
            )
        if not str(value) or (self.kind != "dir" and not Path(str(value)).name):
            self.fail(f"{str(value)!r} names no file; give its name, as data.parquet", param, ctx)
        return super().convert(value, param, ctx)


class RunName(ParamType):
    """The folder of a run or of one of its checkpoints; with `files` a file as well."""

    name = "RUN"

    def __init__(self, files: bool = False, keywords: tuple[str, ...] = ()):
        self.files, self.keywords = files, keywords

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Keywords, runs under runs/ (the newest first), the checkpoints of a run; else what the shell finds."""
        found = [CompletionItem(word) for word in self.keywords if word.startswith(incomplete)]
        folder, _, start = incomplete.rpartition("/")
        parent = folder or ("/" if incomplete.startswith("/") else ".")
        found += [CompletionItem(name) for name in runs_in(parent, start)]
        if not folder and "runs".startswith(start):
            found += [CompletionItem(name) for name in runs_in("runs", "")]
        return found or [CompletionItem(incomplete, type="file" if self.files else "dir")]


def runs_in(folder: str, start: str) -> list[str]:
    """Runs and checkpoints in a folder whose names begin with `start`, the newest first."""
    try:
        inside = [path for path in Path(folder).iterdir() if path.name.startswith(start) and path.is_dir()]
        times = {path: path.stat().st_mtime for path in inside if is_run_or_checkpoint(path)}
    except OSError:
        return []
    return [str(path) for path in sorted(times, key=lambda path: (-times[path], path.name))]


def is_run_or_checkpoint(folder: Path) -> bool:
    """Whether a run or a checkpoint stands in a folder, by the files it holds."""
    return (folder / "manifest.json").is_file() or any((folder / name).is_dir() for name in CHECKPOINTS)


class Widths(ParamType):
    """Whole numbers with commas between, as 256,128."""

    name = "WIDTHS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """The numbers between the commas."""
        try:
            return [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"wants whole numbers with commas between, as 256,128, got {value!r}", param, ctx)


class NameList(ParamType):
    """Names with commas between."""

    name = "NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        """A list of str."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class NumberList(ParamType):
    """Whole numbers of at least 1 with commas between."""

    name = "N,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        """A list of int."""
        if not isinstance(value, str):
            return list(value)
        parts = value.split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"wants whole numbers of at least 1 with commas between, as 1,2, got {value!r}", param, ctx)
        return [int(part) for part in parts]


class NumberOr(ParamType):
    """A whole number of at least 1, or one word."""

    def __init__(self, word: str):
        self.word, self.name = word, f"N|{word}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number, or the word."""
        text = str(value)
        if text == self.word:
            return text
        if not (text.isascii() and text.isdecimal() and int(text) > 0):
            self.fail(f"wants a whole number of at least 1, or {self.word}, got {value!r}", param, ctx)
        return int(text)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The word."""
        return [CompletionItem(self.word)] if self.word.startswith(incomplete) else []
