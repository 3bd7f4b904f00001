"""Callbacks: any callable that takes a `TrainingState`, called after every epoch of `gn.train` and `gn.fit`.

One that has a method `close` is closed when the training ends, whatever the reason. The ready ones of this module
write what they follow; none changes what is learned.
"""

import csv
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from grapheme_numba.errors import OutputError, UsageError


@dataclass
class TrainingState:
    """Where a training stands, as callbacks see it.

    epoch, n_epoch : epochs done, and to be done at most
    step : optimiser steps taken
    history : a list per quantity with one number per epoch done: `loss`, `val_loss` (NaN where an epoch was not
        validated), and what else the training measures
    dag : the network that is trained
    stopped : whether `stop` was called
    """

    epoch: int
    n_epoch: int
    step: int
    dag: Any
    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: bool = False

    def stop(self) -> None:
        """End the training after this epoch, as if it were the last."""
        self.stopped = True


Callback = Callable[[TrainingState], object]


def last_of(history: Mapping[str, list[float]]) -> dict[str, float]:
    """The latest number of every quantity that was measured in the latest epoch."""
    return {key: series[-1] for key, series in history.items() if series and math.isfinite(series[-1])}


class ProgressBar:
    """One line on a stream, redrawn after every epoch.

    Parameters
    ----------
    stream : text file, optional
        Standard error without it.
    width : int
        Characters of the bar.
    """

    def __init__(self, stream: IO[str] | None = None, width: int = 30) -> None:
        self.stream, self.width = stream or sys.stderr, width

    def __call__(self, state: TrainingState) -> None:
        """Draw the line."""
        done = self.width * state.epoch // max(1, state.n_epoch)
        now = last_of(state.history)
        losses = "".join(f"  {key} {now[key]:.4g}" for key in ("loss", "val_loss") if key in now)
        bar = "#" * done + "." * (self.width - done)
        self.stream.write(f"\r[{bar}] {state.epoch}/{state.n_epoch}{losses}")
        self.stream.flush()

    def close(self) -> None:
        """End the line."""
        self.stream.write("\n")


class EarlyStopping:
    """Stops a training that no longer gets better.

    Parameters
    ----------
    patience : int
        Measurements without a better one before it stops.
    monitor : str
        Key of the history; lower is better. Epochs in which it is not measured do not count.
    min_delta : float
        How much lower is better.
    """

    def __init__(self, patience: int = 5, monitor: str = "val_loss", min_delta: float = 0.0) -> None:
        if patience < 1:
            raise UsageError(f"patience is {patience}; give at least 1")
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self.best, self.n_bad = math.inf, 0

    def __call__(self, state: TrainingState) -> None:
        """Compare the latest measurement with the best."""
        if self.monitor not in state.history:
            return
        value = state.history[self.monitor][-1]
        if math.isnan(value):
            return
        if value < self.best - self.min_delta:
            self.best, self.n_bad = value, 0
            return
        self.n_bad += 1
        if self.n_bad >= self.patience:
            state.stop()


class Checkpoint:
    """Saves the network with `DagNN.save` whenever the monitored quantity is the best so far.

    Parameters
    ----------
    path : path
        A `.safetensors` file, which is overwritten.
    monitor : str
        Key of the history; lower is better. Without a measurement nothing is saved.
    """

    def __init__(self, path: str | Path, monitor: str = "val_loss") -> None:
        self.path, self.monitor, self.best = Path(path), monitor, math.inf

    def __call__(self, state: TrainingState) -> None:
        """Save where the latest measurement is the best."""
        value = last_of(state.history).get(self.monitor, math.inf)
        if value < self.best:
            self.best = value
            state.dag.save(self.path)


class CSVLogger:
    """Writes the history as CSV: a row per epoch, a column per quantity; rewritten after every epoch.

    Raises OutputError where the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __call__(self, state: TrainingState) -> None:
        """Write all rows: a quantity that is first measured late gets its column then."""
        columns = [["" if math.isnan(value) else value for value in series] for series in state.history.values()]
        try:
            with self.path.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(state.history)
                writer.writerows(zip(*columns, strict=True))
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}; give CSVLogger another path") from None


class TensorBoard:
    """Writes the history as event files for TensorBoard. Needs tensorboardX, else UsageError."""

    def __init__(self, folder: str | Path) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise UsageError(
                "TensorBoard needs tensorboardX, which is not installed: pip install '.[tensorboard]' in a clone"
            ) from None
        self.writer = SummaryWriter(str(folder))

    def __call__(self, state: TrainingState) -> None:
        """One scalar per quantity."""
        for key, value in last_of(state.history).items():
            self.writer.add_scalar(key, value, state.epoch)

    def close(self) -> None:
        """Write what is left."""
        self.writer.close()


class MLflow:
    """Logs the history to the active MLflow run (or a new one). Needs mlflow, else UsageError."""

    def __init__(self) -> None:
        try:
            import mlflow
        except ImportError:
            raise UsageError("MLflow needs mlflow, which is not installed: pip install mlflow") from None
        self.mlflow = mlflow

    def __call__(self, state: TrainingState) -> None:
        """All quantities of the epoch."""
        self.mlflow.log_metrics(last_of(state.history), step=state.epoch)


class WandB:
    """Logs the history to the run of Weights & Biases that `wandb.init` began. Needs wandb, else UsageError."""

    def __init__(self) -> None:
        try:
            import wandb
        except ImportError:
            raise UsageError("WandB needs wandb, which is not installed: pip install wandb") from None
        self.wandb = wandb

    def __call__(self, state: TrainingState) -> None:
        """All quantities of the epoch."""
        self.wandb.log(last_of(state.history), step=state.epoch)
