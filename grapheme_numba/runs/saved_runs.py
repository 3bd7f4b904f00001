"""The runs in folders, as `plot` reads them: also one that still trains, was killed, or is damaged in places."""

from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.errors import GraphemeError, MissingInputError, RecordError
from grapheme_numba.runs.journal import METRICS, whole_row
from grapheme_numba.training.config import read_config

CONFIG = "config.toml"


class SavedRun(NamedTuple):
    """A run's rows and configuration.

    name : its folder's name, longer where another run has the same
    rows : the whole rows of metrics.jsonl
    config : key to value; empty where it cannot be read
    notes : a sentence for everything that is not as it should be
    """

    name: str
    rows: list[dict[str, Any]]
    config: dict[str, Any]
    notes: list[str]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The rows of one kind: `epoch` or `validation`."""
        return [row for row in self.rows if row.get("kind") == kind and isinstance(row.get("epoch"), int)]


def read_runs(paths: list[str]) -> list[SavedRun]:
    """The runs of folders (or of their metrics.jsonl), in order.

    Raises MissingInputError where there is no run, RecordError where no row of one is whole.
    """
    files = [find_metrics(Path(path)) for path in paths]
    names = distinct_names([file.resolve().parent for file in files])
    return [read_run(file, name) for file, name in zip(files, names, strict=True)]


def find_metrics(path: Path) -> Path:
    """The metrics file of a run's folder, or the file itself. Raises MissingInputError."""
    file = path / METRICS if path.is_dir() else path
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; name the folder of a run, as runs/agi-20260131-120000")
    if not file.is_file():
        raise MissingInputError(f"{path} holds no {METRICS}, so it is not the folder of a run that has begun")
    return file


def distinct_names(folders: list[Path]) -> list[str]:
    """For every folder the shortest end of its path that no other one has; the same folder twice is numbered."""
    names = []
    for index, folder in enumerate(folders):
        others = [other for other in folders if other != folder]
        parts = folder.parts
        length = next(
            (n for n in range(1, len(parts) + 1) if all(other.parts[-n:] != parts[-n:] for other in others)), len(parts)
        )
        again = folders[:index].count(folder)
        names.append("/".join(parts[-length:]) + (f" ({again + 1})" if again else ""))
    return names


def read_run(file: Path, name: str) -> SavedRun:
    """One run. Raises RecordError where no row is whole."""
    lines = file.read_bytes().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    rows = [whole_row(line) for line in lines]
    notes = []
    # what a run is writing right now, or was when it was killed, is no damage
    damaged = [number for number, row in enumerate(rows[:-1], 1) if row is None]
    if damaged:
        first = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
        notes.append(f"{file}: {len(damaged)} of {len(lines)} lines are damaged and left out (line {first})")
    whole = [row for row in rows if row is not None]
    if not whole:
        raise RecordError(f"{file} has no row that is as a run wrote it; a run writes its first after the first epoch")
    config: dict[str, Any] = {}
    try:
        config = read_config(file.parent / CONFIG)
    except GraphemeError as fault:
        notes.append(f"{name} is compared without its configuration: {fault}")
    return SavedRun(name, whole, config, notes)
