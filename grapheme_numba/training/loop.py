"""The training loop, in the order of the algorithm.

epoch:  for every batch: forward, loss, backward (gradients add up); an update whenever enough have
update: mean gradient -> norm -> clip -> learning rate -> optimiser -> zero -> drop-and-grow, pruning
close:  validation, rows of metrics.jsonl, best and newest checkpoint, patience
"""

import time
from collections.abc import Sequence
from contextlib import closing

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.distributed.team import BatchResult
from grapheme_numba.models.brain_model import StepResult
from grapheme_numba.training import guard, metrics, sparse_training, step
from grapheme_numba.training.run import Run


def train(run: Run) -> None:
    """Train until the epochs are done or patience ends.

    Raises
    ------
    StoppedEarly
        A signal or limit ended it; a checkpoint of this very position is saved.
    NonFiniteError
        A loss, gradient or parameter was not finite and the policy is to stop.
    """
    run.clock = run.epoch_clock = time.perf_counter()
    run.observer.started(run)
    with run.stop.deferred():
        run.pause()
        while not run.finished():
            try:
                one_epoch(run)
            except guard.RollBack as fault:
                guard.roll_back(run, fault)


def one_epoch(run: Run) -> None:
    """The rest of the current epoch, its validation included."""
    progress = run.progress
    with closing(run.batches()) as batches:
        for parts in batches:
            with guard.watching(run, parts):
                run.count(accumulate(run, parts))
            progress.batch += 1
            if run.step_due():
                update(run, parts)
            run.pause()
    if progress.n_accumulated:
        update(run, None)
    close_epoch(run)


def accumulate(run: Run, parts: Sequence[Batch]) -> BatchResult:
    """Forward pass, losses and backward pass of a batch, its parts shared by the ranks.

    Raises NotFinite on all ranks where a loss is not finite on one.
    """
    model, weight, fresh = run.model, run.config.structural_weight, not run.progress.n_accumulated

    def one(part: Batch) -> StepResult:
        if run.noise is not None:
            part = run.noise(part, run.progress.epoch)
        return step.accumulate(model, part, model.loss(part, weight))

    results = guard.unless_refused(run, parts, lambda: run.team.accumulate(model, parts, one, fresh))
    batch = run.team.reduce(parts, results, run.stop, fresh)
    if batch is None or not batch.finite:
        raise guard.NotFinite
    return batch


def update(run: Run, parts: Sequence[Batch] | None) -> None:
    """One optimiser step with the mean of the accumulated gradients; `parts` name examples in errors."""
    progress, config = run.progress, run.config
    lr = run.rate(progress.step) * progress.rate_factor
    done = step.apply(run.model, progress.n_accumulated, run.optimizer, run.state, lr, config.clip_grad_norm, run.team)
    run.state, progress.grad_norm = done.state, done.grad_norm
    if not done.applied:
        return guard.refuse(run, parts, None)
    if not done.finite:
        guard.refuse_parameters(run, parts)
    progress.lr, progress.n_accumulated = lr, 0
    progress.step += 1
    sparse_training.after_step(run, parts)


def close_epoch(run: Run) -> None:
    """Validate when due, write rows and checkpoints, and move on to the next epoch."""
    progress, config = run.progress, run.config
    due = (progress.epoch + 1) % config.val_freq == 0 or progress.epoch + 1 == config.epochs
    added = [metrics.epoch_row(run)]  # before the validation, which is not part of the epoch's rate
    scores = None
    if due:
        scores = metrics.evaluate(
            run.model, run.val, run.baselines, after_batch=run.pause, team=run.team, calibrate=True
        )
    better = False
    if scores:
        loss = metrics.selection(scores)
        better = loss is not None and (progress.best_loss is None or loss < progress.best_loss)
        progress.n_bad = 0 if better else progress.n_bad + 1
        if better:
            progress.best_loss, progress.best_epoch = loss, progress.epoch + 1
        added.append(metrics.validation_row(run, scores, better))
    added = [run.journal.add(row) for row in added]
    progress.n_row = len(run.journal.rows)
    progress.epoch, progress.batch, progress.tally = progress.epoch + 1, 0, {}
    run.observer.epoch_closed(added)
    if better:
        run.save(best=True)
    if config.save_every is None or run.finished():
        run.save()
    run.epoch_clock = time.perf_counter()
