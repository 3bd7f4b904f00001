"""A graph in pictures: nodes per level, degrees, weights, and a drawing of it."""

from typing import NamedTuple

import numpy as np

from grapheme_numba.training.pages.charts import bar_chart
from grapheme_numba.training.pages.drawing import draw_nodes
from grapheme_numba.training.pages.flow import draw_flow
from grapheme_numba.training.pages.numbers import compact

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
        bar_chart("Incoming edges of a node", degree_bars(np.diff(dag.indptr)), "number of nodes"),
        bar_chart("Outgoing edges of a node", degree_bars(np.diff(dag.t_indptr)), "number of nodes"),
        bar_chart("Weights", weight_bars(graph.weights), "number of edges"),
    ]
    drawing = draw_nodes(graph) if dag.n_edge <= MOST_DRAWN else draw_flow(graph)
    return f'{drawing}<div class="charts">{"".join(charts)}</div>'


def level_bars(widths) -> list[tuple[str, float, str]]:
    """Nodes of every level; many levels in bands, each with its mean."""
    every = -(-len(widths) // MOST_BARS)
    bars = []
    for first in range(0, len(widths), every):
        band = widths[first : first + every]
        last = first + len(band) - 1
        if every == 1:
            bars.append((str(first), int(band[0]), f"level {first}: {band[0]:,} nodes"))
        else:
            bars.append((str(first), float(band.mean()), f"levels {first} to {last}: {band.mean():,.1f} nodes each"))
    return bars


def degree_bars(degrees) -> list[tuple[str, float, str]]:
    """How many nodes have how many edges: even bins, or bins that double where a few nodes have very many."""
    most = int(degrees.max(initial=0))
    if most > 12 * max(1.0, float(np.median(degrees))) and most > 16:
        edges = np.unique([0, *(2 ** np.arange(most.bit_length() + 1))])
    else:
        edges = np.unique(np.linspace(0, most + 1, min(24, most + 1) + 1).astype(np.int64))
    counts, _ = np.histogram(degrees, edges)
    bars = []
    for low, end, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True):
        span = f"{low:,}" if end - low == 1 else f"{low:,} to {end - 1:,}"
        bars.append((f"{low:,}", count, f"{count:,} nodes with {span} edges"))
    return bars


def weight_bars(weights) -> list[tuple[str, float, str]]:
    """How many weights lie where, over the whole span of the finite ones."""
    weights = weights[:: max(1, -(-len(weights) // MOST_WEIGHTS))]
    weights = weights[np.isfinite(weights)].astype(np.float64)
    if not len(weights) or weights.min() == weights.max():
        return []
    counts, edges = np.histogram(weights, 31)
    return [
        (compact(float(f"{(low + high) / 2:.2g}")), count, f"{count:,} weights from {low:.3g} to {high:.3g}")
        for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    ]
