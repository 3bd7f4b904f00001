"""Files that only this user's programs can have made: beside each stands a keyed digest, its seal.

A cache that lies beside data travels with it, in an archive or a clone, and whoever packed that may have put
another's file under a name that follows from the data. The key is in the user's own cache and travels nowhere.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from grapheme_numba.files import cache_folders, storage

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
