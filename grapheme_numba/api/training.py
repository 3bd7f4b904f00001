"""`gn.train`: a run as the command line makes it. Both call `run_task`, so both give the same bits."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode
from grapheme_numba.api.loading import ArrowStream, Model, load_model
from grapheme_numba.data.sources.tables.frames import is_frame, kept_frame
from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.errors import RecordError, UsageError
from grapheme_numba.report.reporter import Reporter
from grapheme_numba.runs import resume as resuming
from grapheme_numba.runs import session
from grapheme_numba.runs.resume import Start
from grapheme_numba.signals import StopRequest
from grapheme_numba.training.callbacks import Callback
from grapheme_numba.training.observer import CallbackObserver, Observer, Observers, TextObserver, as_arrays, history_of
from grapheme_numba.training.run import Run
from grapheme_numba.training.tasks import NAMES, find_task

Layers = list[tuple[str, Mapping[str, Any]]]


class TrainedRun:
    """A finished run.

    Attributes
    ----------
    history : dict of str to (n_epoch,) float64
        `loss`, `val_loss` (NaN where an epoch was not validated), the same with `/NAME` per domain, and more: see
        `grapheme_numba.training.observer.history_of`.
    folder : Path
        With `config.toml`, `metrics.jsonl`, the checkpoints and `report.html`.
    best : dict of str to dict
        The scores of the best validation per domain and of `all`: n, mse, mse_constant, exact, mae, ...; empty where
        nothing was validated.
    model : Model
        The model of the best checkpoint (the newest where nothing was validated), as `gn.load(folder)` gives it.
    """

    def __init__(self, run: Run) -> None:
        self.folder: Path = run.folder
        rows = list(run.journal.rows)
        self.history: dict[str, npt.NDArray[np.float64]] = as_arrays(history_of(rows))
        best = next((row for row in reversed(rows) if row.get("kind") == "validation" and row.get("best")), None)
        self.best: dict[str, dict[str, Any]] = {}
        if best is not None:
            figures: Iterable[str] = next(iter(best["domains"].values()), {})
            whole = {key: best.get(key) for key in figures if key != "domain"}
            self.best = {**{name: dict(one) for name, one in best["domains"].items()}, "all": whole}

    @cached_property
    def model(self) -> Model:
        """The model of the best checkpoint."""
        return load_model(self.folder)

    def __repr__(self) -> str:
        loss = self.history.get("loss")
        last = f", loss {loss[-1]:.4g}" if loss is not None and len(loss) else ""
        return f"<TrainedRun {str(self.folder)!r}: {len(self.history['epoch'])} epochs{last}>"


def train(
    task: str,
    *,
    data: str | os.PathLike[str] | ArrowStream | None = None,
    output: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] = "never",
    override: bool = False,
    cache: bool = True,
    callbacks: Iterable[Callback] = (),
    progress: Callable[[str], object] | None = None,
    **config: Any,
) -> TrainedRun:
    """Train as `grapheme-train TASK` does, with the same bits, and return the run.

    Parameters
    ----------
    task : {"agi", "unified"}
    data : path or table, optional
        Folder with train, val and test files, or one file; without it the data shipped in a clone. Or a table in
        memory: a data frame of pandas or polars, or an Arrow table, with `target`, its column of answers. The frame
        stays as it is; an index is not read (`frame.reset_index()` makes it a column). Its rows go to a Parquet file
        in the user's cache, from which the run may be resumed, and are called `table` (`domain` names them otherwise).
    output : path, optional
        Folder of the run; a new one under `runs/` without it.
    resume : "never", "auto" or path
        "auto" resumes the newest checkpoint of `output`; a path resumes the checkpoint there.
    override : bool
        Resume although something differs that alters results.
    cache : bool
        Keep a converted copy of JSONL data beside it.
    callbacks : iterable of callable (state)
        Called after every epoch with a `TrainingState`; see `grapheme_numba.training.callbacks` for ready ones.
    progress : callable (str), optional
        Called with a line of text about what happens, for example `print`; nothing is printed without it.
    **config
        Keys of the configuration, as in `config.toml`: epochs, batch_size, lr, hidden, ...

    Raises
    ------
    UsageError
        A task, key or value that is not known (the message has the nearest key), or a folder that already holds a
        checkpoint while `resume` is "never".
    MissingInputError, RecordError
        The data is not there or not what it should be.
    NonFiniteError
        A loss or parameter is not finite and `nan_policy` is "stop".
    StoppedEarly
        `max_steps` or `max_time` is reached, or Ctrl-C or SIGTERM came: a checkpoint is saved, and
        `resume="auto"` takes the run up again. A second Ctrl-C raises KeyboardInterrupt at once. In a thread other
        than the main one signals are left to the program.
    """
    if not arguments.is_name(task, NAMES):
        raise UsageError(f"unknown task {arguments.shown(task)}; choose one of {', '.join(NAMES)}")
    name = ""
    if is_frame(data):
        data, name = kept_frame(data)
        config = {"domain": name, **config}
        if config.get("target") is not None:  # pandas counts columns without names, or calls them by pairs
            config["target"] = str(config["target"])
    elif data is not None and not isinstance(data, str | os.PathLike):
        raise UsageError(
            f"data is {arguments.shown(data)}; give the path of a file or folder, a data frame, or an Arrow table"
        )
    frame = str(data) if name else ""
    paths = {"data": data, "output": output}
    values = {key: str(arguments.path(key, path)) for key, path in paths.items() if path is not None} | config
    observers: list[Observer] = [TextObserver(progress)] if progress is not None else []
    observers.append(CallbackObserver(callbacks))
    stop = StopRequest(ends_process=False)
    observer = Observers(*observers)
    with stop.listening():
        try:
            run, _ = run_task(
                task,
                [("gn.train", values)],
                resume=str(arguments.path("resume", resume)),
                override=override,
                cache=cache,
                stop=stop,
                observer=observer,
            )
        except (RecordError, UsageError) as error:
            if not frame:
                raise
            sentence = str(error).replace(frame, "the table")  # of which the user knows no file
            raise type(error)(re.sub(r"--(target|input|drop|weight|domain|kind|missing)\b", r"\1=", sentence)) from None
        finally:
            observer.close()
    return TrainedRun(run)


@float_mode.standard()
def run_task(
    name: str,
    layers: Layers,
    *,
    resume: str = "never",
    override: bool = False,
    cache: bool = True,
    stop: StopRequest,
    observer: Observer,
    comm: Serial | Ranks | None = None,
    ready: Callable[[Run], bool] | None = None,
) -> tuple[Run, Start]:
    """A run from its layers of configuration to its report: what `gn.train` and the command line share.

    Parameters
    ----------
    name : str
        Of the task.
    layers : list of (origin, values)
        The configuration, the later over the earlier; errors name the origin.
    resume, override, cache
        As for `train`.
    stop : StopRequest
    observer : Observer
        Besides it the report is written.
    comm : Serial or Ranks, optional
        The ranks that train together; this is rank 0.
    ready : callable (run) -> bool, optional
        Called when all is prepared and nothing is written yet; False ends here, untrained.
    """
    task = find_task(name)
    start = resuming.choose_start(task, layers, resume, override)
    stop.limit(start.config.max_time)
    observers = Observers(observer, Reporter())
    run = session.prepare(task, start, stop, observers, override=override, cache=cache, comm=comm)
    if ready is not None and not ready(run):
        return run, start
    session.execute(run, start)
    observer.finished(run)
    return run, start
