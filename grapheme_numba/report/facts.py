"""What the page of a run shows, as plain data: the facts of the run, and the charts made of them."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from grapheme_numba.report.figures import LARGE, Line, LineChart, Point, is_finite
from grapheme_numba.report.numbers import compact, duration, number, share
from grapheme_numba.report.samples import Answered
from grapheme_numba.report.topology import Graph

MOST_BRAINS = 24  # brains with charts of their own; further ones are in the table
TOPS = (10.0, 20.0, 50.0, 100.0)  # where an axis of per cent may end
SCORES = ("n", "n_unfit", "mse", "mse_constant", "exact", "mae", "mae_constant")
Row = dict[str, Any]
BrainCharts = list[tuple[str, list[LineChart]]]


class Ending(NamedTuple):
    """How a run stands: a word, a sentence, the class of the style (good, held, bad), what to do next."""

    word: str
    text: str
    kind: str
    command: str | None = None


class RunFacts(NamedTuple):
    """Everything the page of a run shows.

    task, name : the trainer and the run's folder; ending : Ending; refresh : seconds until the page reloads itself
    rows : of metrics.jsonl; names : the brains; n_epoch : as configured; progress : runs.progress.Progress
    graph : Graph, or None where there is nothing to draw
    answered : of `samples.answer_samples`; unanswered : why there are no samples
    config : every key with its value; defaults : the general ones
    data, environment : names and values as text; written : when, as text
    """

    task: str
    name: str
    ending: Ending
    refresh: int | None
    rows: list[Row]
    names: list[str]
    n_epoch: int
    progress: Any
    graph: Graph | None
    answered: dict[str, Answered]
    unanswered: str
    config: dict[str, Any]
    defaults: dict[str, Any]
    data: list[tuple[str, str]]
    environment: list[tuple[str, str]]
    written: str

    @property
    def epochs(self) -> list[Row]:
        """The rows of training epochs."""
        return [row for row in self.rows if row.get("kind") == "epoch"]

    @property
    def validations(self) -> list[Row]:
        """The rows of validations."""
        return [row for row in self.rows if row.get("kind") == "validation"]

    @property
    def best(self) -> Row | None:
        """The best validation."""
        return best_of(self.validations)

    @property
    def fixed_share(self) -> float | None:
        """The share that giving each brain's commonest answer would score in the best validation."""
        domains = (self.best or {}).get("domains", {})
        counts = {name: domains.get(name, {}).get("n", 0) for name in self.answered} if domains else {}
        n = sum(counts.values())
        return sum(self.answered[name].commonest_share * counts[name] for name in counts) / n if n else None


def best_of(validations: list[Row]) -> Row | None:
    """The best validation's row, or the latest where none is marked."""
    rows = [row for row in validations if row.get("best")] or validations
    return rows[-1] if rows else None


def tiles(run: RunFacts) -> list[tuple[str, str, str]]:
    """The run in a few figures: name, value, note."""
    best, progress = run.best, run.progress
    speeds = sorted(row["examples_per_s"] for row in run.epochs if row.get("examples_per_s"))
    made = []
    if best is not None:
        made.append(("exact answers", share(best["exact"]), f"best validation, epoch {best['epoch']}"))
        made.append(("validation loss", number(best["mse"]), f"best constant {number(best['mse_constant'])}"))
    made.append(("epochs", f"{progress.epoch:,}", f"of {run.n_epoch:,}"))
    made.append(("steps", f"{progress.step:,}", f"{number(progress.n_example)} examples seen"))
    made.append(("training time", duration(progress.elapsed), "validations included"))
    if speeds:
        made.append(("throughput", compact(speeds[len(speeds) // 2]), "examples/s, median epoch"))
    if run.graph is not None:
        dag = run.graph.dag
        made.append(("edges", compact(dag.n_edge), f"{dag.n_node:,} nodes, {dag.n_level:,} levels"))
    return made


def score_rows(run: RunFacts) -> list[tuple[str, Row]]:
    """The best validation by brain, and last of all brains where there are several."""
    if run.best is None:
        return []
    rows = list(run.best["domains"].items())
    rows += [("all", run.best)] if len(rows) > 1 else []
    return [(name, {key: one.get(key) for key in SCORES}) for name, one in rows]


def overall_charts(run: RunFacts) -> list[LineChart]:
    """Loss and exact answers over all brains."""
    epochs, validations = [(row, row) for row in run.epochs], [(row, row) for row in run.validations]
    return two_charts(epochs, validations, run.fixed_share, LARGE)


def brain_charts(run: RunFacts) -> BrainCharts:
    """Loss and exact answers of every brain; of the MOST_BRAINS largest where there are more."""
    last = run.validations[-1]["domains"] if run.validations else {}
    largest = sorted(run.names, key=lambda name: -last.get(name, {}).get("n", 0))[:MOST_BRAINS]
    charts = []
    for name in [name for name in run.names if name in largest]:
        epochs, validations = (
            [(row, row["domains"][name]) for row in rows if name in row["domains"]]
            for rows in (run.epochs, run.validations)
        )
        fixed = run.answered[name].commonest_share if name in run.answered else None
        charts.append((name, two_charts(epochs, validations, fixed)))
    return charts


def two_charts(
    epochs: list[tuple[Row, Row]], validations: list[tuple[Row, Row]], fixed: float | None, size: Any = None
) -> list[LineChart]:
    """Loss and exact answers with what a constant answer scores, from (row, its part of a brain) each."""
    best = next((row["epoch"] for row, _ in reversed(validations) if row.get("best")), None)
    ends = [row["epoch"] for row, _ in (epochs or validations)][:: max(1, len(epochs or validations) - 1)]
    constant = validations[-1][1].get("mse_constant") if validations else None

    def lines(ours: str, theirs: str, factor: float, name: str, level: float | None) -> list[Line]:
        return [
            Line("training", series(epochs, ours, factor), "training"),
            Line("validation", series(validations, theirs, factor), "validation", best),
            Line(name, [(epoch, scaled(level, factor)) for epoch in ends], "fixed"),
        ]

    loss = lines("loss", "mse", 1.0, "best constant answer", constant)
    exact = lines("exact", "exact", 100.0, "commonest answer", fixed)
    sized = {"size": size} if size else {}
    return [
        LineChart("Loss", loss, "mean squared error", log=True, **sized),
        LineChart("Exact answers", exact, unit=" %", top=top_of(exact), **sized),
    ]


def series(rows: Iterable[tuple[Row, Row]], key: str, factor: float = 1.0) -> list[Point]:
    """(epoch, value) of every row; None where there is no finite value."""
    return [(row["epoch"], scaled(part.get(key), factor)) for row, part in rows]


def scaled(value: float | None, factor: float) -> float | None:
    """The value times the factor; None for nothing and for what is not finite."""
    return value * factor if is_finite(value) else None


def top_of(lines: list[Line]) -> float:
    """Where an axis of per cent ends."""
    highest = max((y for line in lines for _, y in line.points if y is not None), default=0.0)
    return next((top for top in TOPS if highest <= top), highest)


def course_charts(run: RunFacts) -> list[LineChart]:
    """Learning rate, gradient norm and throughput over the epochs; the edges where the run changes them."""
    rows, clip = [(row, row) for row in run.epochs], run.config.get("clip_grad_norm")
    norms = [Line("before clipping", series(rows, "grad_norm"))]
    highest = max((y for _, y in norms[0].points if y is not None), default=0.0)
    if clip and highest > clip / 2:  # far above the line it would only flatten it
        norms.append(Line("clipped at", [(rows[0][0]["epoch"], clip), (rows[-1][0]["epoch"], clip)], "fixed"))
    return [
        LineChart("Learning rate", [Line("learning rate", series(rows, "lr"))]),
        LineChart("Gradient norm", norms, "of the last step, before clipping"),
        LineChart("Throughput", [Line("throughput", series(rows, "examples_per_s"))], "examples/s"),
        LineChart("Edges", [Line("edges", series(rows, "n_edge"))], "remaining"),
        LineChart("Replaced edges", [Line("replaced edges", series(rows, "n_moved"))], "since the run began"),
    ]
