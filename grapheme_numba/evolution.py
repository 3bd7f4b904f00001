"""Topology that learns: edges move while training goes on, are pruned away, and dead nodes go.

`evolve` keeps the number of edges, so parameter vectors keep their length and a training loop goes on.
`prune` and `without_dead_nodes` give a smaller network.
"""

import warnings

import numpy as np

from grapheme_numba.errors import UsageError
from grapheme_numba.graph.named import NamedGraph, named_graph
from grapheme_numba.kernels import evolve as kernels
from grapheme_numba.kernels import topology

METHODS = ("set", "rigl")
# RigL looks at every absent edge; a sample of them costs as much as a few edges each.
CANDIDATES_PER_EDGE = 16


def evolve(dag, method, fraction, seed, moments=()):
    """Move the share `fraction` of the edges with the smallest weights to other places, in place.

    New edges join the same pairs of levels as the lost ones, so the graph stays acyclic and layers stay
    layers. They have the weight, the gradient and the moments 0, and stand in the caller's edge order where
    the lost ones stood. No node loses its last incoming edge.

    Parameters
    ----------
    dag : DagNN
    method : "set" or "rigl"
        Random places (Mocanu et al. 2018), or those with the largest gradient in the latest backward pass
        among `CANDIDATES_PER_EDGE` random ones per edge (after Evci et al. 2020, who look at all).
    fraction : float
        Of the edges, in (0, 1).
    seed : int or sequence of int
        What decides the draws, as (run's seed, step).
    moments : sequence of ndarray
        Flat vectors of an optimiser that begin with the n_edge + n_node entries of this DAG; kept in step.

    Returns
    -------
    int
        How many edges moved.

    Raises
    ------
    UsageError
        For an unknown method or a fraction that is none.
    ShapeError
        "rigl" without a backward pass.
    """
    if method not in METHODS or not 0.0 < fraction < 1.0:
        raise UsageError(
            f"the evolution is {method!r} with the fraction {fraction!r}; choose one of {', '.join(METHODS)} "
            "and a fraction between 0 and 1"
        )
    if method == "rigl":
        dag._check_forward()
    old, n_edge = dag.dag, dag.n_edge
    senders = np.empty(n_edge, np.int32)
    topology.rows_of(old.t_indptr, senders)
    lost = _smallest(dag.parameters[:n_edge], old, round(fraction * n_edge))
    if not lost.size:
        return 0
    level = np.repeat(np.arange(dag.n_level, dtype=np.int32), np.diff(old.level_start))
    pairs = np.stack([level[senders[lost]], level[old.t_indices[lost]]], axis=1)
    new_senders, new_receivers = _candidates(dag, pairs, seed, CANDIDATES_PER_EDGE if method == "rigl" else 2)
    if method == "rigl":
        score = np.empty(len(new_senders))
        kernels.would_be_gradients(dag._tiles.activations, dag._tiles.deltas, new_senders, new_receivers, score)
        best = np.argsort(-np.abs(score), kind="stable")[: lost.size]
        new_senders, new_receivers = new_senders[best], new_receivers[best]
    moved = lost[: len(new_senders)]
    new_senders, new_receivers = new_senders[: len(moved)], new_receivers[: len(moved)]
    arrays = dag.topology()
    slots = old.edge_order[moved]
    arrays["senders"][slots], arrays["receivers"][slots] = old.node_order[new_senders], old.node_order[new_receivers]
    _adopt(dag, arrays, slots, moments)
    return len(moved)


def prune(dag, density):
    """A network with the share `density` of the edges: those with the largest weights. No node is cut off.

    Parameters
    ----------
    dag : DagNN
    density : float
        In (0, 1].

    Returns
    -------
    DagNN
        With the same nodes, names, weights and biases.
    """
    if not 0.0 < density <= 1.0:
        raise UsageError(f"density is {density!r}; give a share above 0 and at most 1")
    keep = np.ones(dag.n_edge, bool)
    lost = _smallest(dag.parameters[: dag.n_edge], dag.dag, round((1 - density) * dag.n_edge))
    keep[dag.dag.edge_order[lost]] = False
    graph = NamedGraph.of(dag)
    kept = graph._replace(senders=graph.senders[keep], receivers=graph.receivers[keep], weights=graph.weights[keep])
    return _network_of(dag, kept)


def without_dead_nodes(dag):
    """A network with the same outputs, without the nodes that no output depends on. Inputs stay.

    Returns
    -------
    DagNN
    """
    alive = dag.dag.is_output | dag.dag.is_input
    reached = dag.dag.is_output.copy()
    kernels.reach_backwards(dag.dag.indptr, dag.dag.indices, reached)
    keep = np.empty(dag.n_node, bool)
    keep[dag.dag.node_order] = (alive | reached).astype(bool)
    number = np.cumsum(keep) - 1
    graph = NamedGraph.of(dag)
    # An edge between inputs may stay behind: it changes nothing that is read, and costs what it costs.
    edges = keep[graph.senders] & keep[graph.receivers]
    names = [name for name, kept in zip(graph.names, keep, strict=True) if kept]
    smaller = named_graph(
        number[graph.senders[edges]], number[graph.receivers[edges]], names, weights=graph.weights[edges],
        inputs=number[graph.inputs], outputs=number[graph.outputs],
        activations=[name for name, kept in zip(graph.activations, keep, strict=True) if kept],
        biases=graph.biases[keep],
    )  # fmt: skip
    return _network_of(dag, smaller)


def _network_of(dag, graph):
    result = type(dag).from_graph(graph, dtype=dag.dtype)
    result.names = graph.names if dag.names is not None else None
    return result


def _smallest(weights, old, n_wanted):
    """Internal positions of the `n_wanted` edges of smallest magnitude, without the last edge of any node."""
    lost = np.zeros(len(weights), bool)
    size = np.abs(weights)
    # Ties go by position, so the result is a function of the weights alone.
    ascending = np.argsort(size, kind="stable")
    kernels.choose_lost(ascending, old.t_indices, np.diff(old.indptr), n_wanted, lost)
    return np.flatnonzero(lost)


def _candidates(dag, pairs, seed, n_per_edge):
    """Different absent edges (senders, receivers), internal ids, in the order they were drawn."""
    state = np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)
    senders, receivers = np.empty((2, len(pairs) * n_per_edge), np.int32)
    found = kernels.draw_candidates(dag.dag, pairs, state, senders, receivers)
    senders, receivers = senders[:found], receivers[:found]
    _, first = np.unique(senders.astype(np.int64) * dag.n_node + receivers, return_index=True)
    first.sort()
    return senders[first], receivers[first]


def _adopt(dag, arrays, slots, moments):
    """Give `dag` the edges of `arrays`; parameters, gradients and moments follow, with 0 in `slots`."""
    size = dag.n_edge + dag.n_node
    vectors = [dag.parameters, dag.gradients, *(moment[:size] for moment in moments)]
    in_caller_order = [dag.to_caller_order(vector) for vector in vectors]
    with warnings.catch_warnings():
        # An output may lose its inputs for a while; that is part of the search, not a mistake in the graph.
        warnings.filterwarnings("ignore", message=".*cannot be reached from any input")
        new = type(dag).from_topology(arrays, dtype=dag.dtype, init="zero")
    for vector, values in zip(vectors, in_caller_order, strict=True):
        values[slots] = 0
        vector[:] = new.from_caller_order(values)
    kept = {name: getattr(dag, name) for name in ("parameters", "gradients", "names", "requires_grad")}
    dag.__dict__.update({**new.__dict__, **kept})
    dag.parameters_changed()
