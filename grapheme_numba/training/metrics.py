"""How good a model's answers are, domain by domain, beside the best constant answer."""

import time

import msgspec
import numpy as np

from grapheme_numba.data.codec.answers import NumberAnswer
from grapheme_numba.distributed.team import Team
from grapheme_numba.training.baseline import ConstantBaseline, to_number
from grapheme_numba.training.sparse_training import learns_topology


class Score(msgspec.Struct, frozen=True):
    """The figures of one domain, or of `all`. A figure that nothing supports is None.

    n : examples; n_unfit : of these, how many have an input or answer too long for the model
    mse, mse_constant : mean squared error over the codes that fit, of the model and of the mean code
    exact : share of answers that are right to the letter (an unfit example is wrong)
    mae, mae_constant : mean absolute error of the decoded numbers, of the model and of the median
    structural : mean structural loss
    """

    domain: str
    n: int
    mse: float | None
    mse_constant: float | None
    exact: float | None
    mae: float | None
    mae_constant: float | None
    structural: float | None
    n_unfit: int


COUNTS = ("n", "n_fit", "n_right", "n_number")
TOTALS = ("loss", "loss_constant", "structural", "error", "error_constant")
COLUMNS = ("domain", "n", "mse", "mse_constant", "exact", "mae", "mae_constant")


class Sums:
    """Sums over the examples of one domain."""

    def __init__(self, domain, constant: ConstantBaseline | None):
        self.name = domain.name
        self.constant = constant
        self.numeric = isinstance(domain.answer, NumberAnswer)
        self.n = self.n_fit = self.n_right = self.n_number = 0
        self.loss = self.loss_constant = self.structural = self.error = self.error_constant = 0.0

    def add(self, loss, structural, targets, answers, decoded) -> None:
        """Add examples: loss and structural (n,), targets (n_fit, n_output) of those that fit, answers (n,)."""
        self.n += len(answers)
        self.n_fit += len(targets)
        self.loss += float(loss.sum())
        self.structural += float(structural.sum())
        self.n_right += sum(map(str.__eq__, answers, decoded))
        if self.constant is not None and self.constant.mean_code:
            self.loss_constant += float(np.square(targets - np.asarray(self.constant.mean_code)).mean(axis=1).sum())
        if not self.numeric:
            return
        for answer, guess in zip(answers, decoded, strict=True):
            # a decoded answer that is no number (a code of nothing) counts as the constant's own guess
            number, middle = to_number(answer), 0.0 if self.constant is None else self.constant.median or 0.0
            guessed = to_number(guess)
            if number - number == 0:
                self.n_number += 1
                self.error += abs((guessed if guessed - guessed == 0 else middle) - number)
                self.error_constant += abs(middle - number)

    def figures(self) -> np.ndarray:
        """Everything that was added up, as (9,) float64."""
        return np.array([getattr(self, name) for name in (*COUNTS, *TOTALS)], np.float64)

    def add_figures(self, figures: np.ndarray) -> None:
        """Add the `figures` of other examples of the domain."""
        for name, value in zip((*COUNTS, *TOTALS), figures.tolist(), strict=True):
            setattr(self, name, getattr(self, name) + (int(value) if name in COUNTS else value))

    def score(self) -> Score:
        """The means of the sums."""
        known = self.constant is not None
        return Score(
            domain=self.name,
            n=self.n,
            mse=mean(self.loss, self.n_fit),
            mse_constant=mean(self.loss_constant, self.n_fit) if known and self.constant.mean_code else None,
            exact=mean(self.n_right, self.n),
            mae=mean(self.error, self.n_number),
            mae_constant=mean(self.error_constant, self.n_number) if known else None,
            structural=mean(self.structural, self.n_fit),
            n_unfit=self.n - self.n_fit,
        )


def evaluate(
    model,
    dataset,
    baselines: dict[str, ConstantBaseline],
    batch_size: int = 256,
    after_batch=None,
    team: Team | None = None,
) -> list[Score]:
    """Scores of every domain that `dataset` holds, in the layout's order, and `all` last.

    `after_batch()` is called between batches; what it raises ends the evaluation. With a `team` its ranks
    share the batches; the sums are added in the order of the batches, so every rank has the scores of one.
    """
    team = team or Team()
    layout = model.layout
    tables = []
    for batch in team.share(dataset, layout, batch_size):
        if batch is not None:
            tables.append(np.stack([one.figures() for one in judged(model, batch, baselines)]))
        if after_batch is not None:
            after_batch()
    sums = [Sums(domain, baselines.get(domain.name)) for domain in layout.domains]
    for table in team.gather(tables, (len(sums), len(COUNTS) + len(TOTALS))):
        for one, figures in zip(sums, table, strict=True):
            one.add_figures(figures)
    scores = [one.score() for one in sums if one.n]
    return [*scores, total(scores)]


def judged(model, batch, baselines: dict[str, ConstantBaseline]) -> list[Sums]:
    """The sums of one batch, for every domain of the layout."""
    layout = model.layout
    sums = [Sums(domain, baselines.get(domain.name)) for domain in layout.domains]
    result = model.evaluate(batch)
    for index in np.unique(batch.domain):
        rows = np.flatnonzero(batch.domain == index)
        fit = rows[batch.n_active[rows] > 0]
        decoded = layout.decode(int(index), result.y_packed[rows]).answers
        sums[index].add(
            result.loss[fit],
            result.structural[fit],
            batch.targets[fit, : layout.domains[index].n_output],
            [batch.answers[row] for row in rows],
            decoded,
        )
    return sums


def total(scores: list[Score]) -> Score:
    """The figures over all domains, each example counting once; numbers of different domains do not add up."""
    n, n_fit = sum(s.n for s in scores), sum(s.n - s.n_unfit for s in scores)

    def over(field):
        weights = [s.n if field == "exact" else s.n - s.n_unfit for s in scores]
        values = [getattr(s, field) for s in scores]
        if any(value is None and weight for value, weight in zip(values, weights, strict=True)):
            return None
        return mean(sum(v * w for v, w in zip(values, weights, strict=True) if w), n if field == "exact" else n_fit)

    return Score("all", n, over("mse"), over("mse_constant"), over("exact"), None, None, over("structural"), n - n_fit)


def selection(scores: list[Score]) -> float | None:
    """The figure by which the best checkpoint is chosen: lower is better, None where nothing was judged.

    The mean over domains of the root of mse / mse_constant. The plain mse over all examples is mostly that of
    the numbers, whose fine codes are never fully learned: by it the best of a run of `unified` was epoch 100
    of 400, with 92 % of the texts right instead of 100 %, for the sake of 2 % of the numbers' error.
    """
    judged = [one for one in scores[:-1] if one.mse is not None]
    if not judged:
        return None
    # a domain whose answers are all the same has a perfect constant, and then only its own error counts
    return float(np.mean([np.sqrt(one.mse / (one.mse_constant or 1.0)) for one in judged]))


def mean(total_sum: float, n: int) -> float | None:
    """The mean, or None of nothing."""
    return total_sum / n if n else None


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
