"""Where compiled kernels are kept between runs: a private folder for each state of the kernels' sources.

Every change of a source makes a new folder, so those that nobody has used for long are dropped. A process
holds a shared lock on its folder as long as it lives, and what is locked is never dropped.
"""

import atexit
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
import warnings
from pathlib import Path

from grapheme_numba.errors import UsageError

MARK = "in_use"  # the file that is locked; its time is when the folder was last taken
DAY = 86400.0
UNUSED = 30 * DAY  # seconds after which a folder goes
KEPT = 8  # this many stay however they age below that; of the others those used within a day


def choose(sources: list[Path]) -> Path:
    """The folder for kernels of these sources, held by this process; Numba itself looks at one source, not at all."""
    stamps = [(source.name, source.stat().st_mtime_ns, source.stat().st_size) for source in sources]
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grapheme_numba"
        folder = base / hashlib.blake2b(repr(stamps).encode(), digest_size=8).hexdigest()
        fresh = not folder.exists()
        hold(folder)
        if fresh:
            prune(base, folder)
    except (OSError, RuntimeError) as error:  # a container without a home, a read-only disk
        folder = Path(tempfile.mkdtemp(prefix="grapheme_numba-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        warnings.warn(
            f"there is no place for compiled kernels ({error}), so every run compiles them anew; "
            "set NUMBA_CACHE_DIR to a folder of your own",
            stacklevel=2,
        )
    return folder


def hold(folder: Path) -> int:
    """Make `folder`, private, and lock it until this process ends; the descriptor of the lock. Raises OSError."""
    for _ in range(100):
        # Numba's cache is pickle, so it must live where only this user can write.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            mark = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # dropped between the two lines
        with contextlib.suppress(OSError):  # a file system without locks; then only age protects the folder
            fcntl.flock(mark, fcntl.LOCK_SH)
        os.utime(mark)
        if os.fstat(mark).st_nlink:
            return mark
        os.close(mark)  # dropped while we waited for the lock
    raise OSError(f"{folder} disappears again and again")


def prune(base: Path, own: Path) -> None:
    """Drop the folders in `base` that have gone unused for long; never `own`, nor one that a process holds."""
    found = [folder for folder in base.iterdir() if re.fullmatch("[0-9a-f]{16}", folder.name) and folder != own]
    for place, folder in enumerate(sorted(found, key=last_use, reverse=True)):
        age = time.time() - last_use(folder)
        if age > UNUSED or (place >= KEPT - 1 and age > DAY):
            with contextlib.suppress(OSError):  # in use, or another process drops it as well
                drop(folder)


def last_use(folder: Path) -> float:
    """When a folder was last taken; 0 when it is gone."""
    for path in (folder / MARK, folder):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime
    return 0.0


def drop(folder: Path) -> None:
    """Remove `folder`. Raises OSError (BlockingIOError) where a process holds it."""
    mark = os.open(folder / MARK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # First away from its name: who takes the name from now on gets a folder of its own.
        doomed = folder.with_name(f".{folder.name}.dropped-{os.getpid()}")
        folder.rename(doomed)
        shutil.rmtree(doomed)
    finally:
        os.close(mark)


def refuse_open_folder(folder: Path) -> None:
    """Raise UsageError where others could put compiled code into the cache: loading it would run theirs."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return  # Numba makes it, private to the umask
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UsageError(
            f"the kernel cache {folder} belongs to another user or can be written by others "
            f"(mode {status.st_mode & 0o777:04o}), so its code cannot be trusted; "
            f"chmod 700 {folder}, or set NUMBA_CACHE_DIR to a folder of your own"
        )
