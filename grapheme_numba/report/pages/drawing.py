"""A drawing of a small graph: every node, every edge, levels from left to right."""

from itertools import pairwise

import numpy as np

from grapheme_numba.report.pages.axes import SIDE
from grapheme_numba.report.pages.markup import plain

MOST_TAGS = 24  # names at one side of a drawing; more would lie on one another
SWEEPS = 4  # passes over the levels that put neighbours at like heights; more change little
LOW, HIGH = 20, 980  # nodes stay off the border


def draw_nodes(graph) -> str:
    """A figure of all nodes and edges; the nodes' names and what an edge weighs are in it."""
    dag = graph.dag
    level = np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))
    senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
    x = np.rint(LOW + (HIGH - LOW) * level / max(1, dag.n_level - 1)).astype(int)
    y = np.rint(heights(dag, senders)).astype(int)
    shapes = edge_paths(x, y, senders, dag.t_indices, graph.weights)
    shapes += node_marks(graph, x, y)
    told = (
        f"{dag.n_node:,} nodes in {dag.n_level:,} levels from left to right, {dag.n_edge:,} edges; "
        "inputs green, outputs purple, edges of positive weight blue, of negative weight orange"
    )
    return (
        f'<figure class="graph"><figcaption>Every node and edge <small>inputs left; blue edges have positive weights, '
        f'orange negative, strong ones are the largest</small></figcaption><div class="plot"><div></div>'
        f'<div class="area"><svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{plain(told)}">{shapes}</svg>{tags(graph, x, y)}</div></div></figure>\n'
    )


def heights(dag, senders) -> np.ndarray:
    """(n_node,) places from the top: even within a level, in the order of the mean of a node's neighbours."""
    starts = dag.level_start
    y = np.empty(dag.n_node)
    for a, b in pairwise(starts):
        y[a:b] = spread(np.arange(b - a))
    ends = (senders, dag.t_indices), (dag.t_indices, senders)
    for sweep in range(SWEEPS):
        near, far = ends[sweep % 2]  # forward: by the senders of a node; backward: by its receivers
        count = np.bincount(far, minlength=dag.n_node)
        mean = np.bincount(far, y[near], minlength=dag.n_node) / np.maximum(count, 1)
        mean = np.where(count > 0, mean, y)
        for a, b in pairwise(starts):
            if not dag.is_input[a:b].all():  # inputs keep the order of their brains
                y[a:b] = spread(np.argsort(np.argsort(mean[a:b], kind="stable"), kind="stable"))
    return y


def spread(rank) -> np.ndarray:
    """Ranks 0 to n - 1 over the height of the drawing."""
    return LOW + (HIGH - LOW) * (rank + 0.5) / len(rank)


def edge_paths(x, y, senders, receivers, weights) -> str:
    """All edges as six paths: by sign, and by whether a weight is among the largest tenth or third."""
    size = np.abs(np.nan_to_num(weights))
    middle, strong = np.quantile(size, [0.66, 0.9]) if len(size) else (0, 0)
    paths = []
    for strength, chosen in (
        ("faint", size < middle),
        ("middle", (size >= middle) & (size < strong)),
        ("strong", size >= strong),
    ):
        for sign, of_sign in (("plus", weights >= 0), ("minus", ~(weights >= 0))):
            edges = np.flatnonzero(chosen & of_sign)
            a, b = senders[edges], receivers[edges]
            lines = zip(x[a].tolist(), y[a].tolist(), x[b].tolist(), y[b].tolist(), strict=True)
            if len(edges):
                path = "".join(f"M{x0} {y0}L{x1} {y1}" for x0, y0, x1, y1 in lines)
                paths.append(f'<path class="{sign} {strength}" d="{path}"/>')
    return "".join(paths)


def node_marks(graph, x, y) -> str:
    """Nodes as dots, by what they are; those with names tell them under the pointer."""
    dag = graph.dag
    size = " small" if dag.n_node > 150 else ""
    kinds = np.where(dag.is_output == 1, 2, np.where(dag.is_input == 1, 1, 0))
    marks = []
    for kind, name in enumerate(("hidden", "input", "output")):
        nodes = np.flatnonzero(kinds == kind).tolist()
        if graph.names is None:
            path = "".join(f"M{x[node]} {y[node]}h.1" for node in nodes)
            marks.append(f'<path class="node {name}{size}" d="{path}"/>' if nodes else "")
            continue
        for node in nodes:
            title = plain(graph.names[dag.node_order[node]])
            marks.append(f'<path class="node {name}{size}" d="M{x[node]} {y[node]}h.1"><title>{title}</title></path>')
    return "".join(marks)


def tags(graph, x, y) -> str:
    """The nodes' names at both sides where they are few, else those of the brains that own them."""
    parts = []
    for nodes, slices, kind in (
        (graph.dag.inputs, graph.inputs, "tag"),
        (graph.dag.outputs, graph.outputs, "tag from-right"),
    ):
        if graph.names is not None and len(nodes) <= MOST_TAGS:
            found = [(graph.names[graph.dag.node_order[node]], x[node], y[node]) for node in nodes]
        else:
            owned = [(one.name, nodes[one.start : one.stop]) for one in slices[:MOST_TAGS]]
            # only where they stand together at the drawing's side
            end = x.min() if kind == "tag" else x.max()
            found = [(name, end, y[own].mean()) for name, own in owned if len(own) and (x[own] == end).all()]
        for name, left, top in found:
            aside = left + (10 if kind == "tag" else -10)
            parts.append(
                f'<em class="{kind}" style="left:{aside / SIDE:.1%};top:{top / SIDE:.1%}">'
                f"<bdi>{plain(name[:60])}</bdi></em>"
            )
    return "".join(parts)
