"""Where a user's caches are, and when a folder may hold one: nobody else may have put anything there."""

import os
import stat
from pathlib import Path

from grapheme_numba.errors import UsageError


def user_cache() -> Path:
    """The folder of this user's caches, by the rules of the system: `$XDG_CACHE_HOME` or `~/.cache` on Linux.

    It need not exist. Raises OSError where the user has no home.
    """
    import platformdirs

    folder = platformdirs.user_cache_path("grapheme_numba", appauthor=False)
    if not folder.is_absolute():
        raise OSError(f"there is no home for the cache {folder}")
    return folder


def make_private(folder: Path) -> None:
    """Make `folder` and its parents where they are missing, for this user alone whatever the umask. Raises OSError."""
    for missing in [parent for parent in reversed(folder.parents) if not parent.exists()]:
        missing.mkdir(mode=0o700, exist_ok=True)  # with `parents=True` they would have the umask's mode
    folder.mkdir(mode=0o700, exist_ok=True)


def writable_by_others(folder: Path) -> str | None:
    """Why others may have put something into `folder`, as the end of a sentence; None where only this user could.

    Looked at is what `folder` names, and not what a link points to: a link may be another user's.
    """
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link"
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        return f"belongs to another user or can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def refuse_shared_folder(folder: Path, what: str, remedy: str) -> None:
    """UsageError where others could have put something into `folder`; nothing where it does not exist.

    what : the name of the cache in the message; remedy : how to get another folder
    """
    # A folder that the user chose may well be a link of their own; what counts is where it leads.
    real = folder.resolve()
    if real.exists() and (reason := writable_by_others(real)) is not None:
        raise UsageError(
            f"the {what} {folder} {reason}, so what it holds cannot be trusted; chmod 700 {folder}, or {remedy}"
        )
