"""Topology that learns: edges move while training goes on.

The number of edges stays, so parameter vectors keep their length and a training loop goes on. Nodes keep
their internal order: `in_order` gives it back to a network that is built from a checkpoint.
"""

from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import GraphError, ShapeError, UsageError
from grapheme_numba.kernels.graph import topology
from grapheme_numba.kernels.sparsity import drop_and_grow
from grapheme_numba.kernels.sparsity import drop_and_grow as kernels
from grapheme_numba.network import execution_plan
from grapheme_numba.network.receiver_weights import ReceiverWeights
from grapheme_numba.network.workspace import Workspace
from grapheme_numba.sparsity.prune import prune, smallest_edges, without_dead_nodes

__all__ = ["METHODS", "Move", "evolve", "in_order", "move", "propose", "prune", "take_up", "without_dead_nodes"]

METHODS = ("set", "rigl")
ROUNDS = 8  # of drawing again where two edges want one place; what is left then stays where it is
EDGE_FIELDS = ("indptr", "indices", "t_indptr", "t_indices", "edge_order")


class Move(NamedTuple):
    """Edges that leave their places for others.

    lost : (n,) int64, internal positions of the edges
    senders, receivers : (n,) int32, internal numbers of the nodes that they join next, ascending
    """

    lost: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray


def evolve(dag, method, fraction, seed, moments=()):
    """Move the share `fraction` of the edges with the smallest weights to other places, in place.

    New edges join the same pairs of levels as the lost ones, so the graph stays acyclic and layers stay
    layers. They have the weight, the gradient and the moments 0, and stand in the caller's edge order where
    the lost ones stood. No node loses its strongest incoming edge.

    Parameters
    ----------
    dag : DagNN
    method : "set" or "rigl"
        Random places (Mocanu et al. 2018), or for each edge that of 16 random ones with the largest gradient
        in the latest backward pass (after Evci et al. 2020, who look at all).
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
    change = propose(dag, method, fraction, seed)
    move(dag, change, moments)
    return len(change.lost)


def propose(dag, method, fraction, seed):
    """The `Move` that `evolve` would make with these arguments; nothing is changed."""
    if method not in METHODS or not 0.0 < fraction < 1.0:
        raise UsageError(
            f"the evolution is {method!r} with the fraction {fraction!r}; choose one of {', '.join(METHODS)} "
            "and a fraction between 0 and 1"
        )
    if method == "rigl":
        dag._check_forward()
        if dag._tiles.deltas.shape != dag._tiles.activations.shape:
            raise ShapeError("RigL reads every node's delta; set keeps_deltas = True before backward_accumulate")
    old, n_edge = dag.dag, dag.n_edge
    gone = smallest_edges(dag, round(fraction * n_edge))
    lost = np.empty(np.count_nonzero(gone), np.int64)
    levels = np.empty((lost.size, 2), np.int32)
    level = np.repeat(np.arange(dag.n_level, dtype=np.int32), np.diff(old.level_start))
    drop_and_grow.list_lost(old, gone, level, lost, levels)
    key = np.random.SeedSequence(seed).generate_state(2, np.uint32).astype(np.uint64)
    draws = kernels.Draws(key, levels)
    senders, receivers = np.empty(lost.size, np.int32), np.empty(lost.size, np.int32)
    if method == "rigl":
        kernels.best_edges(old, draws, dag._tiles.activations, dag._tiles.deltas, senders, receivers)
    else:
        kernels.draw_edges(old, draws, senders, receivers)
    for attempt in range(1, ROUNDS):
        placed = senders >= 0
        if not placed.all():
            lost, senders, receivers = lost[placed], senders[placed], receivers[placed]
            draws = draws._replace(levels=draws.levels[placed])
        order = _by_sender(senders, receivers, dag.n_node)
        attempts = np.array([attempt, attempt + 1]) * kernels.TRIES
        if not kernels.redraw_repeats(old, draws, order, attempts, senders, receivers):
            return Move(lost[order], senders[order], receivers[order])
    pairs, first = np.unique(senders.astype(np.int64) * dag.n_node + receivers, return_index=True)
    first = first[pairs >= 0]
    return Move(lost[first], senders[first], receivers[first])


def move(dag, change, moments=()):
    """Make a `Move`; parameters, gradients and `moments` follow, with 0 for the edges that moved."""
    old, n_edge = dag.dag, dag.n_edge
    lost = np.zeros(n_edge, bool)
    lost[change.lost] = True
    ends = np.bincount(change.senders, minlength=dag.n_node).cumsum()
    arrivals = drop_and_grow.Arrivals(np.concatenate([[0], ends]), change.receivers, old.edge_order[change.lost])
    graph = old._replace(**{name: np.empty_like(getattr(old, name)) for name in EDGE_FIELDS})
    source = np.empty(n_edge, np.int32)
    drop_and_grow.merge(old, lost, arrivals, graph.t_indptr, graph.t_indices, graph.edge_order, source)
    topology.transpose(graph.t_indptr, graph.t_indices, graph.indptr, graph.indices)
    moved = np.empty(n_edge, dag.dtype)
    for vector in (dag.parameters, dag.gradients, *moments):
        drop_and_grow.follow(vector[:n_edge], source, moved)
        vector[:n_edge] = moved
    take_up(dag, graph)


def _by_sender(senders, receivers, n_node):
    """Edges (int32) sorted by sender, receiver and position."""
    indptr, edges = np.empty(n_node + 1, np.int64), np.arange(len(senders), dtype=np.int32)
    by_receiver, order = np.empty_like(edges), np.empty_like(edges)
    topology.group_by(receivers, edges, indptr, by_receiver)
    topology.group_by(senders, by_receiver, indptr, order)
    return order


def in_order(dag, node_order, level_start):
    """Give a network the internal order of nodes of another with the same edges, in place.

    The order decides how sums round: a network that goes on from a checkpoint needs the one that it had.

    Parameters
    ----------
    dag : DagNN
    node_order : (n_node,) int32
        As in `Dag`.
    level_start : (n_level + 1,) int64
        As in `Dag`; the levels need not be the lowest possible.

    Raises
    ------
    GraphError
        It is no order of these nodes, or an edge does not rise in it.
    """
    old, arrays = dag.dag, dag.topology()
    node_order, level_start = np.ascontiguousarray(node_order, np.int32), np.ascontiguousarray(level_start, np.int64)
    n_node, n_edge = dag.n_node, dag.n_edge
    fits = node_order.shape == (n_node,) and np.array_equal(np.sort(node_order), np.arange(n_node))
    fits &= level_start.ndim == 1 and len(level_start) > 1 and np.all(np.diff(level_start) >= 0)
    if not fits or level_start[0] != 0 or level_start[-1] != n_node:
        raise GraphError("the stored order is not one of this network's nodes; use another checkpoint")
    number = np.empty(n_node, np.int32)
    number[node_order] = np.arange(n_node, dtype=np.int32)
    level = np.repeat(np.arange(len(level_start) - 1), np.diff(level_start))
    senders, receivers = number[arrays["senders"]], number[arrays["receivers"]]
    if np.any(level[senders] >= level[receivers]):
        raise GraphError("an edge does not rise in the stored order of nodes; use another checkpoint")
    t_indptr, by_receiver, edge_order = np.empty(n_node + 1, np.int64), *np.empty((2, n_edge), np.int32)
    topology.group_by(receivers, np.arange(n_edge, dtype=np.int32), t_indptr, by_receiver)
    topology.group_by(senders, by_receiver, t_indptr, edge_order)
    t_indices = receivers[edge_order]
    indptr, indices = np.empty_like(t_indptr), np.empty_like(t_indices)
    topology.transpose(t_indptr, t_indices, indptr, indices)
    before = [dag.to_caller_order(vector) for vector in (dag.parameters, dag.gradients)]
    by_node = [array[np.argsort(old.node_order)][node_order] for array in (old.activation, old.is_input, old.is_output)]
    ports = number[arrays["inputs"]], number[arrays["outputs"]]
    take_up(dag, type(old)(indptr, indices, t_indptr, t_indices, level_start, *by_node, *ports, node_order, edge_order))
    dag.parameters[:], dag.gradients[:] = map(dag.from_caller_order, before)


def take_up(dag, graph):
    """Let a network work on another `Dag` of as many nodes and edges; its vectors are the caller's matter."""
    plan = execution_plan.Plan(graph)
    plan.strategy = dag.strategy
    n_live = topology.most_live_nodes(graph.indptr, graph.indices)
    dag.dag, dag.n_level = graph, graph.n_level
    dag._plan, dag._workspace = plan, Workspace(graph, dag.dtype, n_live)
    dag.receiver_weights = ReceiverWeights(graph, dag.dtype)
    dag._tiles, dag._batch = None, 0
