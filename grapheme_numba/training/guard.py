"""What happens when a loss, a gradient or a parameter is not finite: the fault is named, then the policy acts."""

import numpy as np

from grapheme_numba.errors import NonFiniteError, ShapeError
from grapheme_numba.optim.optimizers import gradient_norm
from grapheme_numba.runs import handover, run_folder, snapshot
from grapheme_numba.training import diagnosis, sparse_training

LEAST_FACTOR = 1 / 64  # six rollbacks, each halving the learning rate; what still fails then is not the rate


class RollBack(Exception):
    """Carries the fault's sentence out of the epoch to where the newest checkpoint is taken up again."""


def remember(run) -> np.ndarray | None:
    """The gradients before a batch, where a bad batch has to be taken out of them again.

    Of several shards none is left: a bad batch never gets into their sum.
    """
    if run.config.nan_policy != "skip" or not run.progress.n_accumulated:
        return None
    return run.model.gradients.copy() if run.team.n_shard == 1 else run.model.gradients[:0]


def attempt(run, batch):
    """Forward and backward of a batch; None where the engine met a number that is not finite.

    The engine then refuses the array by its shape and place, which says nothing to whoever trains.
    """
    try:
        results = run.team.run_own(run, batch)
    except ShapeError:
        if not (diagnosis.parameter(run.model) or diagnosis.in_batch(run.model, batch)):
            raise
        results = None
    return run.team.together(run, batch, results)


def refuse(run, batch, before) -> None:
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


def refuse_parameters(run, batch) -> None:
    """Act on parameters that are not finite: nothing can be skipped any more."""
    fail(run, diagnosis.sentence(run, batch))


def fail(run, text: str) -> None:
    """Raise what the policy asks for."""
    if run.config.nan_policy == "rollback":
        raise RollBack(text)
    raise NonFiniteError(
        f"{text}; the last checkpoint is clean: lower --lr, set --clip-grad-norm, or choose --nan-policy skip|rollback"
    )


def roll_back(run, fault: RollBack) -> None:
    """Take up the newest checkpoint again with half the learning rate. Raises NonFiniteError at the limit."""
    factor = run.progress.rate_factor / 2
    checkpoint, notes = handover.newest(run)
    if checkpoint is None or factor < LEAST_FACTOR:
        reason = "no checkpoint to go back to" if checkpoint is None else "halving the rate six times did not help"
        raise NonFiniteError(f"{fault}; {reason}: lower --lr or look at the named example") from None
    if sparse_training.learns_topology(run.config):
        run.model = snapshot.restore_model(checkpoint)
    run.state = snapshot.fill(run.model, checkpoint)
    run.progress = checkpoint.progress
    run.progress.rate_factor = factor
    run.journal.cut(run.progress.n_row)
    if run.team.writes:
        run_folder.set_aside_later(run.folder, checkpoint)
    run.saved_at = run.position()
    for note in [*notes, f"{fault}; went back to step {run.progress.step} with {factor:g} times the learning rate"]:
        run.observer.note(note)
