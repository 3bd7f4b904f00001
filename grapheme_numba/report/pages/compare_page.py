"""The page that compares runs: their figures, their curves over one another, and what was set differently."""

import time

from grapheme_numba.report.pages.axes import Axis
from grapheme_numba.report.pages.brains import TOPS
from grapheme_numba.report.pages.charts import Line, finite, line_chart
from grapheme_numba.report.pages.markup import page, plain, section, shown, table
from grapheme_numba.report.pages.numbers import compact, duration, number, share
from grapheme_numba.report.pages.run_page import best_of

MOST_BRAINS = 24  # with charts of their own
MOST_COLUMNS = 5  # runs side by side in the table of differences; more become rows
NOT_A_CHOICE = {"output"}  # differs between any two runs


def render(runs) -> str:
    """The whole document for SavedRuns."""
    kinds = [f"run c{index % 8} d{index % 4}" for index in range(len(runs))]
    epochs = [run.of_kind("epoch") for run in runs]
    validations = [run.of_kind("validation") for run in runs]
    keys = legend(runs, kinds)
    many = f"{len(runs)} runs compared" if len(runs) > 1 else runs[0].name
    notes = [note for run in runs for note in run.notes] + data_notes(runs, validations)
    lead = "".join(f'<p><span class="state held">note</span> {plain(note)}</p>' for note in notes)
    whole = [whole_chart(*one, epochs, validations, runs, kinds) for one in CURVES]
    body = [
        f'<header><p class="over-title">grapheme-train plot</p><h1>{shown(many)}</h1>{lead}</header>',
        section("Best validations", figures(runs, kinds, epochs, validations)),
        section("Curves", keys + f'<div class="charts two">{"".join(whole)}</div>' if any(whole) else ""),
        section("Each brain", by_brain(keys, validations, runs, kinds)),
        section("Configuration", *differences(runs)),
    ]
    written = time.strftime("Written %Y-%m-%d %H:%M:%S %Z.")
    return page(many, "".join(body), plain(written))


# title, note, kind of row, key, logarithmic, per cent
CURVES = (
    ("Validation loss", "mean squared error", "validation", "mse", True, False),
    ("Exact answers", "of the validation examples", "validation", "exact", False, True),
    ("Training loss", "mean squared error", "epoch", "loss", True, False),
    ("Throughput", "examples/s", "epoch", "examples_per_s", False, False),
    ("Learning rate", "", "epoch", "lr", False, False),
    ("Edges", "that are left", "epoch", "n_edge", False, False),
    ("Gradient norm", "of the last step of an epoch", "epoch", "grad_norm", True, False),
)


def whole_chart(title, note, kind, key, log, per_cent, epochs, validations, runs, kinds) -> str:
    """One figure of all runs over their epochs."""
    rows = epochs if kind == "epoch" else validations
    found = [[(row["epoch"], row.get(key)) for row in one] for one in rows]
    return curves(title, note, found, runs, kinds, log, per_cent, 5)


def curves(title, note, found, runs, kinds, log, per_cent, n_tick) -> str:
    """A chart with a line a run."""
    if per_cent:
        found = [[(x, 100.0 * y if finite(y) else None) for x, y in points] for points in found]
    lines = [Line(run.name, points, kind) for run, points, kind in zip(runs, found, kinds, strict=True)]
    axis = None
    if per_cent:
        highest = max((y for points in found for _, y in points if finite(y)), default=0.0)
        axis = Axis(0.0, next((top for top in TOPS if highest <= top), highest))
    return line_chart(title, lines, log=log, y_axis=axis, unit=" %" * per_cent, note=note, n_tick=n_tick)


def legend(runs, kinds) -> str:
    """Which line is whose."""
    items = (f"<li>{key(kind)}<span>{shown(run.name, 80)}</span></li>" for run, kind in zip(runs, kinds, strict=True))
    return f'<ul class="legend">{"".join(items)}</ul>'


def key(kind: str) -> str:
    """A piece of a run's line."""
    return f'<svg class="key area" viewBox="0 0 30 12" aria-hidden="true"><path class="line {kind}" d="M1 6H29"/></svg>'


def figures(runs, kinds, epochs, validations) -> str:
    """A row a run."""
    rows = []
    for run, kind, taught, seen in zip(runs, kinds, epochs, validations, strict=True):
        best = best_of(seen) or {}
        speeds = sorted(row["examples_per_s"] for row in taught if finite(row.get("examples_per_s")))
        seconds = sum(row["seconds"] for row in taught if finite(row.get("seconds")))
        rows.append(
            [
                (f"{key(kind)} {shown(run.name)}", "left"),
                (number(taught[-1]["epoch"]) if taught else "–", "one-line"),
                (number(best.get("epoch")), "one-line"),
                (share(best.get("exact")), "one-line"),
                (number(best.get("mse")), "one-line"),
                (number(best.get("mse_constant")), "one-line"),
                (number(taught[-1].get("loss")) if taught else "–", "one-line"),
                (compact(speeds[len(speeds) // 2]) if speeds else "–", "one-line"),
                (duration(seconds), "one-line"),
            ]
        )
    header = ["run", "epochs", "best epoch", "exact", "loss", "constant’s loss", "last training loss"]
    return table([*header, "examples/s", "time in epochs"], rows, "Best validations")


def data_notes(runs, validations) -> list[str]:
    """A warning where losses do not compare: a constant answer scores the same on the same data."""
    constants = {number(one[-1]["mse_constant"]) for one in validations if one and finite(one[-1].get("mse_constant"))}
    if len(constants) < 2:
        return []
    return ["The runs were not validated on the same data: their best constant answers have other losses."]


def by_brain(keys, validations, runs, kinds) -> str:
    """Validation loss and exact answers of every brain."""
    names = dict.fromkeys(name for one in validations for row in one for name in row.get("domains", {}))
    if len(names) < 2:
        return ""
    cards = []
    for name in list(names)[:MOST_BRAINS]:
        charts = ""
        for title, field, log, per_cent in (("Loss", "mse", True, False), ("Exact answers", "exact", False, True)):
            found = [
                [(row["epoch"], row.get("domains", {}).get(name, {}).get(field)) for row in one] for one in validations
            ]
            charts += curves(title, "", found, runs, kinds, log, per_cent, 3)
        cards.append(f'<article><h3>{shown(name)}</h3><div class="charts">{charts}</div></article>')
    more = f"<p>{len(names) - MOST_BRAINS} further brains are left out.</p>" if len(names) > MOST_BRAINS else ""
    return f'{keys}<div class="brains">{"".join(cards)}</div>{more}'


def differences(runs) -> tuple[str, str]:
    """The keys that differ and their values; and a sentence."""
    if len(runs) < 2:
        return "", ""
    keys = dict.fromkeys(key for run in runs for key in run.config if key not in NOT_A_CHOICE)
    told = {name: [value_of(run, name) for run in runs] for name in keys}
    told = {name: values for name, values in told.items() if len(set(values)) > 1}
    if not told:
        return " ", "All were set the same, but for where they were written."
    if len(runs) <= MOST_COLUMNS:
        header = ["key", *(run.name for run in runs)]
        rows = [[(plain(name), "left"), *((shown(value), "") for value in values)] for name, values in told.items()]
    else:
        header = ["run", *told]
        rows = [
            [(shown(run.name), "left"), *((shown(values[index]), "") for values in told.values())]
            for index, run in enumerate(runs)
        ]
    return f'<div class="wide">{table(header, rows, "Differing keys")}</div>', "The keys that were not set the same."


def value_of(run, name: str) -> str:
    """A key's value as text."""
    value = run.config.get(name)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None or value == {} else str(value)
