"""How good a model's answers are, domain by domain, beside the best constant answer."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from grapheme_numba.data.codec.calibration import fit
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.distributed.team import Team
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.training.baseline import ConstantBaseline
from grapheme_numba.training.sparse_training import learns_topology
from grapheme_numba.training.sums import Judged, Sums, ratio, sums_of

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one domain, or of `all`. A figure that nothing supports is None.

    n : examples; n_unfit : of these, how many have an input or answer that the model has no room for
    kind : number, label or text; None of `all`
    mse, mse_constant : mean squared error over the codes that fit, of the model and of the mean code; over the
        probabilities of labels
    exact : share of answers that are right to the letter (an unfit example is wrong)
    mae, mae_constant : mean absolute error of the decoded numbers, of the model and of the median
    structural : mean structural loss

    Of numbers also rmse and r2 beside those of the training mean; of labels accuracy, macro_f1 and log_loss beside
    those of the commonest class (the log loss of the classes' shares) and the confusion matrix of at most
    `sums.MOST_SHOWN` classes, rows of true ones; of texts char_error and exact beside those of the commonest text.

    calibration : [confidence, share of right answers, how many] of each tenth of confidences that has any
    calibration_error : mean difference of the two, each answer counting once
    """

    domain: str
    n: int
    mse: float | None
    mse_constant: float | None
    exact: float | None
    mae: float | None = None
    mae_constant: float | None = None
    structural: float | None
    n_unfit: int
    kind: str | None = None
    exact_constant: float | None = None
    rmse: float | None = None
    rmse_constant: float | None = None
    r2: float | None = None
    r2_constant: float | None = None
    accuracy: float | None = None
    accuracy_constant: float | None = None
    macro_f1: float | None = None
    macro_f1_constant: float | None = None
    log_loss: float | None = None
    log_loss_constant: float | None = None
    char_error: float | None = None
    char_error_constant: float | None = None
    confusion: list[list[int]] | None = None
    calibration: list[list[float]] | None = None
    calibration_error: float | None = None


COLUMNS = ("domain", "n", "mse", "mse_constant", "exact", "mae", "mae_constant")
OF_KIND = {
    "number": ("rmse", "rmse_constant", "r2", "r2_constant"),
    "label": ("accuracy", "accuracy_constant", "macro_f1", "macro_f1_constant", "log_loss", "log_loss_constant"),
    "text": ("exact_constant", "char_error", "char_error_constant"),
}


def plain(score: Score) -> dict[str, Any]:
    """A score as a dict for JSON: `COLUMNS`, then the kind and the figures that it has."""
    found = {key: getattr(score, key) for key in COLUMNS}
    if score.kind is not None:
        found["kind"] = score.kind
        found |= {key: getattr(score, key) for key in OF_KIND[score.kind]}
    if score.calibration_error is not None:
        found["calibration_error"] = score.calibration_error
    return found


def evaluate(
    model: BrainModel,
    dataset: Dataset,
    baselines: dict[str, ConstantBaseline],
    batch_size: int = 256,
    after_batch: Callable[[], object] | None = None,
    team: Team | None = None,
    calibrate: bool = False,
) -> list[Score]:
    """Scores of every domain that `dataset` holds, in the layout's order, and `all` last.

    `after_batch()` is called between batches; what it raises ends the evaluation. With a `team` its ranks
    share the batches; the sums are added in the order of the batches, so every rank has the scores of one.
    With `calibrate` the model's confidences are those that fit these examples from now on.
    """
    team = team or Team()
    layout = model.layout
    tables = []
    for batch in team.share(dataset, layout, batch_size):
        if batch is not None:
            tables.append(np.concatenate([one.figures() for one in judged(model, batch, baselines)]))
        if after_batch is not None:
            after_batch()
    sums = [sums_of(domain, baselines.get(domain.name)) for domain in layout.domains]
    bounds = np.cumsum([len(one.figures()) for one in sums])
    for table in team.gather(tables, (int(bounds[-1]),)):
        for one, figures in zip(sums, np.split(table, bounds[:-1]), strict=True):
            one.add_figures(figures)
    if calibrate:
        model.calibrate(layout.calibrated([fit(one.counts) for one in sums], [one.variances() for one in sums]))
    pairs = zip(sums, model.layout.domains, strict=True)
    scores = [Score(**facts) for facts in (one.facts(domain.calibration) for one, domain in pairs) if facts["n"]]
    return [*scores, total(scores)]


def judged(model: BrainModel, batch: Batch, baselines: dict[str, ConstantBaseline]) -> list[Sums]:
    """The sums of one batch, for every domain of the layout."""
    layout = model.layout
    sums = [sums_of(domain, baselines.get(domain.name)) for domain in layout.domains]
    result = model.evaluate(batch)
    for index in np.unique(batch.domain):
        rows = np.flatnonzero(batch.domain == index)
        fits = batch.n_active[rows] > 0
        fit, width = rows[fits], layout.domains[index].n_output
        sums[index].add(
            Judged(
                loss=result.loss[fit],
                structural=result.structural[fit],
                right=result.right[rows],
                fit=fits,
                outputs=result.y_packed[rows, :width],
                targets=batch.targets[rows, :width],
                answers=[batch.answers[row] for row in rows.tolist()],
                decoded=layout.decode(int(index), result.y_packed[rows]).answers,
            )
        )
    return sums


def total(scores: list[Score]) -> Score:
    """The figures over all domains, each example counting once; numbers of different domains do not add up."""
    n, n_fit = sum(s.n for s in scores), sum(s.n - s.n_unfit for s in scores)

    def over(field: str) -> float | None:
        weights = [s.n if field == "exact" else s.n - s.n_unfit for s in scores]
        values = [getattr(s, field) for s in scores]
        if any(value is None and weight for value, weight in zip(values, weights, strict=True)):
            return None
        return ratio(sum(v * w for v, w in zip(values, weights, strict=True) if w), n if field == "exact" else n_fit)

    found: dict[str, Any] = {field: over(field) for field in ("mse", "mse_constant", "exact", "structural")}
    return Score(domain="all", n=n, n_unfit=n - n_fit, **found)


def selection(scores: list[Score]) -> float | None:
    """The figure by which the best checkpoint is chosen: lower is better, None where nothing was judged.

    The mean over domains of the share of wrong answers and of the root of mse / mse_constant. The plain mse over all
    examples is mostly that of the numbers: by it the best of a run of `unified` was epoch 100 of 400, with 92 % of the
    texts right instead of 100 %, for the sake of 2 % of the numbers' error. The roots alone let a domain that no longer
    gains, and whose probabilities only grow too sure, choose for all: of two runs of five the best was an early
    checkpoint with 25 and 40 % of the series right instead of 60.
    """
    errors = [(one.mse, one.mse_constant, one.exact) for one in scores[:-1] if one.mse is not None]
    if not errors:
        return None
    # a domain whose answers are all the same has a perfect constant, and then only its own error counts
    found = [np.sqrt(error / (constant or 1.0)) + 1.0 - (exact or 0.0) for error, constant, exact in errors]
    return float(np.mean(found))


def epoch_row(run: "Run") -> dict[str, Any]:
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


def saved(score: Score) -> dict[str, Any]:
    """A score as it stands in a row of metrics.jsonl: everything that it has."""
    found = plain(score) | {"structural": score.structural, "n_unfit": score.n_unfit}
    for key in ("confusion", "calibration"):
        if getattr(score, key) is not None:
            found[key] = getattr(score, key)
    return found


def validation_row(run: "Run", scores: list[Score], better: bool) -> dict[str, Any]:
    """The scores of a validation, `all` first among them."""
    whole = {key: value for key, value in saved(scores[-1]).items() if key != "domain"}
    return {
        "kind": "validation",
        "epoch": run.progress.epoch + 1,
        "step": run.progress.step,
        **whole,
        "best": better,
        "domains": {score.domain: saved(score) for score in scores[:-1]},
    }
