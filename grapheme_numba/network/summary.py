"""A network in one line, and as a table of levels, degrees and memory."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS
from grapheme_numba.network.arrays import PRECISIONS

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN

MOST_LEVELS = 20  # rows; deeper networks show the first and the last ones


def line(dag: "DagNN") -> str:
    """`DagNN(1,234 nodes, 5,678 edges, 4 levels, 10 inputs, 3 outputs, float32)`."""
    named = "" if dag.names is None else ", named"
    return (
        f"{type(dag).__name__}({dag.n_node:,} nodes, {dag.n_edge:,} edges, {dag.n_level:,} levels, "
        f"{dag.n_input:,} inputs, {dag.n_output:,} outputs, {dag.precision}{named})"
    )


def table(dag: "DagNN") -> str:
    """A row per level: nodes, edges that arrive, degrees, activations; then parameters and bytes.

    `tanh(max)` are nodes with another aggregation than the sum.
    """
    graph = dag.dag
    arriving, leaving = np.diff(graph.indptr), np.diff(graph.t_indptr)
    names, kinds = list(ACTIVATIONS), list(AGGREGATIONS)
    combined = graph.aggregation if graph.aggregation.size else np.zeros(dag.n_node, np.uint8)
    rows = [("level", "nodes", "edges in", "in-degree", "out-degree", "activations")]
    for level in range(dag.n_level):
        nodes = slice(int(graph.level_start[level]), int(graph.level_start[level + 1]))
        own = graph.activation[nodes]
        pairs = np.unique(np.stack([combined[nodes], own])[:, graph.is_input[nodes] == 0], axis=1).T.tolist()
        used = ["input"] * bool(graph.is_input[nodes].any())
        used += [f"{names[code]}({kinds[kind]})" if kind else names[code] for kind, code in pairs]
        rows.append(
            (
                str(level), f"{len(own):,}", f"{arriving[nodes].sum():,}", _range(arriving[nodes]),
                _range(leaving[nodes]), ", ".join(used),
            )
        )  # fmt: skip
    if dag.n_level > MOST_LEVELS:
        half, gap = MOST_LEVELS // 2, (f"... {dag.n_level - MOST_LEVELS} more", "", "", "", "", "")
        rows = [*rows[: half + 1], gap, *rows[-half:]]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    shown = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row[:5], widths, strict=False)), row[5]]).rstrip()
        for row in rows
    ]
    n_trained = dag.n_edge + dag.n_node - dag.n_input
    index = sum(array.nbytes for array in graph)
    return "\n".join(
        [
            line(dag), *shown, f"parameters  {n_trained:,} ({dag.n_edge:,} weights, {n_trained - dag.n_edge:,} biases)",
            f"memory      {_bytes(dag.parameters.nbytes)} parameters, as much for gradients, {_bytes(index)} graph, "
            f"{_bytes(dag.n_node * PRECISIONS[dag.precision].stored.itemsize)} activations per example",
        ]
    )  # fmt: skip


def _range(degrees: npt.NDArray[np.int64]) -> str:
    low, high = int(degrees.min()), int(degrees.max())
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:,.3g} {unit}"
        n /= 1000
    return f"{n:,.3g} GB"
