"""A command never writes over what it reads: the new file would replace the user's own data.

Every command that reads files and writes others calls `refuse_overwriting` before it writes the first.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from grapheme_numba.errors import UsageError


def same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two names mean one file, through links too; of files that are not there, one path."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def refuse_overwriting(written: Iterable[str | Path], read: Iterable[str | Path]) -> None:
    """UsageError where a file to write is one to read, or two files to write are one; `-` is no file."""
    written, read = ([name for name in names if str(name) != "-"] for names in (written, read))
    for i, path in enumerate(written):
        if any(same_file(path, name) for name in read):
            raise UsageError(f"{path} is read and would be overwritten; give the output another name")
        if any(same_file(path, other) for other in written[:i]):
            raise UsageError(f"{path} would be written twice; give each output a name of its own")
