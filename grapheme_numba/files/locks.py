"""Locks between processes, each released by the system however its holder ends.

`exclusive` is the rule. Three locks cannot be files of the library: that of a run is on the folder itself, so
that it moves with the folder and leaves nothing behind in it; that of a kernel cache is shared by its users and
kept by the children they fork; and that of a half-written file is on the file, so that nobody removes it as an
orphan while its writer lives. These use `flock`, here and nowhere else.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from grapheme_numba.errors import OutputError, UsageError

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # what a file system without locks answers


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for the lock file `path`, made for its user alone where there is none, and hold it in the block.

    The file is neither emptied nor followed where it is a symbolic link: then OutputError is raised.
    """
    from filelock import FileLock  # 35 ms, wanted only where there is something to lock

    # Preserved, the file is never unlinked, so all wait for one; and no soft lock, which the killed leave behind.
    lock = FileLock(path, mode=0o600, preserve_lock_file=True)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise OutputError(f"cannot lock {path}: {error.strerror or error}; remove it or make it writable") from None
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process until the end of the block, or of the process however it ends.

    Raises UsageError where another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not try_lock(descriptor):
            raise UsageError(
                f"another run is writing to {folder}; wait until it ends, or give this one another --output"
            )
        _held[descriptor] = os.path.abspath(folder)
        yield
    finally:
        _held.pop(descriptor, None)
        os.close(descriptor)


_held: dict[int, str] = {}  # descriptor of each held folder, and the path it had


def refuse_moved(path: Path) -> None:
    """OutputError where `path` is in a folder that this process holds, and another folder has taken its place.

    The lock is on the folder and moves with it, while writing goes by name: into the folder of whoever came after.
    """
    if not _held:
        return
    absolute = os.path.abspath(path)
    for descriptor, folder in list(_held.items()):
        if os.path.commonpath((folder, absolute)) != folder:
            continue
        with contextlib.suppress(FileNotFoundError):  # moved, and nobody came after: writing there fails by itself
            if not os.path.samestat(os.stat(folder), os.fstat(descriptor)):
                raise OutputError(
                    f"{folder} was moved or replaced during the run, and the folder of that name is another's; "
                    f"nothing more is written: what this run saved {_now(descriptor)}"
                )


def _now(descriptor: int) -> str:
    """Where an open folder is now, as the end of a sentence."""
    with contextlib.suppress(OSError):
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.samestat(os.stat(place), os.fstat(descriptor)):
            return f"is in {place}"
    return "went with it"


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder for this process alone; False where another has it locked.

    True on a file system without locks, where nobody can tell. Raises OSError.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def open_shared(path: Path) -> int:
    """Open `path`, made for its user alone where there is none, and share its lock; the descriptor. Raises OSError."""
    descriptor = open_lock_file(path)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def open_lock_file(path: Path) -> int:
    """Open a file for its lock, made for its user alone where there is none, never through a link. Raises OSError."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
