"""A graph in pictures, as plain data: histograms, every node and edge of a small one, the streams of a large one."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.graph.dag import Dag
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.report.figures import Bar, BarChart
from grapheme_numba.report.numbers import compact, round_step

MOST_DRAWN = 4000  # edges drawn one by one; a larger graph is drawn as streams between its parts
MOST_BARS = 32
MOST_WEIGHTS = 1 << 22  # of a larger network every so many weights make the histogram
MOST_LABELS = 24  # names at one side of a drawing; more would lie on one another
MOST_BANDS = 8  # columns of hidden nodes; more levels share one
CHUNK = 1 << 22  # edges counted at once
SWEEPS = 4  # passes over the levels that put neighbours at like heights; more change little
SIDE = 1000  # a drawing's own coordinates; the page stretches them to any width and height
LOW, HIGH = 20, 980  # nodes stay off the border
LEAST, WIDTH = 5, 16  # of a block: its height, its width
GAP, MOST_GAPS = 46, 500  # between the blocks of a column, so that their names stand free; all of them together
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Slice(NamedTuple):
    """Input or output nodes that belong together: their name and positions among the inputs or outputs."""

    name: str
    start: int
    stop: int


class Graph(NamedTuple):
    """What the pictures need: the arrays of a `Dag`, its weights in sender order, names and slices.

    dag : Dag; weights : (n_edge,) in the order of `dag.t_indices`
    names : the nodes' names by the caller's ids, or None
    inputs, outputs : the slices of the brains; those of one range are one
    """

    dag: Dag
    weights: npt.NDArray[np.floating]
    names: tuple[str, ...] | None
    inputs: list[Slice]
    outputs: list[Slice]


class Shape(NamedTuple):
    """A path of a drawing: its class, its outline, what the pointer shows."""

    kind: str
    path: str
    title: str = ""


class Label(NamedTuple):
    """A text over a drawing at per cent of its width and height."""

    kind: str
    text: str
    left: float
    top: float


class Drawing(NamedTuple):
    """A picture: title and note above it, the same in words, paths on a square of SIDE, texts over it."""

    title: str
    note: str
    words: str
    shapes: list[Shape]
    labels: list[Label]


def graph_of(model: BrainModel) -> Graph:
    """The graph of a model."""
    network = model.dag
    shared: dict[tuple[int, int], list[str]] = {}
    for domain in model.layout.domains:
        shared.setdefault((domain.input_start, domain.input_start + domain.n_input), []).append(domain.name)
    inputs = [Slice(", ".join(names), *owned) for owned, names in sorted(shared.items())]
    outputs = [Slice(d.name, d.output_start, d.output_start + d.n_output) for d in model.layout.domains]
    return Graph(network.dag, network.parameters[: network.n_edge], network.names, inputs, outputs)


def histograms(graph: Graph) -> list[BarChart]:
    """Nodes per level, degrees and weights. Degrees follow from the index pointers, without a pass over the edges."""
    dag = graph.dag
    return [
        BarChart("Nodes per level", level_bars(np.diff(dag.level_start))),
        BarChart("Incoming edges", degree_bars(np.diff(dag.indptr)), "number of nodes"),
        BarChart("Outgoing edges", degree_bars(np.diff(dag.t_indptr)), "number of nodes"),
        BarChart("Weights", weight_bars(graph.weights), "number of edges", at_edge=True),
    ]


def level_bars(widths: npt.NDArray[np.integer]) -> list[Bar]:
    """Nodes of every level; many levels in bands, each with its mean."""
    every = -(-len(widths) // MOST_BARS)
    bars: list[Bar] = []
    for first in range(0, len(widths), every):
        band = widths[first : first + every]
        name = str(first) if len(widths) <= 8 or len(bars) % 5 == 0 else ""
        levels = f"level {first}" if every == 1 else f"levels {first} to {first + len(band) - 1}"
        mean = f"{band[0]:,} nodes" if every == 1 else f"{band.mean():,.1f} nodes each"
        bars.append(Bar(name, float(band.mean()), f"{levels}: {mean}"))
    return bars


def degree_bars(degrees: npt.NDArray[np.integer]) -> list[Bar]:
    """How many nodes have how many edges: even bins, or bins that double where a few nodes have very many."""
    most = int(degrees.max(initial=0))
    doubling = most > 16 and most > 12 * max(1.0, float(np.median(degrees)))
    step = max(1, round(round_step((most + 1) / MOST_BARS)))
    edges = [0, *(2 ** np.arange(most.bit_length() + 1))] if doubling else range(0, most + step + 1, step)
    counts = np.histogram(degrees, np.array(edges))[0].tolist()
    bars = []
    for index, ((low, end), count) in enumerate(zip(pairwise(map(int, edges)), counts, strict=True)):
        span = f"{low:,}" if end - low == 1 else f"{low:,} to {end - 1:,}"
        named = len(counts) <= 8 or index % (2 if doubling else 5) == 0
        bars.append(Bar(compact(low) if named else "", count, f"{count:,} nodes with {span} edges"))
    return bars


def weight_bars(weights: npt.NDArray[np.floating]) -> list[Bar]:
    """How many weights lie where, over the whole span of the finite ones."""
    weights = weights[:: max(1, -(-len(weights) // MOST_WEIGHTS))]
    weights = weights[np.isfinite(weights)].astype(np.float64)
    if not len(weights) or weights.min() == weights.max():
        return []
    step = round_step(float(weights.max() - weights.min()) / MOST_BARS)
    bins = np.floor(weights / step).astype(np.int64)
    bars = []
    for index, count in enumerate(np.bincount(bins - bins.min()).tolist(), int(bins.min())):
        text = f"{count:,} weights from {index * step:.4g} to {(index + 1) * step:.4g}"
        bars.append(Bar(compact(index * step) if index % 5 == 0 else "", count, text))
    return bars


def draw(graph: Graph) -> Drawing:
    """The drawing that suits the graph's size."""
    return draw_nodes(graph) if graph.dag.n_edge <= MOST_DRAWN else draw_streams(graph)


def draw_nodes(graph: Graph) -> Drawing:
    """Every node and edge, levels from left to right; nodes with names show them under the pointer."""
    dag = graph.dag
    level = np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))
    senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
    x = np.rint(LOW + (HIGH - LOW) * level / max(1, dag.n_level - 1)).astype(int)
    y = np.rint(heights(dag, senders)).astype(int)
    shapes = edge_shapes(x, y, senders, dag.t_indices, graph.weights)
    size = " small" if dag.n_node > 150 else ""
    role = np.where(dag.is_output == 1, 2, np.where(dag.is_input == 1, 1, 0))
    for index, kind in enumerate(("hidden", "input", "output")):
        marks = [(node, f"M{x[node]} {y[node]}h.1") for node in np.flatnonzero(role == index).tolist()]
        if graph.names is not None:
            shapes += [Shape(f"node {kind}{size}", path, graph.names[dag.node_order[node]]) for node, path in marks]
        elif marks:
            shapes.append(Shape(f"node {kind}{size}", "".join(path for _, path in marks)))
    return Drawing(
        "Every node and edge",
        "inputs left; blue edges have positive weights, orange negative, strong ones are the largest",
        f"{dag.n_node:,} nodes in {dag.n_level:,} levels from left to right, {dag.n_edge:,} edges; inputs green, "
        "outputs purple, edges of positive weight blue, of negative weight orange",
        shapes,
        node_labels(graph, x, y),
    )


def heights(dag: Dag, senders: Ints) -> Floats:
    """(n_node,) places from the top: even within a level, in the order of the mean of a node's neighbours.

    The barycentre heuristic of Sugiyama, Tagawa and Toda (1981).
    """
    y = np.empty(dag.n_node)
    order: npt.NDArray[np.int64] = np.arange(dag.n_node)
    mean: Floats = order.astype(float)
    for sweep in range(SWEEPS + 1):
        for a, b in pairwise(dag.level_start):
            # inputs and outputs keep the order of their brains
            if sweep == 0 or not (dag.is_input[a:b].all() or dag.is_output[a:b].all()):
                rank = np.argsort(np.argsort(mean[a:b], kind="stable"), kind="stable")
                y[a:b] = LOW + (HIGH - LOW) * (rank + 0.5) / (b - a)
        near, far = ((senders, dag.t_indices), (dag.t_indices, senders))[sweep % 2]  # forward, then backward
        count = np.bincount(far, minlength=dag.n_node)
        mean = np.where(count > 0, np.bincount(far, y[near], minlength=dag.n_node) / np.maximum(count, 1), y)
    return y


def edge_shapes(
    x: Ints, y: Ints, senders: Ints, receivers: npt.NDArray[np.int32], weights: npt.NDArray[np.floating]
) -> list[Shape]:
    """All edges as six paths: by sign, and by whether a weight is among the largest tenth or third."""
    size = np.abs(np.nan_to_num(weights))
    middle, strong = np.quantile(size, [0.66, 0.9]) if len(size) else (0, 0)
    strength = (size >= middle).astype(int) + (size >= strong)
    shapes = []
    for index, name in enumerate(("faint", "middle", "strong")):
        for sign, chosen in (("plus", weights >= 0), ("minus", ~(weights >= 0))):
            edges = np.flatnonzero((strength == index) & chosen)
            ends = np.stack([x[senders[edges]], y[senders[edges]], x[receivers[edges]], y[receivers[edges]]], 1)
            if len(edges):
                shapes.append(Shape(f"{sign} {name}", "".join("M{} {}L{} {}".format(*end) for end in ends.tolist())))
    return shapes


def node_labels(graph: Graph, x: Ints, y: Ints) -> list[Label]:
    """The nodes' names at both sides where they are few, else those of the brains that own them."""
    dag, labels = graph.dag, []
    for nodes, slices, kind in ((dag.inputs, graph.inputs, "tag"), (dag.outputs, graph.outputs, "tag from-right")):
        if graph.names is not None and len(nodes) <= MOST_LABELS:
            places = [(graph.names[dag.node_order[node]], x[node], y[node]) for node in nodes]
        else:
            owned = [(one.name, nodes[one.start : one.stop]) for one in slices[:MOST_LABELS]]
            # only where they stand together at the drawing's side
            end = x.min() if kind == "tag" else x.max()
            places = [(name, end, y[own].mean()) for name, own in owned if len(own) and (x[own] == end).all()]
        aside = 10 if kind == "tag" else -10
        labels += [Label(kind, name[:60], (left + aside) / 10, float(top) / 10) for name, left, top in places]
    return labels


class Block(NamedTuple):
    """Nodes drawn as one: name, column from the left, class of the style, number of nodes."""

    name: str
    column: int
    kind: str
    n_node: int


def draw_streams(graph: Graph) -> Drawing:
    """Blocks and streams between them, as high as they have edges."""
    blocks, block_of = blocks_of(graph)
    counts = edge_counts(graph.dag, block_of, len(blocks))
    tops, sizes, per_edge = places(blocks, counts)
    last = max(block.column for block in blocks)
    x = [round((SIDE - WIDTH) * block.column / last) for block in blocks]
    shapes, words, sent, taken = [], [], tops.copy(), tops.copy()
    for a, b in zip(*map(np.ndarray.tolist, np.nonzero(counts)), strict=True):
        words.append(f"{blocks[a].name} to {blocks[b].name}: {counts[a, b]:,} edges")
        if x[a] < x[b]:
            high, x0, y0, y1 = counts[a, b] * per_edge, x[a] + WIDTH, sent[a], taken[b]
            middle = (x0 + x[b]) // 2
            upper = f"M{x0} {y0:.1f}C{middle} {y0:.1f} {middle} {y1:.1f} {x[b]} {y1:.1f}V{y1 + high:.1f}"
            lower = f"C{middle} {y1 + high:.1f} {middle} {y0 + high:.1f} {x0} {y0 + high:.1f}Z"
            shapes.append(Shape("ribbon", upper + lower, words[-1]))
            sent[a] += high
            taken[b] += high
    for i, block in enumerate(blocks):
        path = f"M{x[i]} {tops[i]:.0f}h{WIDTH}v{sizes[i]:.0f}h-{WIDTH}z"
        degrees = f"{counts[:, i].sum():,} edges in, {counts[i].sum():,} out"
        shapes.append(Shape(f"block {block.kind}", path, f"{block.name}: {block.n_node:,} nodes, {degrees}"))
    inside = int(np.trace(counts))
    note = "as high as they have edges" + (f"; {inside:,} edges within a part are left out" if inside else "")
    labels = block_labels(blocks, x, tops + sizes / 2)
    return Drawing("Edges between the parts", note, f"Streams of edges. {'; '.join(words)[:1500]}", shapes, labels)


def blocks_of(graph: Graph) -> tuple[list[Block], npt.NDArray[np.int16]]:
    """The blocks from left to right and each internal node's block: (n_node,)."""
    dag = graph.dag
    level = np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))
    block_of = np.full(dag.n_node, -1, np.int16)
    hidden = (dag.is_input == 0) & (dag.is_output == 0)
    levels = np.unique(level[hidden])
    bands = [band for band in np.array_split(levels, min(MOST_BANDS, max(1, len(levels)))) if len(band)]
    names = [f"level {band[0]}" if len(band) == 1 else f"levels {band[0]}–{band[-1]}" for band in bands]
    parts: list[tuple[str, int, str, npt.NDArray[np.int32] | npt.NDArray[np.intp]]] = [
        (f"{one.name} inputs", 0, "input", dag.inputs[one.start : one.stop]) for one in graph.inputs
    ]
    for column, (name, band) in enumerate(zip(names, bands, strict=True), 1):
        parts.append((name, column, "", np.flatnonzero(hidden & (level >= band[0]) & (level <= band[-1]))))
    end = len(bands) + 1
    parts += [(f"{one.name} outputs", end, "output", dag.outputs[one.start : one.stop]) for one in graph.outputs]
    parts.append(("inputs and outputs of no brain", 0, "input", np.flatnonzero(~hidden)))
    blocks: list[Block] = []
    for name, column, kind, nodes in parts:
        nodes = nodes[block_of[nodes] < 0]  # a node that is input and output is drawn as an input
        if len(nodes):
            block_of[nodes] = len(blocks)
            blocks.append(Block(name, column, kind, len(nodes)))
    return blocks, block_of


def edge_counts(dag: Dag, block_of: npt.NDArray[np.int16], n_block: int) -> Ints:
    """(n_block, n_block) edges from block to block, counted in chunks of senders to bound memory."""
    counts = np.zeros(n_block * n_block, np.int64)
    cuts = [*np.searchsorted(dag.t_indptr, np.arange(0, dag.n_edge, CHUNK)).tolist(), dag.n_node]
    for first, last in pairwise(cuts):
        if last > first:
            sender = np.repeat(block_of[first:last].astype(np.int64), np.diff(dag.t_indptr[first : last + 1]))
            receiver = block_of[dag.t_indices[dag.t_indptr[first] : dag.t_indptr[last]]]
            counts += np.bincount(sender * n_block + receiver, minlength=len(counts))
    return counts.reshape(n_block, n_block)


def places(blocks: list[Block], counts: Ints) -> tuple[Floats, Floats, float]:
    """Top and height of every block, and the height of an edge: the fullest column fills the drawing."""
    edges = np.maximum(counts.sum(axis=0), counts.sum(axis=1)).astype(float)
    columns = [[i for i, block in enumerate(blocks) if block.column == c] for c in {b.column for b in blocks}]
    gap = min(GAP, MOST_GAPS / max(map(len, columns)))
    free = [SIDE - gap * (len(column) - 1) - LEAST * len(column) for column in columns]
    per_edge = max(0.0, min(room / max(1.0, edges[column].sum()) for room, column in zip(free, columns, strict=True)))
    sizes, tops = LEAST + edges * per_edge, np.zeros(len(blocks))
    for column in columns:
        steps = sizes[column] + gap
        tops[column] = (SIDE + gap - steps.sum()) / 2 + np.cumsum(steps) - steps
    return tops, sizes, per_edge


def block_labels(blocks: list[Block], x: list[int], middles: Floats) -> list[Label]:
    """Names: of a brain's block beside it, of a level's above it, with the number of nodes below."""
    last = max(block.column for block in blocks)
    inner = [column for column in range(1, last) if 0.2 <= column / last <= 0.8]
    named = inner[:: -(-len(inner) // 3)]  # a phone has room for three names between those at the sides
    labels = []
    for block, left, middle in zip(blocks, x, middles.tolist(), strict=True):
        if block.column in (0, last):
            kind, place = ("tag", left + WIDTH + 6) if block.column == 0 else ("tag from-right", left - 6)
            name = block.name.removesuffix(" inputs").removesuffix(" outputs")
            labels.append(Label(kind, name[:60], place / 10, middle / 10))
        elif block.column in named:
            centre = (left + WIDTH / 2) / 10
            labels += [
                Label("head centred", block.name, centre, 0),
                Label("foot centred", f"{block.n_node:,} nodes", centre, 100),
            ]
    for column, word, kind, left in ((0, "inputs", "", 0), (last, "outputs", " from-right", 100)):
        n = sum(block.n_node for block in blocks if block.column == column)
        labels += [Label(f"head{kind}", word, left, 0), Label(f"foot{kind}", f"{n:,}", left, 100)]
    return labels
