"""Where compiled kernels are kept between runs: a private folder for each state of the kernels' sources.

Every change of a source makes a new folder, so those that nobody has used for long are dropped. A process
holds a shared lock on its folder as long as it lives, and what is locked is never dropped.

Nothing forces these files to the disk, so after a power loss they may be empty or cut. Each ends with a digest.
"""

import atexit
import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import time
import warnings
from pathlib import Path

from grapheme_numba.files import cache_folders, locks
from grapheme_numba.files.storage import Buffer

DIGEST = hashlib.sha256().digest_size  # bytes
MARK = "in_use"  # the file that is locked; its time is when the folder was last taken
DAY = 86400.0
UNUSED = 30 * DAY  # seconds after which a folder goes
ROOM = 16 << 20  # bytes that the kernels of one state of the sources take, rounded up
KEPT = 8  # this many stay however they age below that; of the others those used within a day


def choose(sources: list[Path]) -> Path:
    """The folder for kernels of these sources, held by this process; Numba itself looks at one source, not at all."""
    stamps = [(source.name, source.stat().st_mtime_ns, source.stat().st_size) for source in sources]
    try:
        base = cache_folders.user_cache()
        folder = base / hashlib.blake2b(repr(stamps).encode(), digest_size=8).hexdigest()
        fresh = not folder.exists()
        hold(folder)
        refuse_full_disk(folder)
        if fresh:
            prune(base, folder)
    except OSError as error:  # a container without a home, a read-only disk
        folder = Path(tempfile.mkdtemp(prefix="grapheme_numba-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        warnings.warn(
            f"there is no place for compiled kernels ({error}), so every run compiles them anew; "
            "set NUMBA_CACHE_DIR to a folder of your own",
            stacklevel=2,
        )
    return folder


def refuse_full_disk(folder: Path) -> None:
    """OSError where an empty `folder` has no room for kernels."""
    status = os.statvfs(folder)
    if status.f_bavail * status.f_frsize < ROOM and not any(folder.rglob("*.nbi")):
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {folder}")


def hold(folder: Path) -> int:
    """Make `folder`, private, and lock it until this process ends; the descriptor of the lock. Raises OSError."""
    for _ in range(100):
        # Numba's cache is pickle, so it must live where only this user can write.
        cache_folders.make_private(folder)
        try:
            mark = locks.open_shared(folder / MARK)  # without locks only age protects the folder
        except FileNotFoundError:
            continue  # dropped between the two lines
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
    mark = locks.open_lock_file(folder / MARK)
    try:
        if not locks.try_lock(mark):
            raise BlockingIOError(f"{folder} is in use")
        # First away from its name: who takes the name from now on gets a folder of its own.
        doomed = folder.with_name(f".{folder.name}.dropped-{os.getpid()}")
        folder.rename(doomed)
        shutil.rmtree(doomed)
    finally:
        os.close(mark)


def make_or_refuse(folder: Path) -> None:
    """Make a missing folder for this user alone; UsageError where others could put compiled code into it.

    Loading that code would run theirs.
    """
    with contextlib.suppress(OSError):  # then Numba says what is wrong with it
        cache_folders.make_private(folder)  # Numba would make it by the umask, and 002 lets the group write
    cache_folders.refuse_shared_folder(folder, "kernel cache", "set NUMBA_CACHE_DIR to a folder of your own")


def digest(name: str, content: Buffer) -> bytes:
    """What stands at the end of the cached file `name`. With its name, so that no file passes for another."""
    found = hashlib.sha256(name.encode() + b"\0")
    found.update(content)
    return found.digest()


def is_whole(path: Path) -> bool:
    """Whether a cached file ends with its digest. False where there is none; damage is said once."""
    try:
        data = memoryview(path.read_bytes())
    except FileNotFoundError:
        return False
    except OSError as error:
        say_once("unread", f"compiled kernels in {path.parent} cannot be read ({error}), so they are compiled anew")
        return False
    if data[-DIGEST:] == digest(path.name, data[:-DIGEST]):
        return True
    say_once("damaged", f"{path}, a file of compiled kernels, is damaged; what is damaged there is compiled anew")
    return False


def say_once(kind: str, sentence: str) -> None:
    """Warn, once in a process of each kind: one damage has often come to hundreds of files."""
    if kind not in _said:
        _said.add(kind)
        warnings.warn(sentence, stacklevel=2)


_said: set[str] = set()
