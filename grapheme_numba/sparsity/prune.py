"""Magnitude pruning: networks with fewer edges, and without the nodes that no output depends on.

Gradual magnitude pruning (Zhu and Gupta 2017): train many edges, keep the few that turn out to matter.

Training begins with all edges and loses the smallest weights a few at a time, fast at first and slowly at the
end, so that the rest makes up for each loss. On scikit-learn's digits, five folds in order, 740 edges left of 7,400
are right in 94.6 %, all 7,400 in 94.4 %, 738 drawn at random in 92.7 %, replaced by SET in 93.7 %, by RigL in 94.0 %
(`benchmarks/accuracy.py`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast, overload

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import is_number, shown
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.named import NamedGraph, named_graph
from grapheme_numba.kernels.graph import topology
from grapheme_numba.kernels.sparsity import drop_and_grow
from grapheme_numba.network.dagnn import SETTINGS, DagNN
from grapheme_numba.network.parameters import checked_network

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Part(NamedTuple):
    """A smaller network, and what it kept of the larger one.

    dag : DagNN
    edges : (n_edge of the larger,) bool, in the caller's order
    nodes : (n_node of the larger,) bool, by the caller's ids
    """

    dag: DagNN
    edges: Mask
    nodes: Mask

    def vector(self, flat: Array) -> Array:
        """Those entries of a flat vector (weights then biases) of the larger network that belong to the smaller.

        Both in the caller's order.
        """
        kept: Array = np.asarray(flat)[np.concatenate([self.edges, self.nodes])]
        return kept


@overload
def prune(dag: DagNN, density: float, moments: None = ...) -> DagNN: ...
@overload
def prune(dag: DagNN, density: float, moments: Sequence[Array]) -> tuple[DagNN, tuple[Array, ...]]: ...
def prune(
    dag: DagNN, density: float, moments: Sequence[Array] | None = None
) -> DagNN | tuple[DagNN, tuple[Array, ...]]:
    """A network with the share `density` of the edges: those with the largest weights. No node is cut off.

    `dag` stays as it is. Every node keeps its aggregation and its strongest incoming edge, so a very small share
    keeps more.

    Parameters
    ----------
    dag : DagNN
    density : float
        Share of the edges that stays, in (0, 1].
    moments : sequence of arrays (n_edge + n_node,), optional
        Of an optimiser, weights then biases in the caller's order (`dag.to_caller_order`).

    Returns
    -------
    DagNN, or with `moments` (DagNN, tuple of arrays)
        With the same nodes, names, weights, biases and settings.
    """
    checked_network(dag)
    if not is_number(density, 0, 1) or density == 0:
        raise UsageError(f"density is {shown(density)}; give a share above 0 and at most 1")
    part = part_of(dag, edges_to_keep(dag, round(density * dag.n_edge)), np.ones(dag.n_node, bool))
    return part.dag if moments is None else (part.dag, tuple(part.vector(moment) for moment in moments))


def without_dead_nodes(dag: DagNN) -> DagNN:
    """A network with the same outputs, without the nodes that no output depends on. Inputs stay.

    Returns
    -------
    DagNN
    """
    return part_of(dag, np.ones(dag.n_edge, bool), living_nodes(dag)).dag


def edges_to_keep(dag: DagNN, n_kept: int) -> Mask:
    """(n_edge,) bool in the caller's order: the `n_kept` edges with the largest weights, and every node's largest."""
    keep = np.empty(dag.n_edge, bool)
    keep[dag.dag.edge_order] = ~smallest_edges(dag, dag.n_edge - n_kept)
    return keep


def living_nodes(dag: DagNN) -> Mask:
    """(n_node,) bool by the caller's ids: inputs, and nodes that an output depends on."""
    reached = dag.dag.is_output.copy()
    drop_and_grow.reach_backwards(dag.dag.indptr, dag.dag.indices, reached)
    keep = np.empty(dag.n_node, bool)
    keep[dag.dag.node_order] = (reached | dag.dag.is_input).astype(bool)
    return keep


def part_of(dag: DagNN, edges: Mask, nodes: Mask) -> Part:
    """The network of the kept edges and nodes, with its names, weights and biases.

    Parameters
    ----------
    dag : DagNN
    edges : (n_edge,) bool
        In the caller's order; edges of nodes that go, go too.
    nodes : (n_node,) bool
        By the caller's ids; inputs and outputs have to stay.

    Returns
    -------
    Part
    """
    graph = NamedGraph.of(dag)
    # A network always has what a graph may lack.
    weights, biases = cast(Array, graph.weights), cast(Array, graph.biases)
    activations = cast(tuple[str, ...], graph.activations)
    # An edge between inputs may stay behind: it changes nothing that is read, and costs what it costs.
    edges = edges & nodes[graph.senders] & nodes[graph.receivers]
    number = np.cumsum(nodes) - 1
    smaller = named_graph(
        number[graph.senders[edges]], number[graph.receivers[edges]],
        [name for name, kept in zip(graph.names, nodes, strict=True) if kept], weights=weights[edges],
        inputs=number[graph.inputs], outputs=number[graph.outputs],
        activations=[name for name, kept in zip(activations, nodes, strict=True) if kept],
        biases=biases[nodes],
        aggregations=None
        if graph.aggregations is None
        else [kind for kind, kept in zip(graph.aggregations, nodes, strict=True) if kept],
    )  # fmt: skip
    result = type(dag).from_graph(smaller, dtype=dag.precision)
    result.names = smaller.names if dag.names is not None else None
    _keep_settings(dag, result)
    return Part(result, edges, nodes)


def _keep_settings(dag: DagNN, result: DagNN) -> None:
    for name in SETTINGS:
        setattr(result, name, getattr(dag, name))


def smallest_edges(dag: DagNN, n_wanted: int) -> Mask:
    """A mask (n_edge,) of the `n_wanted` edges of smallest weight, without the strongest of any receiver.

    It stands in internal order.
    """
    dropped = np.zeros(dag.n_edge, bool)
    sizes = np.abs(dag.parameters[: dag.n_edge], dtype=np.float32, casting="same_kind").view(np.uint32)
    drop_and_grow.choose_smallest(sizes, dag.dag.t_indices, dag.n_node, n_wanted, dropped)
    return dropped


BEGIN, END = 0.1, 0.6  # of training: before, weights find their size; after, those that stay settle


def edges_left(progress: float, n_edge: int, density: float) -> int:
    """How many of `n_edge` edges remain when the share `progress` of training is done.

    Parameters
    ----------
    progress : float
        From 0 to 1.
    n_edge : int
    density : float
        What remains in the end, in (0, 1].

    Returns
    -------
    int
        At least 1.
    """
    last = max(1, round(density * n_edge))
    gone = min(1.0, max(0.0, (progress - BEGIN) / (END - BEGIN)))
    return last + round((n_edge - last) * (1 - gone) ** 3)


def prune_to(dag: DagNN, n_edge: int, moments: Sequence[Array] = ()) -> tuple[DagNN, tuple[Array, ...]]:
    """A network with at most `n_edge` edges, and the moments that belong to them.

    The smallest weights go. Edges to nodes that no output depends on any more go with them, and no node that
    still matters loses its last incoming edge (a network cannot get smaller than that).

    Parameters
    ----------
    dag : DagNN
    n_edge : int
    moments : sequence of ndarray (n_edge + n_node,)
        Flat vectors of an optimiser for this DAG, in internal order as trainers have them.

    Returns
    -------
    dag : DagNN
        With the same nodes, names and biases; `dag` itself where it has no more than `n_edge` edges.
    moments : tuple of ndarray
    """
    if n_edge < 1:
        raise UsageError(f"n_edge is {n_edge}; a network needs at least one edge")
    if dag.n_edge <= n_edge:
        return dag, tuple(moments)
    keep = np.empty(dag.n_edge, bool)
    keep[dag.dag.edge_order] = _kept(dag, n_edge)
    return with_edges(dag, keep, moments)


def with_edges(dag: DagNN, keep: Mask, moments: Sequence[Array] = ()) -> tuple[DagNN, tuple[Array, ...]]:
    """A network of all nodes and some edges, and the moments that belong to them.

    Parameters
    ----------
    dag : DagNN
    keep : (n_edge,) bool
        In the caller's order.
    moments : sequence of ndarray (n_edge + n_node,)
        In internal order, as those that are returned.
    """
    arrays = dag.topology()
    for end in ("senders", "receivers"):
        arrays[end] = arrays[end][keep]
    kept = np.concatenate([keep, np.ones(dag.n_node, bool)])
    flat = dag.to_caller_order(dag.parameters)[kept]
    split = len(arrays["senders"])
    new = type(dag).from_topology(arrays, dtype=dag.precision, weights=flat[:split], biases=flat[split:])
    _keep_settings(dag, new)
    return new, tuple(new.from_caller_order(dag.to_caller_order(moment)[kept]) for moment in moments)


def _kept(dag: DagNN, n_edge: int) -> Mask:
    """Which edges (n_edge_before,) stay, by internal position."""
    inside = dag.dag
    senders, receivers = np.empty(dag.n_edge, np.int32), inside.t_indices
    topology.rows_of(inside.t_indptr, senders)
    size = np.abs(dag.parameters[: dag.n_edge])
    # Ties go by position, so the result is a function of the weights alone. (`choose_smallest` compares in float32
    # and would take other edges of float64 networks, the estimators', where two weights differ by less.)
    ascending = np.argsort(size, kind="stable")
    keep, is_input = np.ones(dag.n_edge, bool), inside.is_input.astype(bool)
    while True:
        # Half of the surplus at a time: nodes that die take their edges along, which counts.
        wanted = (int(keep.sum()) - n_edge + 1) // 2
        dropped = np.zeros(dag.n_edge, bool)
        if wanted > 0:
            in_degree = np.bincount(receivers[keep], minlength=dag.n_node)
            drop_and_grow.choose_dropped(ascending[keep[ascending]], receivers, in_degree, wanted, dropped)
        keep &= ~dropped
        listened_to = inside.is_output.astype(bool) | (np.bincount(senders[keep], minlength=dag.n_node) > 0)
        dead = keep & (is_input | ~listened_to)[receivers]  # an input is what it is given
        keep &= ~dead
        if not dropped.any() and not dead.any():
            return keep
