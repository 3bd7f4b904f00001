"""Who follows a training: callbacks of the user's own, and the observers that the command line draws with.

A callback is any callable that takes a `TrainingState`. It is called after every epoch. One that has a method
`close` is closed when the training ends, whatever the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


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


class Observer:
    """Override what is of interest. No method may change the run."""

    def note(self, text: str) -> None:
        """One plain sentence about what happens now."""

    def started(self, run) -> None:
        """Training begins or resumes; `run.progress` says from where."""

    def after_batch(self, run) -> None:
        """A batch is done."""

    def validating(self, n_done: int, n_total: int) -> None:
        """So many of the validation examples are done."""

    def epoch_closed(self, rows: list[dict]) -> None:
        """The rows that the epoch added to metrics.jsonl: its own and, when validated, a second."""

    def saved(self, folder) -> None:
        """A checkpoint stands at `folder`."""

    def ended(self, run, error: BaseException | None) -> None:
        """Training ended, by `error` or (None) as it should; the run's folder is still held."""

    def finished(self, run) -> None:
        """Training came to its end and all is written."""

    def close(self) -> None:
        """No more will come, whatever the reason."""


class Observers(Observer):
    """Several observers as one, called in their order."""

    def __init__(self, *observers: Observer):
        self.observers = observers

    def note(self, text):
        """One plain sentence about what happens now."""
        for one in self.observers:
            one.note(text)

    def started(self, run):
        """Training begins or resumes."""
        for one in self.observers:
            one.started(run)

    def after_batch(self, run):
        """A batch is done."""
        for one in self.observers:
            one.after_batch(run)

    def validating(self, n_done, n_total):
        """So many of the validation examples are done."""
        for one in self.observers:
            one.validating(n_done, n_total)

    def epoch_closed(self, rows):
        """The rows that the epoch added."""
        for one in self.observers:
            one.epoch_closed(rows)

    def saved(self, folder):
        """A checkpoint stands."""
        for one in self.observers:
            one.saved(folder)

    def ended(self, run, error):
        """Training ended."""
        for one in self.observers:
            one.ended(run, error)

    def finished(self, run):
        """Training came to its end."""
        for one in self.observers:
            one.finished(run)

    def close(self):
        """No more will come."""
        for one in self.observers:
            one.close()
