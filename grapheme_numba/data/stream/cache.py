"""JSONL converted once: a Parquet file beside it, named by the content's digest and the schema's version."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.parquet.files import ParquetSource
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits
from grapheme_numba.data.schema import VERSION
from grapheme_numba.errors import GraphemeError, OutputError, RecordError
from grapheme_numba.files import cache_folders, locks, storage

FOLDER = ".grapheme_cache"
SHORTENED = 100  # bytes of a file's name that stay in those of its conversions
KEPT = 2  # conversions of one file that stay, so that edited data does not fill the disk


def content_digest(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=12)).hexdigest()


def cache_folder(path: Path) -> Path:
    """The folder for conversions of `path`: beside it, or in the user's cache where others could write that one."""
    beside = path.resolve().parent / FOLDER
    try:
        cache_folders.make_private(beside)
        if os.access(beside, os.W_OK | os.X_OK) and cache_folders.writable_by_others(beside) is None:
            return beside
    except OSError:
        pass  # a read-only folder: the user's own cache serves
    return user_data_cache()


def user_data_cache() -> Path:
    """The folder of converted data in the user's own cache. Raises OutputError, UsageError where others own it."""
    folder = cache_folders.user_cache() / "data"
    try:
        cache_folders.make_private(folder)
    except OSError as error:
        raise OutputError(
            f"there is no place for converted data: {folder}: {error.strerror or error}; give --no-cache, "
            "or set XDG_CACHE_HOME to a folder of your own"
        ) from None
    cache_folders.refuse_shared_folder(folder, "data cache", "set XDG_CACHE_HOME to a folder of your own")
    return folder


def _convert(path: Path, target: Path, note: Callable[[str], None] | None, limits: Limits) -> None:
    result = convert([path], target, note=note, limits=limits)
    if (first := result.first_reject) is not None:
        raise RecordError(
            f"{path}, line {first.line}: {first.reason} ({result.rejects} of {result.rows_in} lines are refused); "
            "`grapheme-data validate` lists them, `grapheme-data convert` leaves them out"
        )


def _valid(target: Path) -> bool:
    try:
        source = ParquetSource(target)
    except GraphemeError:
        return False
    try:
        for index in range(len(source.groups)):
            source.verify(index)
        return True
    except GraphemeError:
        return False
    finally:
        source.close()


Make = Callable[[Path, Callable[[str], None] | None], None]  # writes a Parquet file, and says what takes time
BESIDE = ".decisions"  # end of the name of a file that `make` may write beside the Parquet file, and that goes with it


def decisions_of(target: Path) -> Path:
    """The file beside a conversion that says what was decided in it."""
    return target.with_name(target.name + BESIDE)


def digest_of(files: Sequence[Path]) -> str:
    """Hex digest of the bytes of several files and their names; of one file, of its bytes alone."""
    if len(files) == 1:
        return content_digest(files[0])
    whole = hashlib.blake2b(digest_size=12)
    for file in files:
        whole.update(f"{content_digest(file)} ".encode() + os.fsencode(file) + b"\0")
    return whole.hexdigest()


def cached_parquet(
    path: Path,
    cache: bool,
    progress: Callable[[str], None] | None,
    limits: Limits = DEFAULT_LIMITS,
    make: Make | None = None,
    kind: str = "",
    files: Sequence[Path] = (),
    decides: bool = False,
    kept: int = KEPT,
) -> tuple[Path, Path | None]:
    """(Parquet file, temporary folder that should go with the dataset or None) of a JSONL file.

    make, kind : another conversion, and a word for the cached file's name that tells it from others
    files : what it reads, where that is not `path` itself
    decides : it writes `decisions_of` the Parquet file; kept : conversions of `path` that stay
    """
    files = files or [path]
    if make is None:

        def make(target: Path, note: Callable[[str], None] | None) -> None:
            _convert(path, target, note, limits)

    if not cache:
        folder = Path(tempfile.mkdtemp(prefix="grapheme-data-"))
        try:
            make(folder / "data.parquet", progress)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder / "data.parquet", folder
    folder = cache_folder(path)
    short = os.fsdecode(os.fsencode(path.name)[:SHORTENED])
    prefix = f"{short}-{hashlib.blake2b(os.fsencode(path.resolve()), digest_size=4).hexdigest()}"
    digest = digest_of(files)
    kind = kind or ("-nameless" if limits.nameless else "")
    target = folder / f"{prefix}-{digest}-v{VERSION}{kind}.parquet"
    with locks.exclusive(folder / f"{prefix}.lock"):  # a second run waits here and then finds the conversion done
        if not (_is_published(target, decides) and _valid(target)):
            if progress is not None:
                progress(f"converting {path} once into {folder}")
            with unnamed(folder / f"{storage.TEMPORARY}{prefix}") as fresh:
                make(fresh, progress)
                if digest_of(files) != digest:
                    raise RecordError(f"{path} changed while it was read; run again when nobody writes to it")
                publish(fresh, target)
            old = sorted(folder.glob(f"{prefix}-*.parquet"), key=lambda file: file.stat().st_mtime_ns)
            for file in old[:-kept]:
                file.unlink()
                for gone in (decisions_of(file), cache_folders.beside(decisions_of(file)), cache_folders.beside(file)):
                    gone.unlink(missing_ok=True)
    return target, None


def _is_published(target: Path, decides: bool) -> bool:
    """Whether a conversion is there, and what was decided in it, as this user's programs wrote them."""
    decided = decisions_of(target)
    return cache_folders.is_sealed(target, target.name) and (
        not decides or cache_folders.is_sealed(decided, decided.name)
    )


@contextmanager
def unnamed(folder: Path) -> Iterator[Path]:
    """Where a conversion is made and judged: a file in `folder`, which goes at the end, or when the next one begins.

    A file that must not be used never has the name by which it would be found, however the process ends.
    """
    with storage.named_failures(folder):
        storage.remove(folder)  # of a process that was killed
        folder.mkdir(mode=0o700)
    try:
        yield folder / "data.parquet"
    finally:
        storage.discard(folder)


def publish(fresh: Path, target: Path) -> None:
    """Give a conversion that was found right its name, and its seal. Raises OutputError."""
    decided, name = decisions_of(fresh), decisions_of(target)
    if decided.exists():
        with storage.named_failures(name):
            storage.rename(decided, name)
        cache_folders.seal(name, name.name)
    with storage.named_failures(target):
        storage.rename(fresh, target)
    cache_folders.seal(target, target.name)
