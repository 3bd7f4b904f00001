"""Where a user's caches are, and when a folder may hold one: nobody else may have put anything there.

A cache that lies beside data travels with it, in an archive or a clone, and whoever packed that may have put
another's file under a name that follows from the data. So beside each such file stands its seal, a digest with a key
that is in the user's own cache and travels nowhere: only this user's programs can have made it.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from functools import lru_cache
from pathlib import Path

from grapheme_numba.errors import UsageError
from grapheme_numba.files import cache_folders, storage


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


KEY = "seal.key"
N_BYTE = 32


def seal(path: Path, about: str) -> None:
    """Put a seal beside the file `path`, whose content follows from what `about` says. Raises OutputError."""
    storage.write_file(beside(path), _digest(path, about).encode())


def is_sealed(path: Path, about: str) -> bool:
    """Whether `path` still is the file that this user sealed as `about`."""
    try:
        return hmac.compare_digest(beside(path).read_bytes(), _digest(path, about).encode())
    except OSError:
        return False


def beside(path: Path) -> Path:
    """The file of a seal."""
    return path.with_name(f"{path.name}.seal")


def _digest(path: Path, about: str) -> str:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").digest()
    return hmac.new(_key(), about.encode(errors="surrogateescape") + b"\0" + content, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _key() -> bytes:
    """This user's key, made where there is none; one of this process alone where no file can hold it."""
    fresh = secrets.token_bytes(N_BYTE)
    try:
        folder = cache_folders.user_cache()
        cache_folders.make_private(folder)
        if cache_folders.writable_by_others(folder.resolve()) is not None:
            return fresh
        path, made = folder / KEY, folder / f"{KEY}.{os.getpid()}-{secrets.token_hex(4)}"
        storage.write_new(made, [fresh], 0o600)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(made, path)  # of two processes at once one names its key, and both use that
        finally:
            made.unlink()
        found = path.read_bytes()
    except OSError:
        return fresh
    return found if len(found) == N_BYTE else fresh
