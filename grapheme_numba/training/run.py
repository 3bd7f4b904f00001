"""A run in memory: what the loop works on, and the few verbs it needs.

Where a run stands: everything that a resumed run needs besides the vectors and the config.
"""

import math
import shlex
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.distributed.team import BatchResult, Team
from grapheme_numba.errors import StoppedEarly
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.optim.optimizers import Optimizer, OptimizerState
from grapheme_numba.signals import StopRequest
from grapheme_numba.training.baseline import ConstantBaseline
from grapheme_numba.training.config import Config, accumulate_every
from grapheme_numba.training.observer import Observer

Count = msgspec.Meta(ge=0)


class Tally(msgspec.Struct):
    """Sums over the examples of one domain since the epoch began (float64, added in order)."""

    n: int = 0
    loss: float = 0.0
    structural: float = 0.0
    n_right: int = 0


class RunState(msgspec.Struct):
    """Position and memory of a run. The position is (epoch, batch); nothing else decides what comes next.

    epoch : epochs completed; batch : batches of the current epoch done
    step : optimiser steps taken; n_accumulated : examples in the gradient that is not yet applied
    n_example : examples seen in all; n_skipped : batches left out by the NaN policy
    tally : sums of the current epoch per domain name
    best_loss, best_epoch : of the best validation, by `metrics.selection`
    n_bad : validations since without a better one
    n_row : rows of metrics.jsonl that belong to this position; elapsed : seconds of training so far
    lr, grad_norm : of the latest step, for the epoch's row
    rate_factor : factor of the learning rate, below 1 after a rollback
    n_edge : edges before the first pruning (0: not yet known); n_moved : edges dropped and grown so far
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    n_accumulated: int = 0
    n_example: int = 0
    n_skipped: int = 0
    tally: dict[str, Tally] = {}
    best_loss: float | None = None
    best_epoch: int = 0
    n_bad: int = 0
    n_row: int = 0
    elapsed: float = 0.0
    lr: float = 0.0
    grad_norm: float = 0.0
    rate_factor: float = 1.0
    n_edge: int = 0
    n_moved: int = 0

    @property
    def position(self) -> tuple[int, ...]:
        """What orders the checkpoints of a run, and distinguishes two of them."""
        return self.epoch, self.batch, self.step, self.n_row


class Journal(Protocol):
    """The rows of a run."""

    rows: list[dict[str, Any]]

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Number `row`, keep it, return it."""

    def cut(self, n_row: int) -> None:
        """Drop all but the first `n_row` rows."""

    def sync(self) -> None:
        """Force the rows to the disk: a checkpoint that counts on them must not be there without them."""


class Store(Protocol):
    """Where the checkpoints of a run are kept."""

    def save_last(self, run: "Run", /) -> Path:
        """Make the run as it stands the newest checkpoint; returns its folder."""

    def save_best(self, run: "Run", /) -> Path:
        """Make the run as it stands the best checkpoint; returns its folder."""

    def restore_newest(self, run: "Run", /) -> list[str] | None:
        """Put the run back where its newest checkpoint stands, on all ranks.

        Returns a sentence for each damaged checkpoint passed over; None where there is no checkpoint.
        """


@dataclass
class Run:
    """One training run. `train` and `val` are datasets (`val` may be the training data itself).

    `journal` is one in memory until the folder is opened; `n_step` is how many steps the whole run takes.
    """

    task: str
    config: Config
    model: BrainModel
    optimizer: Optimizer
    state: OptimizerState
    progress: RunState
    rate: Callable[[int], float]
    n_step: int
    train: Dataset
    val: Dataset
    baselines: dict[str, ConstantBaseline]
    fingerprint: str
    folder: Path
    journal: Journal
    store: Store
    stop: StopRequest
    observer: Observer
    team: Team = field(default_factory=Team)
    noise: Callable[[Batch, int], Batch] | None = None  # what a batch of an epoch becomes before it is learned from
    saved_at: tuple[int, ...] = ()
    resumed_by: str | None = None  # the command that resumes it, where a launcher belongs to it
    stopped: bool = False  # whether a callback has ended the run after its present epoch
    clock: float = field(default_factory=time.perf_counter)  # when `progress.elapsed` was last brought up to date
    epoch_clock: float = field(default_factory=time.perf_counter)
    epoch_examples: int = 0

    def batches(self) -> Generator[tuple[Batch, ...]]:
        """The batches of the current epoch that are still to do, each as its parts (`Team.batches`)."""
        progress, config = self.progress, self.config
        place = {"seed": config.seed, "epoch": progress.epoch, "start": progress.batch}
        return self.team.batches(self.train, self.model.layout, config.batch_size, **place)

    def n_batch(self) -> int:
        """How many batches an epoch has."""
        return batches_per_epoch(self.config, self.train.n_rows)

    def count(self, batch: BatchResult) -> None:
        """Add a batch's losses to the sums of the epoch."""
        progress, names = self.progress, self.model.layout.names
        sums = (batch.judged, batch.loss, batch.structural, batch.right)
        n, loss, structural, right = (np.bincount(batch.domain, weights, minlength=len(names)) for weights in sums)
        for index in np.flatnonzero(n):
            tally = progress.tally.setdefault(names[index], Tally())
            tally.n += int(n[index])
            tally.loss += float(loss[index])
            tally.structural += float(structural[index])
            tally.n_right += int(right[index])
        progress.n_accumulated += int(n.sum())
        progress.n_example += len(batch.domain)
        self.epoch_examples += len(batch.domain)

    def step_due(self) -> bool:
        """Whether enough examples are accumulated; the rest of an epoch is stepped at its end."""
        every = accumulate_every(self.config)
        return every is not None and self.progress.n_accumulated >= every

    def finished(self) -> bool:
        """Whether all epochs are done, patience is at its end, or a callback has ended the run."""
        progress, config = self.progress, self.config
        return (
            self.stopped
            or progress.epoch >= config.epochs
            or (config.patience > 0 and progress.n_bad >= config.patience)
        )

    def pause(self) -> None:
        """Between two batches: save if due, stop if requested. Raises StoppedEarly after saving."""
        config, progress = self.config, self.progress
        self.observer.after_batch(self)
        if config.nan_policy == "rollback" and self.team.writes and not self.saved_at:
            self.stop.save = True  # where the first fault goes back to; only rank 0 knows what is saved
        requests = self.team.requests(self.stop)
        reason = requests.stop
        if reason is None and config.max_steps is not None and progress.step >= config.max_steps:
            reason = f"--max-steps {config.max_steps} is reached"
        due = config.save_every is not None and progress.n_accumulated == 0 and progress.step % config.save_every == 0
        if requests.save or reason is not None or due:
            self.save()
        if reason is not None:
            raise StoppedEarly(
                f"stopped at epoch {progress.epoch + 1}, step {progress.step} because {reason}; "
                f"resume with: {self.command()}"
            )

    def command(self) -> str:
        """The command that resumes this run, as a shell takes it."""
        if self.resumed_by is not None:
            return self.resumed_by
        return f"grapheme-train {self.task} --resume auto --output {shlex.quote(str(self.folder))}"

    def save(self, best: bool = False) -> None:
        """Write the newest checkpoint (unless this position is already written), or the best. Rank 0 writes."""
        progress = self.progress
        self.team.collect(self.model)
        now = time.perf_counter()
        progress.elapsed += now - self.clock
        self.clock = now
        if not self.team.writes:
            return
        self.journal.sync()
        if best:
            self.observer.saved(self.store.save_best(self))
        elif self.position() != self.saved_at:
            folder = self.store.save_last(self)
            self.saved_at = self.position()
            self.observer.saved(folder)

    def position(self) -> tuple[int, ...]:
        """What distinguishes two checkpoints of this run."""
        return self.progress.position


def batches_per_epoch(config: Config, n_row: int) -> int:
    """Batches of one epoch over `n_row` examples, at least one."""
    return max(1, math.ceil(n_row / config.batch_size))


def with_decay(config: Config, decay: float, n_step: int) -> Config:
    """`config` with a weight decay where none was given: `decay` over the root of `n_step` with adamw, else 0.

    A decoupled decay adds up over the steps. With one number for all runs the best on 3,200 examples held back those
    on 64,000, and the other way about; that of Loshchilov and Hutter (2019, appendix B.1), which falls with the root
    of the steps, serves both.
    """
    if config.weight_decay is not None:
        return config
    found = float(f"{decay / math.sqrt(n_step):.3g}") if config.optimizer == "adamw" else 0.0
    return msgspec.structs.replace(config, weight_decay=found)


def steps_per_epoch(config: Config, n_row: int) -> int:
    """Optimiser steps of one epoch over `n_row` examples."""
    n_batch = batches_per_epoch(config, n_row)
    every = accumulate_every(config)
    return 1 if every is None else math.ceil(n_batch / max(1, math.ceil(every / config.batch_size)))
