"""Every file that training writes passes through here, so that a test can make any operation fail.

The six primitives at the top touch the disk; the rest is built from them. A file or folder gets its
final name only when its bytes are on the disk: readers see the old one or the new one, never a mixture.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from grapheme_numba.errors import OutputError, UsageError

TEMPORARY = ".partial-"  # prefix of what is not finished; safe to delete when no run is writing

REMEDY = "choose another --output; what was there before is intact"
REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), f"make room or {REMEDY}")
REMEDIES |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), f"make it writable or {REMEDY}")
REMEDIES[errno.ENOENT] = "its folder was taken away during the run; start again"


def create(path: Path) -> int:
    """Open a new file for writing; its mode follows the umask."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def write(descriptor: int, data) -> int:
    """Write some of `data`; the number of bytes written."""
    return os.write(descriptor, data)


def fsync(descriptor: int) -> None:
    """Force a file or folder to the disk."""
    os.fsync(descriptor)


def rename(source: Path, target: Path) -> None:
    """Give a file or folder its name, over an old file of that name."""
    os.replace(source, target)


def make_folder(path: Path) -> None:
    """Make a folder, in one that is there."""
    path.mkdir(exist_ok=True)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it; nothing to do when there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def named_failures(path: Path):
    """Turn an OSError while writing `path` into an OutputError that says so."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        remedy = REMEDIES.get(error.errno, REMEDY)
        raise OutputError(f"could not write {path}: {error.strerror or error}; {remedy}") from error


@contextmanager
def held(folder: Path):
    """Hold `folder` for this process until the end of the block, or of the process however it ends.

    Raises UsageError where another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another run is writing to {folder}; wait until it ends, or give this one another --output"
            ) from None
        except OSError as error:  # a file system without locks: then nobody can tell
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield
    finally:
        os.close(descriptor)


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, parts: Iterable) -> None:
    """Write buffers one after the other to a file that must not exist, and fsync it."""
    descriptor = create(path)
    try:
        for part in parts:
            view = memoryview(part).cast("B")
            while len(view):
                view = view[write(descriptor, view) :]
        fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file under a temporary name, fsync, rename, fsync the folder. Raises OutputError."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with named_failures(path):
        try:
            remove(temporary)
            write_new(temporary, [data])
            rename(temporary, path)
        except BaseException:
            discard(temporary)
            raise
        fsync_folder(path.parent)


def append_line(path: Path, line: bytes) -> bool:
    """Add one line to a file with a single write; False where there is no such file. Raises OutputError."""
    with named_failures(path):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            view = memoryview(line + b"\n")
            while len(view):
                view = view[write(descriptor, view) :]
        finally:
            os.close(descriptor)
    return True


def sync_file(path: Path) -> None:
    """Force what was appended to a file to the disk, if the file is there. Raises OutputError."""
    with named_failures(path), suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fsync(descriptor)
        finally:
            os.close(descriptor)


def discard(path: Path) -> None:
    """Remove what is left of a failed write; a second failure must not hide the first."""
    with suppress(OSError):
        remove(path)


def sweep(folder: Path) -> None:
    """Delete what killed runs left half-written in `folder`."""
    for leftover in folder.glob(f"{TEMPORARY}*"):
        discard(leftover)
