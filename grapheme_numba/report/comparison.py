"""What the page that compares runs shows, as plain data: a row a run, curves over one another, differing settings."""

from typing import Any

from grapheme_numba.report.facts import MOST_BRAINS, BrainCharts, best_of, scaled, series, top_of
from grapheme_numba.report.figures import LARGE, SMALL, Line, LineChart, Point, is_finite
from grapheme_numba.report.numbers import number, setting
from grapheme_numba.report.saved_runs import SavedRun

MOST_COLUMNS = 5  # runs side by side in the table of differences; more become rows
NOT_A_CHOICE = {"output"}  # differs between any two runs
# title, note, kind of row, key, logarithmic, factor
CURVES = (
    ("Validation loss", "mean squared error", "validation", "mse", True, 1.0),
    ("Exact answers", "of the validation examples", "validation", "exact", False, 100.0),
    ("Training loss", "mean squared error", "epoch", "loss", True, 1.0),
    ("Throughput", "examples/s", "epoch", "examples_per_s", False, 1.0),
    ("Learning rate", "", "epoch", "lr", False, 1.0),
    ("Edges", "remaining", "epoch", "n_edge", False, 1.0),
    ("Gradient norm", "of the last step of an epoch", "epoch", "grad_norm", True, 1.0),
)


def compare(runs: list[SavedRun]) -> dict[str, Any]:
    """The facts of runs beside one another: what `compare.html` names, its charts not drawn yet.

    kinds : the classes of the runs' lines; notes : sentences about what does not compare
    differences : a header and rows; only the header where all were set the same
    """
    kinds = [f"run c{index % 8} d{index % 4}" for index in range(len(runs))]
    charts = []
    for title, note, kind, key, log, factor in CURVES:
        points = [series(((row, row) for row in run.of_kind(kind)), key, factor) for run in runs]
        charts.append(overlay(title, note, points, runs, kinds, log, LARGE))
    validations = [run.of_kind("validation") for run in runs]
    names = list(dict.fromkeys(name for rows in validations for row in rows for name in row.get("domains", {})))
    brains: BrainCharts = []
    for name in names[:MOST_BRAINS] if len(names) > 1 else []:
        parts = [[(row, row.get("domains", {}).get(name, {})) for row in rows] for rows in validations]
        loss = overlay("Loss", "", [series(part, "mse") for part in parts], runs, kinds, True)
        exact = overlay("Exact answers", "", [series(part, "exact", 100.0) for part in parts], runs, kinds, False)
        brains.append((name, [loss, exact]))
    return {
        "title": f"{len(runs)} runs compared" if len(runs) > 1 else runs[0].name,
        "runs": runs,
        "kinds": kinds,
        "notes": [note for run in runs for note in run.notes] + data_notes(runs),
        "summaries": [summary(run) for run in runs],
        "charts": charts,
        "brains": brains,
        "n_further_brains": len(names) - len(brains) if brains else 0,
        "differences": differences(runs) if len(runs) > 1 else [],
    }


def overlay(
    title: str,
    note: str,
    points: list[list[Point]],
    runs: list[SavedRun],
    kinds: list[str],
    log: bool,
    size: tuple[int, int, int] = SMALL,
) -> LineChart:
    """A chart with a line a run."""
    lines = [Line(run.name, one, kind) for run, one, kind in zip(runs, points, kinds, strict=True)]
    per_cent = title == "Exact answers"
    return LineChart(title, lines, note, log, " %" * per_cent, top_of(lines) if per_cent else None, size)


def summary(run: SavedRun) -> dict[str, Any]:
    """A run in a few figures."""
    epochs = run.of_kind("epoch")
    speeds = sorted(row["examples_per_s"] for row in epochs if is_finite(row.get("examples_per_s")))
    last, best = epochs[-1] if epochs else {}, best_of(run.of_kind("validation")) or {}
    return {
        "name": run.name,
        "epochs": last.get("epoch"),
        "best_epoch": best.get("epoch"),
        "exact": best.get("exact"),
        "mse": best.get("mse"),
        "constant": best.get("mse_constant"),
        "loss": last.get("loss"),
        "speed": speeds[len(speeds) // 2] if speeds else None,
        "seconds": sum(scaled(row.get("seconds"), 1.0) or 0.0 for row in epochs),
    }


def data_notes(runs: list[SavedRun]) -> list[str]:
    """A warning where losses do not compare: a constant answer scores the same on the same data."""
    last = [run.of_kind("validation")[-1].get("mse_constant") for run in runs if run.of_kind("validation")]
    if len({number(value) for value in last if is_finite(value)}) < 2:
        return []
    return ["The runs were not validated on the same data: their best constant answers have other losses."]


def differences(runs: list[SavedRun]) -> list[list[str]]:
    """A header and rows of the keys that were not set the same; of many runs a row each."""
    keys = dict.fromkeys(key for run in runs for key in run.config if key not in NOT_A_CHOICE)
    columns = [[key, *(setting(run.config.get(key)) for run in runs)] for key in keys]
    table = [["key", *(run.name for run in runs)], *(one for one in columns if len(set(one[1:])) > 1)]
    if len(runs) > MOST_COLUMNS and len(table) > 1:
        table[0][0] = "run"
        return [list(row) for row in zip(*table, strict=True)]
    return table
