"""A graph in pictures: nodes per level, degrees, weights, and a drawing of it."""

from typing import NamedTuple

import numpy as np

from grapheme_numba.report.pages.axes import round_step
from grapheme_numba.report.pages.charts import Bar, bar_chart
from grapheme_numba.report.pages.drawing import draw_nodes
from grapheme_numba.report.pages.flow import draw_flow
from grapheme_numba.report.pages.numbers import compact

MOST_DRAWN = 4000  # edges drawn one by one; a larger graph is drawn as streams between its parts
MOST_BARS = 32
MOST_WEIGHTS = 1 << 22  # of a larger network every so many weights make the histogram


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

    dag: object
    weights: np.ndarray
    names: tuple[str, ...] | None
    inputs: list[Slice]
    outputs: list[Slice]


def graph_of(model) -> Graph:
    """The graph of a BrainModel."""
    network, shared = model.dag, {}
    for domain in model.layout.domains:
        shared.setdefault((domain.input_start, domain.input_start + domain.n_input), []).append(domain.name)
    inputs = [Slice(", ".join(names), *owned) for owned, names in sorted(shared.items())]
    outputs = [Slice(d.name, d.output_start, d.output_start + d.n_output) for d in model.layout.domains]
    return Graph(network.dag, network.parameters[: network.n_edge], network.names, inputs, outputs)


def topology_charts(graph: Graph) -> str:
    """The drawing above, the histograms below."""
    dag = graph.dag
    widths = np.diff(dag.level_start)
    # Degrees follow from the two index pointers: no pass over the edges, however many there are.
    charts = [
        bar_chart("Nodes per level", level_bars(widths)),
        bar_chart("Incoming edges", degree_bars(np.diff(dag.indptr)), "number of nodes"),
        bar_chart("Outgoing edges", degree_bars(np.diff(dag.t_indptr)), "number of nodes"),
        bar_chart("Weights", weight_bars(graph.weights), "number of edges", at=0.0),
    ]
    drawing = draw_nodes(graph) if dag.n_edge <= MOST_DRAWN else draw_flow(graph)
    return f'{drawing}<div class="charts four">{"".join(charts)}</div>'


def level_bars(widths) -> list[Bar]:
    """Nodes of every level; many levels in bands, each with its mean."""
    every = -(-len(widths) // MOST_BARS)
    bars = []
    for first in range(0, len(widths), every):
        band = widths[first : first + every]
        name = str(first) if len(widths) <= 8 or len(bars) % 5 == 0 else ""
        if every == 1:
            bars.append(Bar(name, int(band[0]), f"level {first}: {band[0]:,} nodes"))
        else:
            last = first + len(band) - 1
            bars.append(Bar(name, float(band.mean()), f"levels {first} to {last}: {band.mean():,.1f} nodes each"))
    return bars


def degree_bars(degrees) -> list[Bar]:
    """How many nodes have how many edges: even bins, or bins that double where a few nodes have very many."""
    most = int(degrees.max(initial=0))
    doubling = most > 16 and most > 12 * max(1.0, float(np.median(degrees)))
    if doubling:
        edges = np.array([0, *(2 ** np.arange(most.bit_length() + 1))])
    else:
        step = max(1, round(round_step((most + 1) / MOST_BARS)))
        edges = np.arange(0, most + step + 1, step)
    counts, _ = np.histogram(degrees, edges)
    bars = []
    for index, (low, end, count) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist())):
        span = f"{low:,}" if end - low == 1 else f"{low:,} to {end - 1:,}"
        named = len(counts) <= 8 or index % (2 if doubling else 5) == 0
        bars.append(Bar(compact(low) if named else "", count, f"{count:,} nodes with {span} edges"))
    return bars


def weight_bars(weights) -> list[Bar]:
    """How many weights lie where, over the whole span of the finite ones."""
    weights = weights[:: max(1, -(-len(weights) // MOST_WEIGHTS))]
    weights = weights[np.isfinite(weights)].astype(np.float64)
    if not len(weights) or weights.min() == weights.max():
        return []
    step = round_step((weights.max() - weights.min()) / MOST_BARS)
    first, last = int(np.floor(weights.min() / step)), int(np.floor(weights.max() / step))
    counts = np.bincount((np.floor(weights / step) - first).astype(np.int64), minlength=last - first + 1)
    return [
        Bar(
            compact((first + index) * step) if (first + index) % 5 == 0 else "",
            count,
            f"{count:,} weights from {(first + index) * step:.4g} to {(first + index + 1) * step:.4g}",
        )
        for index, count in enumerate(counts.tolist())
    ]
