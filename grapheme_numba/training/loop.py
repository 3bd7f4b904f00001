"""The training loop, in the order of the algorithm.

epoch:  for every batch: forward, backward (gradients add up); a step whenever enough have
step:   mean gradient -> norm -> clip -> learning rate -> optimiser -> zero -> edges move or go, where asked for
close:  validation, rows of metrics.jsonl, best and newest checkpoint, patience
"""

import math
import time
from contextlib import closing

from grapheme_numba.optim.optimizers import clip_scale
from grapheme_numba.training import guard, metrics, sparse_training
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
        for batch in batches:
            before = guard.remember(run)
            seen = guard.attempt(run, batch)
            if seen is not None and seen.finite:
                run.count(seen)
            else:
                guard.refuse(run, batch, before)
            progress.batch += 1
            if run.step_due():
                step(run, batch)
            run.pause()
    if progress.n_accumulated:
        step(run, None)
    close_epoch(run)


def step(run: Run, batch) -> None:
    """One optimiser step with the mean of the accumulated gradients; `batch` names examples in errors."""
    progress = run.progress
    mean = 1.0 / progress.n_accumulated
    progress.grad_norm = run.team.gradient_norm(run.model) * mean
    if not math.isfinite(progress.grad_norm):
        return guard.refuse(run, batch, None)
    progress.lr = run.rate(progress.step) * progress.rate_factor
    scale = mean * clip_scale(progress.grad_norm, run.config.clip_grad_norm)
    run.state, finite = run.team.step(run, progress.lr, scale)
    if not finite:
        guard.refuse_parameters(run, batch)
    progress.n_accumulated = 0
    progress.step += 1
    sparse_training.after_step(run, batch)


def close_epoch(run: Run) -> None:
    """Validate when due, write rows and checkpoints, and move on to the next epoch."""
    progress, config = run.progress, run.config
    due = (progress.epoch + 1) % config.val_freq == 0 or progress.epoch + 1 == config.epochs
    added = [metrics.epoch_row(run)]  # before the validation, which is not part of the epoch's rate
    scores = metrics.evaluate(run.model, run.val, run.constants, after_batch=run.pause, team=run.team) if due else None
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
