"""The rows of `metrics.jsonl`: what an epoch and a validation say about themselves."""

import time

import msgspec

from grapheme_numba.training.evolving import learns_topology
from grapheme_numba.training.metrics import Score


def epoch_row(run) -> dict:
    """Training losses of the epoch that ends now, in all and per domain."""
    progress = run.progress
    tallies = progress.tally
    n = sum(tally.n for tally in tallies.values())
    now = time.perf_counter()
    # a resumed epoch is timed from where it was taken up, so its rate counts only what was done since
    seconds = now - run.epoch_clock
    rate = run.epoch_examples / seconds if seconds > 0 else 0.0
    run.epoch_clock, run.epoch_examples = now, 0
    edges = {"n_edge": run.model.dag.n_edge, "n_moved": progress.n_moved} if learns_topology(run.config) else {}
    return {
        "kind": "epoch",
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "loss": sum(tally.loss for tally in tallies.values()) / n if n else None,
        "structural": sum(tally.structural for tally in tallies.values()) / n if n else None,
        "exact": sum(tally.n_right for tally in tallies.values()) / n if n else None,
        "lr": progress.lr,
        "grad_norm": progress.grad_norm,
        "n": n,
        "n_skipped": progress.n_skipped,
        **edges,
        "seconds": round(seconds, 4),
        "examples_per_s": round(rate, 1),
        "domains": {
            name: {
                "n": tally.n,
                "share": tally.n / n,
                "loss": tally.loss / tally.n,
                "structural": tally.structural / tally.n,
                "exact": tally.n_right / tally.n,
            }
            for name, tally in sorted(tallies.items())
            if tally.n
        },
    }


def validation_row(run, scores: list[Score], better: bool) -> dict:
    """The scores of a validation, `all` first among them."""
    whole = msgspec.to_builtins(scores[-1])
    del whole["domain"]
    return {
        "kind": "validation",
        "epoch": run.progress.epoch + 1,
        "step": run.progress.step,
        **whole,
        "best": better,
        "domains": {score.domain: msgspec.to_builtins(score) for score in scores[:-1]},
    }
