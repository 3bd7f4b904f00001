"""The null model of a topology: the same degrees, otherwise random."""

from typing import Any

import numpy as np

from grapheme_numba import randomness
from grapheme_numba.graph.formats.dispatch import load_graph
from grapheme_numba.graph.levels import levels_of
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.kernels.graph import random_edges

TRIES_PER_EDGE = 20


def rewire(source: Any, seed: int = 0) -> Any:
    """A random graph in which every node has the in-degree and the out-degree it has in `source`.

    Pairs of edges exchange their receivers, `TRIES_PER_EDGE` times per edge, wherever no edge is repeated
    and every edge still goes from a lower to a higher level of `source`: so it stays acyclic and gets no
    deeper. (With any topological order instead of the levels, a net of 3 layers became 124 levels deep.)
    A weight stays with its sender.

    Parameters
    ----------
    source : NamedGraph, DagNN, or anything `load_graph` reads
    seed : int

    Returns
    -------
    NamedGraph, or DagNN for a DagNN
    """
    graph = load_graph(source)
    state = np.random.SeedSequence(randomness.checked(seed)).generate_state(1, np.uint64) | np.uint64(1)
    receivers = graph.receivers.copy()
    if graph.n_edge > 1:
        rank = levels_of(graph.senders, graph.receivers, graph.n_node)
        random_edges.swap_receivers(graph.senders, rank, state, TRIES_PER_EDGE * graph.n_edge, receivers)
    graph = graph._replace(receivers=receivers)
    is_network = not isinstance(source, NamedGraph) and hasattr(type(source), "from_graph")
    return type(source).from_graph(graph, dtype=source.dtype) if is_network else graph
