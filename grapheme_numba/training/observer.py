"""What a run reports to whoever follows it: the displays, the report, event files; and its course, epoch by epoch."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapheme_numba.training.callbacks import Callback, TrainingState

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

OF_EPOCH = ("loss", "exact", "structural")
OF_VALIDATION = {"val_loss": "mse", "val_exact": "exact", "val_mae": "mae", "val_structural": "structural"}
OF_RUN = ("lr", "grad_norm", "n_edge", "n_moved")


def history_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """A list per quantity with one number per epoch; NaN where it was not measured.

    `loss`, `exact`, `structural` and the same with `/NAME` are of the training examples of all domains and of
    one; `val_loss`, `val_exact`, `val_mae`, `val_structural` of the validation; `lr`, `grad_norm` of the epoch's
    last step. `epoch` counts from 1.
    """
    history: dict[str, list[float]] = {"epoch": []}

    def put(key: str, value: float | None) -> None:
        n = len(history["epoch"])
        series = history.setdefault(key, [])
        series.extend([math.nan] * (n - len(series)))
        if n and value is not None:
            series[-1] = float(value)

    for row in rows:
        brains = {"": row, **{f"/{name}": one for name, one in row.get("domains", {}).items()}}
        if row.get("kind") == "epoch":
            history["epoch"].append(float(row["epoch"]))
            for key in OF_RUN:
                if key in row:
                    put(key, row[key])
            for suffix, one in brains.items():
                for key in OF_EPOCH:
                    put(key + suffix, one.get(key))
        elif row.get("kind") == "validation":
            for suffix, one in brains.items():
                for key, field in OF_VALIDATION.items():
                    put(key + suffix, one.get(field))
    for key in history:  # what the last epochs did not measure
        put(key, None)
    return history


def as_arrays(history: Mapping[str, list[float]]) -> dict[str, npt.NDArray[np.float64]]:
    """The same with arrays (n_epoch,)."""
    return {key: np.array(series, np.float64) for key, series in history.items()}


class Observer:
    """Override what is of interest. No method may change the run."""

    def note(self, text: str) -> None:
        """One plain sentence about what happens now."""

    def started(self, run: "Run") -> None:
        """Training begins or resumes; `run.progress` says from where."""

    def after_batch(self, run: "Run") -> None:
        """A batch is done."""

    def validating(self, n_done: int, n_total: int) -> None:
        """So many of the validation examples are done."""

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The rows that the epoch added to metrics.jsonl: its own and, when validated, a second."""

    def saved(self, folder: Path) -> None:
        """A checkpoint stands at `folder`."""

    def ended(self, run: "Run", error: BaseException | None) -> None:
        """Training ended, by `error` or (None) as it should; the run's folder is still held."""

    def finished(self, run: "Run") -> None:
        """Training came to its end and all is written."""

    def close(self) -> None:
        """No more will come, whatever the reason."""


class Observers(Observer):
    """Several observers as one, called in their order."""

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    def note(self, text: str) -> None:
        """One plain sentence about what happens now."""
        for one in self.observers:
            one.note(text)

    def started(self, run: "Run") -> None:
        """Training begins or resumes."""
        for one in self.observers:
            one.started(run)

    def after_batch(self, run: "Run") -> None:
        """A batch is done."""
        for one in self.observers:
            one.after_batch(run)

    def validating(self, n_done: int, n_total: int) -> None:
        """So many of the validation examples are done."""
        for one in self.observers:
            one.validating(n_done, n_total)

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The rows that the epoch added."""
        for one in self.observers:
            one.epoch_closed(rows)

    def saved(self, folder: Path) -> None:
        """A checkpoint stands."""
        for one in self.observers:
            one.saved(folder)

    def ended(self, run: "Run", error: BaseException | None) -> None:
        """Training ended."""
        for one in self.observers:
            one.ended(run, error)

    def finished(self, run: "Run") -> None:
        """Training came to its end."""
        for one in self.observers:
            one.finished(run)

    def close(self) -> None:
        """No more will come."""
        for one in self.observers:
            one.close()


class TextObserver(Observer):
    """Gives `write` a line of text for every note and epoch."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write

    def note(self, text: str) -> None:
        """The sentence itself."""
        self.write(text)

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The losses of the epoch."""
        validation = f"  validation {shown(rows[1]['mse'])}" if len(rows) > 1 else ""
        self.write(f"epoch {rows[0]['epoch']}  loss {shown(rows[0]['loss'])}{validation}")

    def saved(self, folder: Path) -> None:
        """Where the checkpoint stands."""
        self.write(f"saved {folder}")


class CallbackObserver(Observer):
    """Calls callbacks after every epoch, and closes those that can be closed."""

    def __init__(self, callbacks: Iterable[Callback]) -> None:
        self.callbacks = list(callbacks)
        self.run: Run | None = None

    def started(self, run: "Run") -> None:
        """From now on the state is that of `run`."""
        self.run = run

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """Call all with the state of the run; the run ends after this epoch where one of them stops it."""
        run = self.run
        if not self.callbacks or run is None:
            return
        state = TrainingState(
            epoch=run.progress.epoch,
            n_epoch=run.config.epochs,
            step=run.progress.step,
            dag=run.model.dag,
            history=history_of(run.journal.rows),
        )
        for one in self.callbacks:
            one(state)
        run.stopped = state.stopped

    def close(self) -> None:
        """No more will come."""
        for one in self.callbacks:
            close = getattr(one, "close", None)
            if close is not None:
                close()


def shown(loss: float | None) -> str:
    """A loss with four digits."""
    return "-" if loss is None or math.isnan(loss) else f"{loss:.4g}"
