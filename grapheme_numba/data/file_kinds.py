"""Kinds of data files, known by how their names end, and the files of a folder and of all folders below it.

Linked folders count too: no file is left out without a word.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from grapheme_numba.errors import MissingInputError

REJECTS = ".rejects.jsonl"
PACKED = (".gz", ".zst")
PARQUET = (".parquet", ".pq", ".parq")
ARROW = (".arrow", ".feather", ".ipc", ".arrows")
TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data")
JSON_LINES = (".jsonl", ".ndjson")
JSON = (*JSON_LINES, ".json")
TABLES = (*TEXT, *PARQUET, *ARROW, *JSON)  # rows of JSON are tables, or hold records
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def packed(endings: Iterable[str]) -> tuple[str, ...]:
    """The endings, and those of the same files packed."""
    return tuple(ending + more for ending in endings for more in ("", *PACKED))


def bare_name(path: Path) -> str:
    """The file's name in small letters, without .gz or .zst."""
    name = path.name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name


def is_table(path: Path) -> bool:
    """Whether a file's name is one of a table, JSON rows included."""
    return bare_name(path).endswith(TABLES)


def files_in(folder: Path, wanted: Callable[[str], bool]) -> list[Path]:
    """The files whose name (in small letters) is wanted, sorted; hidden ones and our own rejects are not.

    A folder that links lead to several times counts once. Raises MissingInputError for a link to a wanted file that
    leads nowhere, and for a folder that cannot be read.
    """
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise MissingInputError(f"cannot read the folder {error.filename}: {error.strerror}") from None

    for here, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            low = name.lower()
            if name.startswith(".") or low.endswith(REJECTS) or not wanted(low):
                continue
            path = Path(here, name)
            if path.is_file():
                found.append(path)
            elif path.is_symlink() and not path.exists():
                raise MissingInputError(
                    f"{path} is a link to {os.readlink(path)}, which is not there; mend or remove it"
                )
    return sorted(found)
