"""The pages as HTML: the facts of a run and its rows, or of several runs, put into templates that escape every text.

To add a section: its facts in `reporter`, figures of them here in `run_page`, a block in `run.html`.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapheme_numba.report import numbers
from grapheme_numba.report.figures import LARGE, SMALL, Figure, Line, Point, histogram, is_finite, line_chart, scatter
from grapheme_numba.runs.run_folder import SavedRun

if TYPE_CHECKING:
    from jinja2 import Environment

FORMAT = 1  # of the facts of a run; another one is not read
TEMPLATES = Path(__file__).parent / "templates"
MOST_BRAINS = 24  # brains with charts of their own; further ones are in the table
MOST_ROWS = 200  # of that table
MOST_COLUMNS = 5  # runs side by side in the table of differences; more become rows
TOPS = (10.0, 20.0, 50.0, 100.0)  # where an axis of per cent may end
NOT_A_CHOICE = {"output"}  # differs between any two runs
# of a comparison: title, note, kind of row, key, logarithmic, factor
CURVES = (
    ("Validation loss", "mean squared error", "validation", "mse", True, 1.0),
    ("Exact answers", "of the validation examples", "validation", "exact", False, 100.0),
    ("Training loss", "mean squared error", "epoch", "loss", True, 1.0),
    ("Throughput", "examples/s", "epoch", "examples_per_s", False, 1.0),
    ("Learning rate", "", "epoch", "lr", False, 1.0),
    ("Edges", "remaining", "epoch", "n_edge", False, 1.0),
    ("Gradient norm", "of the last step of an epoch", "epoch", "grad_norm", True, 1.0),
)
Row = dict[str, Any]


@cache
def environment() -> "Environment":
    """The templates with what they call."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # late: 35 ms

    loader = FileSystemLoader(TEMPLATES)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters.update((name, getattr(numbers, name)) for name in numbers.FILTERS)
    return made


def page(template: str, **values: Any) -> str:
    """A whole page."""
    return numbers.without_controls(environment().get_template(template).render(values))


def run_page(run: dict[str, Any], rows: list[Row]) -> str:
    """The page of a run: its facts as `reporter.facts_of` makes them, and its rows of metrics.jsonl."""
    epochs, validations = ([row for row in rows if row.get("kind") == kind] for kind in ("epoch", "validation"))
    best, answers = best_of(validations), run["answers"]
    domains = best["domains"] if best else {}
    sizes = {name: one["n"] for name, one in domains.items()}
    fixed = {name: one["share"] for name, one in answers.items()}
    n_asked = sum(sizes.get(name, 0) for name in fixed)
    fixed_share = sum(fixed[name] * sizes.get(name, 0) for name in fixed) / n_asked if n_asked else None
    by_size = sorted(run["names"], key=lambda name: -sizes.get(name, 0))
    by_brain = []
    for name in [name for name in run["names"] if name in by_size[:MOST_BRAINS]]:
        ours, theirs = (
            [(row, row["domains"][name]) for row in kind if name in row["domains"]] for kind in (epochs, validations)
        )
        by_brain.append((name, drawn(loss_and_exact(ours, theirs, fixed.get(name), SMALL))))
    overall = loss_and_exact([(row, row) for row in epochs], [(row, row) for row in validations], fixed_share, LARGE)
    scores = [(name, one) for name, one in domains.items() if name in by_size[:MOST_ROWS]]
    detailed = [name for name, one in answers.items() if "calibration" in one]
    return page(
        "run.html",
        title=f"{run['name']}: grapheme-train {run['task']}",
        run=run,
        best=best,
        fixed_share=fixed_share,
        scores=[*scores, ("all", best)] if len(domains) > 1 else scores,
        n_further=len(domains) - len(scores),
        speed=median([row.get("examples_per_s") for row in epochs]),
        overall=drawn(overall),
        by_brain=[pair for pair in by_brain if pair[1]],
        details=[(name, answers[name], detail(answers[name], domains.get(name, {}))) for name in detailed],
        course=drawn(course_charts(epochs, run["clip"])),
    )


def drawn(charts: Iterable[Figure | None]) -> list[Figure]:
    """The charts that have something to show."""
    return [chart for chart in charts if chart is not None]


def best_of(validations: list[Row]) -> Row | None:
    """The best validation's row, or the latest where none is marked."""
    rows = [row for row in validations if row.get("best")] or validations
    return rows[-1] if rows else None


def median(values: list[Any]) -> float | None:
    """The middle of those that are finite."""
    seen = sorted(value for value in values if is_finite(value))
    return seen[len(seen) // 2] if seen else None


def loss_and_exact(epochs: Any, validations: Any, fixed: float | None, size: Any) -> list[Figure | None]:
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
    return [
        line_chart("Loss", loss, "mean squared error", log=True, size=size),
        line_chart("Exact answers", exact, unit=" %", top=top_of(exact), size=size),
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


def detail(answers: dict[str, Any], score: Row) -> list[Figure]:
    """Predicted against true numbers with their residuals, and right answers against confidence."""
    figures, pairs = [], np.array(answers.get("pairs", [])).reshape(-1, 2)
    if len(pairs):
        error = pairs[:, 1] - pairs[:, 0]
        low, middle, high = np.quantile(error, [0.05, 0.5, 0.95])
        words = f"{len(pairs):,} examples from {pairs.min():.4g} to {pairs.max():.4g}, true across, predicted up"
        points = [(true, guess) for true, guess in pairs.tolist()]
        figures.append(scatter("Predicted against true", "on the line where equal", points, words))
        note = f"predicted - true; median {middle:.3g}, nine of ten from {low:.3g} to {high:.3g}"
        figures.append(histogram("Residuals", error, "examples") | {"note": note})
    bins = score.get("calibration") or answers["calibration"]
    n = sum(count for *_, count in bins)
    gap = sum(abs(confidence - accuracy) * count for confidence, accuracy, count in bins) / max(1, n)
    words = "; ".join(f"of {count:,.0f} with confidence {c:.2f} {100 * a:.0f} % are right" for c, a, count in bins)
    note = f"share of right answers by confidence; expected calibration error {gap:.3f}"
    points = [(confidence, accuracy) for confidence, accuracy, _ in bins]
    return [*figures, scatter("Reliability", note, points, words, unit=True)]


def course_charts(epochs: list[Row], clip: float | None) -> list[Figure | None]:
    """Learning rate, gradient norm and throughput over the epochs; the edges where the run changes them."""
    rows = [(row, row) for row in epochs]
    norms = [Line("before clipping", series(rows, "grad_norm"))]
    highest = max((y for _, y in norms[0].points if y is not None), default=0.0)
    if clip and highest > clip / 2:  # far above the line it would only flatten it
        norms.append(Line("clipped at", [(epochs[0]["epoch"], clip), (epochs[-1]["epoch"], clip)], "fixed"))
    return [
        line_chart("Learning rate", [Line("learning rate", series(rows, "lr"))]),
        line_chart("Gradient norm", norms, "of the last step, before clipping"),
        line_chart("Throughput", [Line("throughput", series(rows, "examples_per_s"))], "examples/s"),
        line_chart("Edges", [Line("edges", series(rows, "n_edge"))], "remaining"),
        line_chart("Replaced edges", [Line("replaced edges", series(rows, "n_moved"))], "by drop-and-grow so far"),
    ]


def comparison_page(runs: list[SavedRun], written: str) -> str:
    """The page that compares runs: a row a run, curves over one another, settings that differ."""
    kinds = [f"run c{index % 8} d{index % 4}" for index in range(len(runs))]
    validations = [run.of_kind("validation") for run in runs]

    def overlay(title: str, note: str, points: list[list[Point]], log: bool, size: Any) -> Figure | None:
        lines = [Line(run.name, one, kind) for run, one, kind in zip(runs, points, kinds, strict=True)]
        unit, top = (" %", top_of(lines)) if title == "Exact answers" else ("", None)
        return line_chart(title, lines, note, log=log, unit=unit, top=top, size=size)

    charts = []
    for title, note, kind, key, log, factor in CURVES:
        points = [series(((row, row) for row in run.of_kind(kind)), key, factor) for run in runs]
        charts.append(overlay(title, note, points, log, LARGE))
    names = list(dict.fromkeys(name for rows in validations for row in rows for name in row.get("domains", {})))
    brains = []
    for name in names[:MOST_BRAINS] if len(names) > 1 else []:
        parts = [[(row, row.get("domains", {}).get(name, {})) for row in rows] for rows in validations]
        loss = overlay("Loss", "", [series(part, "mse") for part in parts], True, SMALL)
        exact = overlay("Exact answers", "", [series(part, "exact", 100.0) for part in parts], False, SMALL)
        brains.append((name, drawn([loss, exact])))
    constants = {numbers.number(rows[-1].get("mse_constant")) for rows in validations if rows} - {"–"}
    notes = [note for run in runs for note in run.notes]
    if len(constants) > 1:  # a constant answer scores the same on the same data
        notes.append("The runs were not validated on the same data: their best constant answers have other losses.")
    return page(
        "compare.html",
        title=f"{len(runs)} runs compared" if len(runs) > 1 else runs[0].name,
        written=written,
        runs=runs,
        kinds=kinds,
        notes=notes,
        summaries=[summary(run) for run in runs],
        charts=drawn(charts),
        brains=[pair for pair in brains if pair[1]],
        n_further_brains=len(names) - len(brains) if brains else 0,
        differences=differences(runs) if len(runs) > 1 else [],
    )


def summary(run: SavedRun) -> dict[str, Any]:
    """A run in a few figures."""
    epochs, best = run.of_kind("epoch"), best_of(run.of_kind("validation")) or {}
    last = epochs[-1] if epochs else {}
    return {
        "name": run.name,
        "epochs": last.get("epoch"),
        "best_epoch": best.get("epoch"),
        "exact": best.get("exact"),
        "mse": best.get("mse"),
        "constant": best.get("mse_constant"),
        "loss": last.get("loss"),
        "speed": median([row.get("examples_per_s") for row in epochs]),
        "seconds": sum(scaled(row.get("seconds"), 1.0) or 0.0 for row in epochs),
    }


def differences(runs: list[SavedRun]) -> list[list[str]]:
    """A header and rows of the keys that were not set the same; of many runs a row each."""
    keys = dict.fromkeys(key for run in runs for key in run.config if key not in NOT_A_CHOICE)
    columns = [[key, *(numbers.setting(run.config.get(key)) for run in runs)] for key in keys]
    table = [["key", *(run.name for run in runs)], *(one for one in columns if len(set(one[1:])) > 1)]
    if len(runs) > MOST_COLUMNS and len(table) > 1:
        table[0][0] = "run"
        return [list(row) for row in zip(*table, strict=True)]
    return table
