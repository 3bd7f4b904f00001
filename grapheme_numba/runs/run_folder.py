"""The checkpoints and metrics of a run's folder: which are kept, which is newest, and how one takes another's place.

`checkpoint_last` is the newest, `checkpoint_step_<n>` the ones before it, `checkpoint_best` the best by
validation. A crash between two renames leaves the old checkpoint under its other name, where `newest`
and `find` look as well.
"""

import contextlib
import itertools
import os
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.errors import CheckpointError, GraphemeError, MissingInputError, RecordError
from grapheme_numba.files import storage
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs.checkpoint import MANIFEST, MODEL, Checkpoint
from grapheme_numba.runs.journal import METRICS, whole_row
from grapheme_numba.training.config import read_config

CONFIG, REJECTS = "config.toml", "rejects.jsonl"
WRITTEN = (CONFIG, METRICS, REJECTS, "report.html")  # the files of a run that are no checkpoint
ASIDE = "set_aside_"
LAST, BEST, PREVIOUS_BEST, STEP = "checkpoint_last", "checkpoint_best", "checkpoint_best_previous", "checkpoint_step_"


def save_last(run: Path, checkpoint: Checkpoint, keep: int) -> Path:
    """Make `checkpoint` the newest of `run`, keep the `keep` newest. Raises OutputError."""
    last = run / LAST
    with storage.named_failures(last):
        fresh = prepare(run, LAST, checkpoint)
        if (last / MANIFEST).is_file():
            publish(fresh, last, run / f"{STEP}{step_of(last):08d}")
        else:
            publish(fresh, last, None)
        for old in kept_steps(run)[max(0, keep - 1) :]:
            storage.remove(old)
    return last


def save_best(run: Path, checkpoint: Checkpoint) -> Path:
    """Make `checkpoint` the best of `run`. Raises OutputError."""
    best = run / BEST
    with storage.named_failures(best):
        fresh = prepare(run, BEST, checkpoint)
        publish(fresh, best, run / PREVIOUS_BEST if best.exists() else None)
        storage.remove(run / PREVIOUS_BEST)
    return best


def prepare(run: Path, name: str, checkpoint: Checkpoint) -> Path:
    """Write `checkpoint` under a temporary name in `run`; nothing stays behind when that fails."""
    fresh = run / f"{storage.TEMPORARY}{os.getpid()}-{name}"
    try:
        storage.remove(fresh)
        checkpoints.write(checkpoint, fresh)
    except BaseException:
        storage.discard(fresh)
        raise
    return fresh


def publish(fresh: Path, target: Path, aside: Path | None) -> None:
    """Rename `fresh` to `target`, after `target` to `aside` (over what is there); put it back when that fails."""
    moved = False
    try:
        if aside is not None:
            storage.remove(aside)
            storage.rename(target, aside)
            moved = True
        storage.rename(fresh, target)
    except BaseException:
        if aside is not None and moved and not target.exists():
            with contextlib.suppress(OSError):  # the folder went away as a whole; that is what the error says
                os.replace(aside, target)
        storage.discard(fresh)
        raise
    storage.fsync_folder(target.parent)


def newest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest valid checkpoint of `run` (None without any) and a sentence for each damaged one."""
    damaged: list[str] = []
    for folder in [run / LAST, *kept_steps(run)]:
        if not folder.exists():
            continue
        try:
            return checkpoints.read(folder), damaged
        except (CheckpointError, MissingInputError) as error:
            damaged.append(f"skipped {folder.name}: {error}")
    return None, damaged


def set_aside_later(run: Path, checkpoint: Checkpoint) -> list[Path]:
    """Move what a run had reached beyond `checkpoint`, from which it now resumes, into a folder of its own.

    Left in place, later checkpoints of a future that is given up would count as the newest at the next fallback.
    A damaged newest one goes with them. The new places are returned; nothing is deleted. Raises OutputError.
    """
    now = checkpoint.progress.position
    later = [folder for folder in [*reversed(kept_steps(run)), run / LAST] if folder.exists() and is_later(folder, now)]
    if not later:
        return []
    aside = next(path for path in (run / f"{ASIDE}{number}" for number in itertools.count(1)) if not path.exists())
    with storage.named_failures(aside):
        storage.make_folder(aside)
        for folder in later:  # `checkpoint_last` at the end: until it has gone, the run stands where it stood
            storage.rename(folder, aside / folder.name)
        storage.fsync_folder(aside)
        storage.fsync_folder(run)
    return [aside / folder.name for folder in later]


def is_later(folder: Path, now: tuple[int, ...]) -> bool:
    """Whether a checkpoint stands beyond the place `now`, by its manifest, or by its name where that is damaged."""
    try:
        return checkpoints.read_manifest(folder).progress.position > now
    except CheckpointError:
        return folder.name == LAST or int(folder.name[len(STEP) :]) > now[2]


def find(path: str | os.PathLike[str]) -> tuple[Checkpoint, Path, list[str]]:
    """The checkpoint at `path`: its folder, or a run's folder (then its best, else its newest).

    Returns it with its folder and a sentence for each damaged one passed over. Raises
    MissingInputError where there is none, CheckpointError where none is whole.
    """
    path = Path(path)
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; give a checkpoint's folder or a run's folder")
    if (path / MANIFEST).exists() or not has_checkpoint(path):
        return checkpoints.read(path), path, []
    damaged: list[str] = []
    for folder in [run_best(path), path / LAST, *kept_steps(path)]:
        if folder.exists():
            try:
                return checkpoints.read(folder), folder, damaged
            except (CheckpointError, MissingInputError) as error:
                damaged.append(f"skipped {folder.name}: {error}")
    raise CheckpointError(f"{path} holds no whole checkpoint: {'; '.join(damaged)}")


def find_newest(path: str | os.PathLike[str]) -> tuple[Checkpoint, Path, list[str]]:
    """As `find`, but of a run's folder the newest checkpoint: what a run resumes from."""
    path = Path(path)
    if (path / MANIFEST).exists() or not has_checkpoint(path):
        return find(path)
    checkpoint, damaged = newest(path)
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no whole checkpoint to resume from: {'; '.join(damaged)}")
    return checkpoint, path / LAST, damaged


def stamp(run: Path) -> tuple[int, ...]:
    """What changes whenever `run` gets another newest checkpoint; () without any."""
    try:
        status = (run / LAST / MANIFEST).stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns


def files_of(folder: Path) -> list[Path]:
    """The files that are read of a run's folder or a checkpoint's: those no command may write over."""
    checkpoint_folders = [folder, folder / LAST, run_best(folder), *kept_steps(folder)]
    inside = [one / name for one in checkpoint_folders for name in (MODEL, MANIFEST)]
    return [folder / CONFIG, folder / METRICS, *inside]


def has_checkpoint(run: Path) -> bool:
    """Whether `run` holds a checkpoint, whole or damaged."""
    return any(folder.exists() for folder in [run / LAST, run_best(run), *kept_steps(run)])


def run_best(run: Path) -> Path:
    """The best checkpoint's folder, also when a crash left it under its other name."""
    return run / BEST if (run / BEST).exists() or not (run / PREVIOUS_BEST).exists() else run / PREVIOUS_BEST


def kept_steps(run: Path) -> list[Path]:
    """The older checkpoints, newest first."""
    folders = [folder for folder in run.glob(f"{STEP}*") if folder.name[len(STEP) :].isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name[len(STEP) :]), reverse=True)


def step_of(folder: Path) -> int:
    """The step of a checkpoint by its manifest; 0 where that is damaged."""
    try:
        return checkpoints.read_manifest(folder).progress.step
    except CheckpointError:
        return 0


CONFIG = "config.toml"


class SavedRun(NamedTuple):
    """A run's rows and configuration.

    name : its folder's name, longer where another run has the same
    rows : the whole rows of metrics.jsonl
    config : key to value; empty where it cannot be read
    notes : a sentence for everything that is not as it should be
    """

    name: str
    rows: list[dict[str, Any]]
    config: dict[str, Any]
    notes: list[str]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The rows of one kind: `epoch` or `validation`."""
        return [row for row in self.rows if row.get("kind") == kind and isinstance(row.get("epoch"), int)]


def read_runs(paths: list[str]) -> list[SavedRun]:
    """The runs of folders (or of their metrics.jsonl), in order.

    Raises MissingInputError where there is no run, RecordError where no row of one is whole.
    """
    files = [find_metrics(Path(path)) for path in paths]
    names = distinct_names([file.resolve().parent for file in files])
    return [read_run(file, name) for file, name in zip(files, names, strict=True)]


def find_metrics(path: Path) -> Path:
    """The metrics file of a run's folder, or the file itself. Raises MissingInputError."""
    file = path / METRICS if path.is_dir() else path
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; name the folder of a run, as runs/agi-20260131-120000")
    if not file.is_file():
        raise MissingInputError(f"{path} holds no {METRICS}, so it is not the folder of a run that has begun")
    return file


def distinct_names(folders: list[Path]) -> list[str]:
    """For every folder the shortest end of its path that no other one has; the same folder twice is numbered."""
    names = []
    for index, folder in enumerate(folders):
        others = [other for other in folders if other != folder]
        parts = folder.parts
        length = next(
            (n for n in range(1, len(parts) + 1) if all(other.parts[-n:] != parts[-n:] for other in others)), len(parts)
        )
        again = folders[:index].count(folder)
        names.append("/".join(parts[-length:]) + (f" ({again + 1})" if again else ""))
    return names


def read_run(file: Path, name: str) -> SavedRun:
    """One run. Raises RecordError where no row is whole."""
    lines = file.read_bytes().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    rows = [whole_row(line) for line in lines]
    notes = []
    # what a run is writing right now, or was when it was killed, is no damage
    damaged = [number for number, row in enumerate(rows[:-1], 1) if row is None]
    if damaged:
        first = ", ".join(map(str, damaged[:5])) + (", ..." if len(damaged) > 5 else "")
        notes.append(f"{file}: {len(damaged)} of {len(lines)} lines are damaged and left out (line {first})")
    whole = [row for row in rows if row is not None]
    if not whole:
        raise RecordError(f"{file} has no row that is as a run wrote it; a run writes its first after the first epoch")
    config: dict[str, Any] = {}
    try:
        config = read_config(file.parent / CONFIG)
    except GraphemeError as fault:
        notes.append(f"{name} is compared without its configuration: {fault}")
    return SavedRun(name, whole, config, notes)
