"""What happens when a loss, a gradient or a parameter is not finite: the fault is named, then the policy acts.

The loop does its work inside `watching`; it never asks what the policy is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.errors import NonFiniteError, ShapeError
from grapheme_numba.optim.optimizers import gradient_norm
from grapheme_numba.training import diagnosis
from grapheme_numba.training.run import Run

LEAST_FACTOR = 1 / 64  # six rollbacks, each halving the learning rate; what still fails then is not the rate
Result = TypeVar("Result")


class NotFinite(Exception):
    """A batch gave a loss that is not finite."""


class RollBack(Exception):
    """Carries the fault's sentence out of the epoch to where the newest checkpoint is restored."""


@contextmanager
def watching(run: Run, parts: Sequence[Batch]) -> Iterator[None]:
    """Around the work on a batch: NotFinite is for the policy to handle, which may skip the batch.

    Raises
    ------
    NonFiniteError, RollBack
        As the policy asks.
    """
    before = remember(run)
    try:
        yield
    except NotFinite:
        refuse(run, parts, before)


def remember(run: Run) -> Any:
    """The gradients before a batch, where a bad batch has to be taken out of them again.

    Of several shards none is left: a bad batch never gets into their sum.
    """
    if run.config.nan_policy != "skip" or not run.progress.n_accumulated:
        return None
    return run.model.gradients.copy() if run.team.n_shard == 1 else run.model.gradients[:0]


def unless_refused(run: Run, parts: Sequence[Batch], work: Callable[[], Result]) -> Result | None:
    """`work()`; None where the engine refused a number that is not finite.

    The engine refuses the array by its shape and place, which says nothing to whoever trains.
    """
    try:
        return work()
    except ShapeError:
        if not (diagnosis.parameter(run.model) or diagnosis.in_batch(run.model, parts)):
            raise
        return None


def refuse(run: Run, batch: Sequence[Batch] | None, before: Any) -> None:
    """Act on a batch (or, with `batch` None, an epoch's gradient) that is not finite.

    With the policy `skip` the gradients go back to `before`, or to zero; the batch is counted as
    skipped. Else NonFiniteError or RollBack is raised.
    """
    text = diagnosis.sentence(run, batch)
    if run.config.nan_policy == "skip" and np.isfinite(gradient_norm(run.model.parameters)):
        run.observer.note(f"skipped a batch: {text}")
        run.progress.n_skipped += 1
        if before is None:
            run.model.zero_grad()
            run.progress.n_accumulated = 0
        else:
            run.model.gradients[: len(before)] = before
        if batch is not None and not run.progress.tally and run.progress.batch + 1 >= run.n_batch():
            raise NonFiniteError(f"{text}; so was every batch of the epoch, and nothing is left to learn from")
        return
    fail(run, text)


def refuse_parameters(run: Run, batch: Sequence[Batch] | None) -> None:
    """Act on parameters that are not finite: nothing can be skipped any more."""
    fail(run, diagnosis.sentence(run, batch))


def fail(run: Run, text: str) -> None:
    """Raise what the policy asks for."""
    if run.config.nan_policy == "rollback":
        raise RollBack(text)
    raise NonFiniteError(
        f"{text}; the last checkpoint is clean: lower --lr, set --clip-grad-norm, or choose --nan-policy skip|rollback"
    )


def roll_back(run: Run, fault: RollBack) -> None:
    """Restore the newest checkpoint with half the learning rate. Raises NonFiniteError at the limit."""
    factor = run.progress.rate_factor / 2
    notes = None if factor < LEAST_FACTOR else run.store.restore_newest(run)
    if notes is None:
        tried = factor < LEAST_FACTOR
        reason = "halving the rate six times did not help" if tried else "no checkpoint to go back to"
        raise NonFiniteError(f"{fault}; {reason}: lower --lr or look at the named example") from None
    run.progress.rate_factor = factor
    for note in [*notes, f"{fault}; went back to step {run.progress.step} with {factor:g} times the learning rate"]:
        run.observer.note(note)
