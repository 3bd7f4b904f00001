"""A graph in pictures, as plain data: histograms, and a drawing of nodes and edges that stays small for any size."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.graph.dag import Dag
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.report.figures import histogram

MOST_DRAWN = 4000  # edges drawn one by one; of a larger graph neighbouring nodes are drawn as one
MOST_COLUMNS, MOST_GROUPS = 10, 12  # of a larger graph: bands of levels, groups of hidden nodes in one
MOST_WEIGHTS = 1 << 22  # of a larger network every so many weights make the histogram
MOST_LABELS = 24  # brains with a name at one side of the drawing; more would lie on one another
CHUNK = 1 << 22  # edges counted at once
SWEEPS = 4  # passes over the columns that put neighbours at like heights; more change little
LOW, HIGH = 20, 980  # of a drawing's own coordinates, 0 to 1000, which the page stretches to any width and height
Ints = npt.NDArray[np.int64]


def topology_of(model: BrainModel) -> dict[str, Any]:
    """The pictures of a model's graph. Degrees follow from the index pointers, without a pass over the edges."""
    dag, weights = model.dag.dag, model.dag.parameters[: model.dag.n_edge]
    inputs: dict[tuple[int, int], list[str]] = {}
    for one in model.layout.domains:
        inputs.setdefault((one.input_start, one.input_start + one.n_input), []).append(one.name)
    brains = [(", ".join(names)[:60], dag.inputs[a:b]) for (a, b), names in sorted(inputs.items())]
    for one in model.layout.domains:
        brains.append((one.name[:60], dag.outputs[one.output_start : one.output_start + one.n_output]))
    return {
        "n_node": dag.n_node, "n_edge": dag.n_edge, "n_level": dag.n_level,
        "n_input": len(dag.inputs), "n_output": len(dag.outputs),
        "drawing": drawing(dag, weights, model.dag.names, brains),
        "histograms": [
            histogram("Nodes per level", np.arange(dag.n_level), "nodes", "of level", np.diff(dag.level_start)),
            histogram("Incoming edges", np.diff(dag.indptr), "nodes", "with edges:"),
            histogram("Outgoing edges", np.diff(dag.t_indptr), "nodes", "with edges:"),
            histogram("Weights", weights[:: max(1, -(-len(weights) // MOST_WEIGHTS))], "weights"),
        ],
    }  # fmt: skip


def level_of(dag: Dag) -> Ints:
    """(n_node,) the level of every node."""
    return np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))


def drawing(dag: Dag, weights: Any, names: Any, brains: list[tuple[str, Any]]) -> dict[str, Any]:
    """Nodes in columns of levels from left to right, and edges between them: every one, or grouped where they are many.

    brains : (name, nodes) of each one's inputs, then of its outputs

    Returns `title`, `note`, `words`, `shapes` (class, path, title) and `labels` (class, text, per cent from left, top).
    """
    every = dag.n_edge <= MOST_DRAWN
    column, group_of = groups_of(dag, every, brains)
    n, n_column = len(column), int(column.max()) + 1
    ends, counts, sums = links(dag, weights, group_of, n)
    amount, sign = (np.abs(sums), "weight") if every else (counts, "mean weight")
    positive, ahead = sums >= 0, column[ends[0]] < column[ends[1]]
    x = np.rint(LOW + (HIGH - LOW) * column / max(1, n_column - 1)).astype(int)
    role = np.zeros(n, int)
    role[group_of] = np.where(dag.is_output == 1, 2, dag.is_input)
    y = np.rint(heights(column, ends, role)).astype(int)
    strength = np.searchsorted(np.quantile(amount, [0.66, 0.9]) if len(amount) else [0, 0], amount, side="right")
    shapes = []
    for index, word in enumerate(("faint", "middle", "strong")):
        for name, chosen in (("plus", positive), ("minus", ~positive)):
            a, b = ends[:, (strength == index) & chosen & ahead]
            lines = np.stack([x[a], y[a], x[b], y[b]], 1).tolist()
            shapes.append([f"{name} {word}", "".join("M{} {}L{} {}".format(*line) for line in lines), ""])
    first = np.zeros(n, int)
    first[group_of[::-1]] = dag.node_order[::-1]
    degrees = [np.bincount(end, counts, n).astype(int).tolist() for end in ends[::-1]] + [
        np.bincount(group_of).tolist()
    ]
    titles = [f"{size:,} nodes, {into:,} edges in, {out:,} out" for into, out, size in zip(*degrees, strict=True)]
    if every:
        titles = [names[node] for node in first] if names is not None else [""] * n
    for i, title in enumerate(titles):
        kind = ("hidden", "input", "output")[role[i]] + " small" * (every and n > 150) + " group" * (not every)
        shapes.append([f"node {kind}", f"M{x[i]} {y[i]}h.1", title])
    shown = "every node and edge" if every else "neighbouring nodes as one; more edges, stronger lines"
    return {
        "title": "Nodes and edges", "note": f"{shown}; inputs left; blue: positive {sign}, orange: negative",
        "words": f"{dag.n_node:,} nodes in {dag.n_level:,} levels from left to right, {dag.n_edge:,} edges; inputs "
        f"green, outputs purple, edges of positive {sign} blue, of negative {sign} orange",
        "shapes": [shape for shape in shapes if shape[1]],
        "labels": labels(dag, x, y, group_of, names, brains),
    }  # fmt: skip


def groups_of(dag: Dag, every: bool, brains: list[tuple[str, Any]]) -> tuple[Ints, Ints]:
    """The column of every group, and (n_node,) the group of every node: itself, or with its neighbours."""
    level = level_of(dag)
    if every:
        return level, np.arange(dag.n_node)
    band = level * MOST_COLUMNS // max(dag.n_level, MOST_COLUMNS) if dag.n_level > MOST_COLUMNS else level
    place = np.arange(dag.n_node) - np.searchsorted(band, band)  # within the column
    part = place * MOST_GROUPS // np.maximum(np.bincount(band)[band], MOST_GROUPS)
    for index, (_, nodes) in enumerate(brains[::-1]):  # brains have groups of their own
        part[nodes] = MOST_GROUPS + min(len(brains) - index, 4 * MOST_LABELS)
    keys, group_of = np.unique(band * (5 * MOST_LABELS + MOST_GROUPS) + part, return_inverse=True)
    return keys // (5 * MOST_LABELS + MOST_GROUPS), group_of


def links(dag: Dag, weights: Any, group_of: Ints, n: int) -> tuple[Ints, Any, Any]:
    """(2, n_link) groups that edges join, how many edges, and the sums of their weights."""
    if n == dag.n_node:
        senders = np.repeat(np.arange(n), np.diff(dag.t_indptr))
        return np.stack([senders, dag.t_indices]), np.ones(dag.n_edge, int), np.nan_to_num(weights)
    counts, sums = np.zeros(n * n, np.int64), np.zeros(n * n)
    cuts = [*np.searchsorted(dag.t_indptr, np.arange(0, dag.n_edge, CHUNK)).tolist(), dag.n_node]
    for first, last in pairwise(cuts):  # in chunks of senders, to bound memory
        a, b = dag.t_indptr[first], dag.t_indptr[last]
        senders = np.repeat(group_of[first:last], np.diff(dag.t_indptr[first : last + 1]))
        link = senders * n + group_of[dag.t_indices[a:b]]
        counts += np.bincount(link, minlength=n * n)
        sums += np.bincount(link, np.nan_to_num(weights[a:b]), minlength=n * n)
    used = np.flatnonzero(counts)
    return np.stack([used // n, used % n]), counts[used], sums[used]


def heights(column: Ints, ends: Ints, role: Ints) -> npt.NDArray[np.float64]:
    """(n,) places from the top: even within a column, in the order of the mean of the neighbours.

    The barycentre heuristic of Sugiyama, Tagawa and Toda (1981). Inputs and outputs keep the order of their brains.
    """
    y, mean = np.empty(len(column)), np.arange(len(column), dtype=float)
    for sweep in range(SWEEPS + 1):
        for own in (np.flatnonzero(column == c) for c in np.unique(column)):
            if sweep == 0 or not role[own].all():
                rank = np.argsort(np.argsort(mean[own], kind="stable"), kind="stable")
                y[own] = LOW + (HIGH - LOW) * (rank + 0.5) / len(own)
        near, far = ends if sweep % 2 == 0 else ends[::-1]  # forward, then backward
        count = np.bincount(far, minlength=len(y))
        mean = np.where(count > 0, np.bincount(far, y[near], minlength=len(y)) / np.maximum(count, 1), y)
    return y


def labels(dag: Dag, x: Ints, y: Ints, group_of: Ints, names: Any, brains: list[tuple[str, Any]]) -> list[Any]:
    """The nodes' names at both sides where they are few, else those of the brains that own them."""
    found = []
    for nodes, end in ((dag.inputs, x.min()), (dag.outputs, x.max())):
        owned = [(names[dag.node_order[node]][:60], [node]) for node in nodes] if names is not None else []
        if not 0 < len(owned) <= MOST_LABELS:
            owned = [(name, own) for name, own in brains if len(own) and np.isin(own[0], nodes)][:MOST_LABELS]
        for name, own in owned:
            groups = group_of[own]
            if (x[groups] == end).all():  # only where they stand together at the drawing's side
                kind, left = ("tag", end + 14) if end == x.min() else ("tag from-right", end - 14)
                found.append([kind, name, left / 10, float(y[groups].mean()) / 10])
    return found
