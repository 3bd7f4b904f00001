"""The files of a folder and of all folders below it, linked ones too: none is left out without a word."""

import os
from collections.abc import Callable
from pathlib import Path

from grapheme_numba.errors import MissingInputError

REJECTS = ".rejects.jsonl"


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
