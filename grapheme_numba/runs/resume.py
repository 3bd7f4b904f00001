"""Whether a run starts fresh or resumes, and with which configuration."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.errors import CheckpointError, UsageError
from grapheme_numba.files.storage import refuse_overwriting
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import Checkpoint
from grapheme_numba.training import config as configs
from grapheme_numba.training.config import Config
from grapheme_numba.training.tasks import Task

# What the checkpoint's own network answers: a resumed run cannot have another one, not even with --override.
NETWORK_KEYS = frozenset({"topology", "hidden", "depth", "fan_in", "skip", "activation", "init"})
NETWORK_KEYS |= {"embedding_dim", "precision", "graph", "break_cycles", "brain"}
# What was meant for one start of a run only, and does not come back with its checkpoint.
OF_ONE_START = frozenset({"max_steps", "max_time", "output", "threads"})


class Start(NamedTuple):
    """How a run begins: its config and folder, the checkpoint to resume from (or None), and notes to show.

    `stamp` is the stamp of the folder's newest checkpoint when it was looked at; `chosen` are the keys that somebody
    gave a value, which no default that depends on the data may replace.
    """

    config: Config
    folder: Path
    checkpoint: Checkpoint | None
    source: Path | None
    notes: list[str]
    stamp: tuple[int, ...] = ()
    chosen: frozenset[str] = frozenset()


def choose_start(task: Task, layers: Sequence[tuple[str, Mapping[str, Any]]], resume: str, override: bool) -> Start:
    """Merge the config layers over the checkpoint's config, or over the task's defaults.

    Parameters
    ----------
    task : Task
    layers : list of (origin, values)
        What was given, the later over the earlier.
    resume : "never", "auto" or a path
    override : bool
        Go on although something differs that alters results.

    Raises
    ------
    UsageError
        The folder already holds a checkpoint and `resume` is "never"; or a difference is refused.
    """
    defaults = (f"the defaults of {task.name}", dict(task.defaults))
    given = configs.build(defaults, *layers)
    chosen = frozenset(key for _, values in layers for key in values)
    if resume == "never":
        folder = Path(given.output) if given.output else new_folder(task.name)
        if run_folder.has_checkpoint(folder):
            raise UsageError(
                f"{folder} already holds a checkpoint; resume it with --resume auto, "
                "or give the new run another folder with --output"
            )
        # The whole configuration goes there, and not what the user wrote.
        written = [folder / name for name in run_folder.WRITTEN]
        refuse_overwriting(written, [where for where, _ in layers if Path(where).is_file()])
        return Start(given, folder, None, None, [], run_folder.stamp(folder), chosen)
    if resume == "auto":
        if not given.output:
            raise UsageError("--resume auto needs to know the run; give its folder with --output")
        source = Path(given.output)
        stamp = run_folder.stamp(source)
        checkpoint, notes = run_folder.newest(source)
        if checkpoint is None:
            if notes:
                raise CheckpointError(f"{source} holds no whole checkpoint: {'; '.join(notes)}")
            notes = [f"no checkpoint in {source}, so this run starts fresh"]
            return Start(given, source, None, None, notes, stamp, chosen)
    else:
        checkpoint, found, notes = run_folder.find_newest(resume)
        source = found.parent
        stamp = run_folder.stamp(source)
    if checkpoint.task != task.name:
        raise UsageError(f"the checkpoint is of the trainer {checkpoint.task!r}; use grapheme-train {checkpoint.task}")
    kept = [key for key in configs.KEYS if key not in OF_ONE_START]
    saved = ("the checkpoint", {key: getattr(checkpoint.config, key) for key in kept})
    config = configs.build(saved, *layers)
    refuse_differences(checkpoint.config, config, override)
    folder = Path(config.output) if config.output else source
    if folder.resolve() != source.resolve() and run_folder.has_checkpoint(folder):
        raise UsageError(f"{folder} holds checkpoints of another run; give --output a folder of its own")
    if folder.resolve() != source.resolve():
        stamp = run_folder.stamp(folder)
    return Start(config, folder, checkpoint, source, notes, stamp)


def refuse_differences(old: Config, new: Config, override: bool) -> None:
    """Raise UsageError listing what differs and alters results, unless `override` allows it."""
    lines = configs.differences(old, new)
    fixed = [line for line in lines if line.split(":")[0] in NETWORK_KEYS]
    if fixed:
        raise UsageError(f"a resumed run keeps its network, but these differ: {'; '.join(fixed)}; drop them")
    if lines and not override:
        raise UsageError(
            f"these differ from the run's and would alter its results: {'; '.join(lines)}; "
            "drop them, or add --override to resume with them"
        )


def new_folder(task: str) -> Path:
    """`runs/<task>-<date>-<time>`, with a number behind it where that is taken."""
    stem = f"{task}-{time.strftime('%Y%m%d-%H%M%S')}"
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next(Path("runs") / name for name in names if not (Path("runs") / name).exists())
