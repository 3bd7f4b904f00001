"""`report.html`: a run on one page that needs no network and no script."""

from html import escape

import numpy as np

from grapheme_numba import __version__
from grapheme_numba.training.charts import Line, bar_chart, line_chart
from grapheme_numba.training.config import KEYS
from grapheme_numba.training.report_parts import config_table, page, sample_table, score_table, tiles
from grapheme_numba.training.samples import sample_answers


def render(run) -> str:
    """The page of a run, finished or stopped. Reads the journal and the model; changes nothing."""
    rows = run.journal.rows
    epochs = [row for row in rows if row["kind"] == "epoch"]
    validations = [row for row in rows if row["kind"] == "validation"]
    names = list(run.model.layout.names)
    body = [
        tiles(run, epochs, validations),
        section("Answers", score_table(validations), "Validation examples, beside the best constant answer."),
        section("Loss", charts_of_loss(epochs, validations, names), "Mean squared error of the answers' codes."),
        section("Course", charts_of_course(epochs, validations, names), ""),
        section("Topology", charts_of_topology(run.model), ""),
        section("Samples", sample_table(sample_answers(run)), "Answers to validation examples, by the latest weights."),
        section("Configuration", config_table({key: getattr(run.config, key) for key in KEYS}), ""),
    ]
    title = f"grapheme-train {run.task}: {run.folder.name}"
    return page(title, "".join(body), f"grapheme_numba {__version__}, data {run.fingerprint[:16]}")


def section(title: str, content: str, text: str) -> str:
    """A titled part of the page; nothing without content."""
    lead = f"<p>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{lead}{content}</section>" if content else ""


def charts_of_loss(epochs, validations, names) -> str:
    """Training and validation loss in all, then each domain with its constant-answer line."""
    whole = [
        Line("training", [(row["epoch"], row["loss"]) for row in epochs]),
        Line("validation", [(row["epoch"], row["mse"]) for row in validations]),
        reference(epochs, validations, lambda row: row["mse_constant"]),
    ]
    charts = [line_chart("all domains", whole, log=True)]
    for name in names:
        seen = [row for row in validations if name in row["domains"]]
        taught = [row for row in epochs if name in row["domains"]]
        lines = [
            Line("training", [(row["epoch"], row["domains"][name]["loss"]) for row in taught]),
            Line("validation", [(row["epoch"], row["domains"][name]["mse"]) for row in seen]),
            reference(epochs, seen, lambda row, name=name: row["domains"][name]["mse_constant"]),
        ]
        charts.append(line_chart(name, lines, log=True))
    return "".join(charts)


def reference(epochs, validations, value) -> Line:
    """The constant answer's loss as a dashed line over all epochs."""
    if not validations or not epochs:
        return Line("best constant answer", [])
    at = value(validations[-1])
    return Line("best constant answer", [(epochs[0]["epoch"], at), (epochs[-1]["epoch"], at)], True)


def charts_of_course(epochs, validations, names) -> str:
    """Exact answers, learning rate, gradient norm and throughput over the epochs."""
    exact = [
        Line(name, [(r["epoch"], 100 * r["domains"][name]["exact"]) for r in validations if name in r["domains"]])
        for name in names
    ]
    return "".join(
        [
            line_chart("exact answers", exact, y_name="per cent of validation"),
            line_chart("learning rate", [Line("learning rate", [(row["epoch"], row["lr"]) for row in epochs])]),
            line_chart("gradient norm", [Line("before clipping", [(r["epoch"], r["grad_norm"]) for r in epochs])]),
            line_chart("speed", [Line("examples/s", [(row["epoch"], row["examples_per_s"]) for row in epochs])]),
        ]
    )


def charts_of_topology(model) -> str:
    """Nodes per level and the distribution of incoming and outgoing edges."""
    topology = model.topology()
    senders, receivers = topology["senders"], topology["receivers"]
    n_node = model.dag.n_node
    levels = node_levels(senders, receivers, n_node)
    widths = np.bincount(levels)
    return "".join(
        [
            bar_chart("nodes per level", [(str(level), int(n)) for level, n in enumerate(widths)][:200]),
            bar_chart("incoming edges", histogram(np.bincount(receivers, minlength=n_node)), "number of nodes"),
            bar_chart("outgoing edges", histogram(np.bincount(senders, minlength=n_node)), "number of nodes"),
        ]
    )


def node_levels(senders, receivers, n_node: int) -> np.ndarray:
    """The level of each node: one more than the highest of its senders, 0 without any."""
    levels = np.zeros(n_node, np.int64)
    while True:
        raised = levels.copy()
        np.maximum.at(raised, receivers, levels[senders] + 1)
        if np.array_equal(raised, levels):
            return levels
        levels = raised


def histogram(degrees) -> list[tuple[str, int]]:
    """Up to 8 bars of how many nodes have how many edges."""
    most = int(degrees.max())
    edges = np.unique(np.linspace(0, most + 1, min(8, most + 1) + 1).astype(int))
    counts, _ = np.histogram(degrees, edges)
    spans = zip(edges[:-1], edges[1:] - 1, strict=True)
    return [(f"{a}" if a == b else f"{a}-{b}", int(n)) for (a, b), n in zip(spans, counts, strict=True)]
