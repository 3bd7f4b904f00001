"""A file that appears whole or not at all: a temporary name beside it, fsync, rename, fsync of the folder."""

import contextlib
import fcntl
import glob
import os
import tempfile
from pathlib import Path

from grapheme_numba.errors import OutputError


class WholeFile:
    """A binary file object that takes its name only at `finish`, and knows its size and a digest.

    Raises OutputError when the folder or the disk does not take it; the old file then stays as it was.
    """

    def __init__(self, path: Path, hasher=None):
        self.path = Path(path)
        self.size = 0
        self.closed = self._abandoned = False
        self._fresh, self._hasher = hasher, hasher and hasher.copy()
        if self.path.exists() and not self.path.is_file():
            raise OutputError(
                f"cannot write {self.path}: it is a folder, device or pipe, which a file would replace; name a file"
            )
        try:
            handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=self.path.parent)
        except OSError as error:
            raise OutputError(f"cannot write in {self.path.parent}: {error.strerror}") from None
        self._temporary = Path(name)
        try:
            self._file = os.fdopen(handle, "w+b")
            fcntl.flock(handle, fcntl.LOCK_EX)
            remove_orphans(self.path)
        except BaseException:  # a signal: nobody has this object yet who could abandon it
            self._temporary.unlink(missing_ok=True)
            raise

    def write(self, data) -> int:
        """Append bytes; after `abandon` they are dropped, since who holds some back may still hand them over."""
        if self._abandoned:
            return len(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from None
        self.size += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        return len(data)

    def restart_digest(self) -> None:
        """Begin the digest anew at the current position."""
        self._hasher = self._fresh.copy()

    def digest(self) -> str:
        """Hex digest of what was written since `restart_digest`."""
        return self._hasher.hexdigest()

    def read_back(self):
        """The file object, for reading what was written; call before `finish`."""
        self.flush()
        return self._file

    def patch(self, at: int, data: bytes) -> None:
        """Overwrite bytes in place."""
        self._file.seek(at)
        self._file.write(data)

    def tell(self) -> int:
        """Position of the next byte."""
        return self.size

    def writable(self) -> bool:
        """True: PyArrow asks."""
        return True

    def readable(self) -> bool:
        """False: what was written is read through `read_back`."""
        return False

    def seekable(self) -> bool:
        """False: bytes are only appended, but for `patch`."""
        return False

    def flush(self) -> None:
        """Hand buffered bytes to the system."""
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Nothing: `finish` or `abandon` ends the file, whatever its users call."""

    def finish(self) -> None:
        """Flush to the disk and rename into place."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            os.fchmod(self._file.fileno(), 0o666 & ~mask)  # mkstemp made it private
            self._file.close()
            os.replace(self._temporary, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            self.abandon()
            raise self._failed(error) from None

    def abandon(self) -> None:
        """Close and remove the temporary file."""
        self._abandoned = True
        with contextlib.suppress(OSError):  # a full disk; closing still frees the descriptor
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self.path}: {error.strerror or error}; what was there before is unchanged")


def remove_orphans(path: Path) -> None:
    """Remove temporary files for `path` whose writer has died: nobody holds their lock any more."""
    for name in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with contextlib.suppress(OSError), open(name, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            name.unlink()


def user_cache() -> Path:
    """The folder of the user for data that can be made again."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "grapheme_numba" / "data"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
