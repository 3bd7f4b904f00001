"""Files that appear whole or not at all: a temporary name in the same folder, fsync, rename, fsync of the folder.

Checkpoints, converted data, graphs, reports and measurements are all written by the functions of this module.
The primitives at the top touch the disk and the rest is built from them, so a test can let each operation of a
save fail. Readers see the old file or the new one, never a mixture.
"""

import contextlib
import errno
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias

from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files import locks

TEMPORARY = ".partial-"  # prefix of what is not finished; without a writer that holds its lock it may be deleted
BUFFER = 1 << 20  # bytes

INTACT = "what was there before is intact"
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), f"{INTACT}; make room or choose another output")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), f"{INTACT}; make it writable or choose another")
REMEDIES[errno.ENOENT] = "its folder was taken away during the run; start again"

Buffer: TypeAlias = bytes | bytearray | memoryview


class Hasher(Protocol):
    """What `hashlib` makes."""

    def copy(self) -> "Hasher":
        """Another of the same state."""

    def update(self, data: Buffer, /) -> None:
        """Take in bytes."""

    def hexdigest(self) -> str:
        """The digest of what was taken in."""


def create(path: Path, mode: int = 0o666) -> int:
    """Open a new file for reading and writing; its mode is `mode` without the bits of the umask."""
    locks.refuse_moved(path)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


def write(descriptor: int, data: Buffer) -> int:
    """Write some of `data`; the number of bytes written."""
    return os.write(descriptor, data)


def fsync(descriptor: int) -> None:
    """Force a file or folder to the disk."""
    os.fsync(descriptor)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder its name, over an old file of that name."""
    locks.refuse_moved(target)
    os.replace(source, target)


def make_folder(path: Path) -> None:
    """Make a folder, in one that is there."""
    locks.refuse_moved(path)
    path.mkdir(exist_ok=True)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it; nothing to do when there is none."""
    locks.refuse_moved(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def named_failures(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into an OutputError that says so."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        locks.refuse_moved(path)
        remedy = REMEDIES.get(error.errno or 0, f"{INTACT}; choose another output")
        raise OutputError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: Buffer) -> None:
    """Write all of a buffer."""
    view = memoryview(data).cast("B")
    while len(view):
        view = view[write(descriptor, view) :]


def write_new(path: Path, parts: Iterable[Buffer], mode: int = 0o666) -> None:
    """Write buffers one after the other to a file that must not exist, and fsync it."""
    descriptor = create(path, mode)
    try:
        for part in parts:
            write_all(descriptor, part)
        fsync(descriptor)
    finally:
        os.close(descriptor)


class WholeFile:
    """A binary file object that takes its name only at `finish`, and knows its size and a digest.

    In a `with` statement the end of the body finishes the file and an exception abandons it.

    Parameters
    ----------
    path : Path
    hasher : of hashlib, optional
        For `digest`.
    mode : int
        Permissions, of which the umask takes its bits.

    Raises
    ------
    OutputError
        Here and in every method, when the folder or the disk does not take it; the old file then stays as it was.
    """

    def __init__(self, path: Path, hasher: Hasher | None = None, mode: int = 0o666) -> None:
        self.path = Path(path)
        self.size = 0
        self.closed = self._abandoned = False
        self._fresh, self._hasher = hasher, hasher and hasher.copy()
        if self.path.exists() and not self.path.is_file():
            raise OutputError(
                f"cannot write {self.path}: it is a folder, device or pipe, which a file would replace; name a file"
            )
        try:
            remove_orphans(self.path.parent, self.path.name)
            self._temporary, descriptor = _create_locked(self.path, mode)
        except OSError as error:
            if self.path.parent.is_dir():
                with named_failures(self.path):
                    raise
            raise OutputError(f"cannot write in {self.path.parent}: {error.strerror}") from None
        try:
            self._file = io.BufferedRandom(_Raw(descriptor, "r+b"), BUFFER)
        except BaseException:  # a signal: nobody has this object yet who could abandon it
            discard(self._temporary)
            raise

    def write(self, data: Buffer) -> int:
        """Append bytes; after `abandon` they are dropped, since who holds some back may still hand them over."""
        if self._abandoned:
            return len(data)
        with named_failures(self.path):
            self._file.write(data)
        self.size += len(data)
        if self._hasher is not None:
            self._hasher.update(data)
        return len(data)

    def restart_digest(self) -> None:
        """Begin the digest anew at the current position."""
        self._hasher = self._fresh and self._fresh.copy()

    def digest(self) -> str:
        """Hex digest of what was written since `restart_digest`; empty without a hasher."""
        return self._hasher.hexdigest() if self._hasher is not None else ""

    def read_back(self) -> BinaryIO:
        """The file object, for reading what was written; call before `finish`."""
        self.flush()
        return self._file

    def patch(self, at: int, data: bytes) -> None:
        """Overwrite bytes in place."""
        with named_failures(self.path):
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
        with named_failures(self.path):
            self._file.flush()

    def close(self) -> None:
        """Nothing: `finish` or `abandon` ends the file, whatever its users call."""

    def finish(self) -> None:
        """Flush to the disk and rename into place."""
        with named_failures(self.path):
            try:
                self._file.flush()
                fsync(self._file.fileno())
                rename(self._temporary, self.path)
                self._file.close()
            except BaseException:
                self.abandon()
                raise
            fsync_folder(self.path.parent)

    def abandon(self) -> None:
        """Close and remove the temporary file."""
        self._abandoned = True
        discard(self._temporary)
        with contextlib.suppress(OSError):  # a full disk; closing still frees the descriptor
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon()


class _Raw(io.FileIO):
    """An unbuffered file that writes through `write`."""

    def write(self, data: Buffer, /) -> int:  # type: ignore[override]
        return write(self.fileno(), data)


def write_file(path: Path, data: Buffer, mode: int = 0o666) -> None:
    """Write a whole file with the permissions `mode`, of which the umask takes its bits. Raises OutputError."""
    with WholeFile(path, mode=mode) as file:
        file.write(data)


def append_line(path: Path, line: bytes) -> bool:
    """Add one line to a file with a single write; False where there is no such file. Raises OutputError."""
    with named_failures(path):
        locks.refuse_moved(path)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            write_all(descriptor, line + b"\n")
        finally:
            os.close(descriptor)
    return True


def sync_file(path: Path) -> None:
    """Force what was appended to a file to the disk, if the file is there. Raises OutputError."""
    with named_failures(path), contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fsync(descriptor)
        finally:
            os.close(descriptor)


def mode_of(sources: Iterable[str | Path]) -> int:
    """The permissions, without those to execute, that all of the files `sources` have: for what is made from them.

    Of what is no file (standard input, a pipe) nothing is known, so it counts as everybody's.
    """
    mode = 0o666
    for source in sources:
        with contextlib.suppress(OSError):
            if Path(source).is_file():
                mode &= Path(source).stat().st_mode
    return mode | 0o600


def discard(path: Path) -> None:
    """Remove what is left of a failed write; a second failure must not hide the first."""
    with contextlib.suppress(OSError, OutputError):
        remove(path)


def sweep(folder: Path) -> None:
    """Delete what killed processes left half-written in `folder`: files that nobody holds, and folders."""
    locks.refuse_moved(folder)
    for leftover in folder.glob(f"{TEMPORARY}*"):
        if leftover.is_dir() and not leftover.is_symlink():
            discard(leftover)
        else:
            _remove_unheld(leftover)


def remove_orphans(folder: Path, name: str) -> None:
    """Remove temporary files for `name` in `folder` whose writer has died: nobody holds their lock any more."""
    temporary = re.compile(rf"{re.escape(TEMPORARY)}\d+-[0-9a-f]{{8}}-{re.escape(name)}", re.DOTALL)
    for found in os.listdir(folder):
        if temporary.fullmatch(found):
            _remove_unheld(folder / found)


def _remove_unheld(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_symlink():
            return path.unlink()
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if locks.try_lock(descriptor):
                path.unlink()
        finally:
            os.close(descriptor)


def _create_locked(path: Path, mode: int) -> tuple[Path, int]:
    """The name and the descriptor of a new temporary file for `path`, locked."""
    while True:
        temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{path.name}")
        descriptor = create(temporary, mode)
        try:
            if locks.try_lock(descriptor) and os.fstat(descriptor).st_nlink:
                return temporary, descriptor
        except BaseException:
            os.close(descriptor)
            discard(temporary)
            raise
        os.close(descriptor)  # taken for an orphan between the two lines


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
