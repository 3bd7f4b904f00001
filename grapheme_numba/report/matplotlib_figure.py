"""Curves of runs as PNG, SVG or PDF, for papers and slides, drawn by Matplotlib."""

import io
from typing import Any

from grapheme_numba.errors import UsageError
from grapheme_numba.runs.saved_runs import SavedRun

COLOURS = ("#0b62a4", "#c2500a", "#00795a", "#a33f86", "#8a6412", "#5b53b8", "#1d7f94", "#4d5967")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
FORMATS = ("png", "svg", "pdf")
PANELS = (
    ("validation loss", "validation", "mse", "log", 1.0),
    ("exact answers, % of validation", "validation", "exact", "linear", 100.0),
    ("training loss", "epoch", "loss", "log", 1.0),
    ("examples/s", "epoch", "examples_per_s", "linear", 1.0),
)


def draw(runs: list[SavedRun], kind: str) -> bytes:
    """The bytes of a figure of SavedRuns in one of FORMATS. Raises UsageError without Matplotlib."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            f"a {kind} needs Matplotlib, which is not installed: pip install '.[plot]' in a clone, "
            "or give --output a name that ends in .html"
        ) from None
    with rc_context({"svg.hashsalt": "grapheme", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.6, 6.4), layout="constrained")
        for axes, (title, rows, key, scale, factor) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
            panel(axes, runs, rows, key, factor)
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.25)
            if scale == "log" and all((line.get_ydata() > 0).all() for line in axes.lines):
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
        handles, labels = figure.axes[2].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(runs)), frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def panel(axes: Any, runs: list[SavedRun], rows: str, key: str, factor: float) -> None:
    """A line a run."""
    import numpy as np

    for index, run in enumerate(runs):
        points = [(row["epoch"], row[key]) for row in run.of_kind(rows) if row.get(key) is not None]
        x, y = np.array(points, float).reshape(-1, 2).T
        label = run.name.replace("$", r"\$")  # no formulas in names
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
        axes.plot(x, y * factor, label=label, marker="o" if len(x) < 3 else None, markersize=4, **style)
