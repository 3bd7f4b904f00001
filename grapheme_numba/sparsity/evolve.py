"""Drop-and-grow: the edges with the smallest weights are dropped, and as many are grown elsewhere.

The number of edges stays, so parameter vectors keep their length and a training loop continues. Nodes keep
their internal order: `network.parameters.in_order` gives it back to a network that is built from a checkpoint.
"""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode, randomness
from grapheme_numba.errors import ShapeError, UsageError
from grapheme_numba.kernels.engine import aggregations
from grapheme_numba.kernels.graph import topology
from grapheme_numba.kernels.sparsity import drop_and_grow
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.parameters import checked_network
from grapheme_numba.sparsity.prune import smallest_edges

Array = npt.NDArray[Any]
Seed = int | Sequence[int]
METHODS = ("set", "rigl")
ROUNDS = 8  # of drawing again where two edges want one place; what is left then is kept
EDGE_FIELDS = ("indptr", "indices", "t_indptr", "t_indices", "edge_order")


class Replacement(NamedTuple):
    """Edges to drop, and the edges to grow instead.

    dropped : (n,) int64, internal positions of the edges to drop
    senders, receivers : (n,) int32, internal numbers of the nodes that the grown ones join, ascending
    """

    dropped: npt.NDArray[np.int64]
    senders: npt.NDArray[np.int32]
    receivers: npt.NDArray[np.int32]


@overload
def evolve(dag: DagNN, method: str, fraction: float = ..., seed: Seed = ..., moments: None = ...) -> DagNN: ...
@overload
def evolve(
    dag: DagNN, method: str, fraction: float = ..., seed: Seed = ..., *, moments: Sequence[Array]
) -> tuple[DagNN, tuple[Array, ...]]: ...
@float_mode.standard()
def evolve(
    dag: DagNN, method: str, fraction: float = 0.3, seed: Seed = 0, moments: Sequence[Array] | None = None
) -> DagNN | tuple[DagNN, tuple[Array, ...]]:
    """A network with the share `fraction` of its edges, those with the smallest weights, replaced by drop-and-grow.

    `dag` stays as it is. Grown edges join the same pairs of levels as the dropped ones, so the graph stays acyclic
    and layers stay layers. They have the weight and the moments 0, and stand in the caller's edge order where
    the dropped ones stood. No node loses its strongest incoming edge. Gradients begin at 0.
    Nodes keep their aggregation; an edge that joins a product has the weight 1, since two of 0 would silence it for
    good.

    Parameters
    ----------
    dag : DagNN
    method : "set" or "rigl"
        Random places (Mocanu et al. 2018), or for each edge that of 16 random ones with the largest gradient
        in the latest backward pass (after Evci et al. 2020, who look at all), which needs `keeps_deltas`. It is
        the gradient that a sum would have, also where the receiver does not sum.
    fraction : float
        Of the edges, in (0, 1).
    seed : int or sequence of int
        What decides the draws, as (run's seed, step).
    moments : sequence of arrays (n_edge + n_node,), optional
        Of an optimiser, weights then biases in the caller's order (`dag.to_caller_order`).

    Returns
    -------
    DagNN, or with `moments` (DagNN, tuple of arrays)

    Raises
    ------
    UsageError
        For an unknown method or a fraction that is none.
    ShapeError
        "rigl" without a backward pass, or moments of another size.
    """
    change = propose(checked_network(dag), method, fraction, seed)
    new = copy.copy(dag)
    internal = [new.from_caller_order(moment) for moment in moments or ()]
    replace_edges(new, change, internal)
    return new if moments is None else (new, tuple(new.to_caller_order(moment) for moment in internal))


def drop_and_grow_edges(dag: DagNN, method: str, fraction: float, seed: Seed, moments: Sequence[Array] = ()) -> int:
    """As `evolve`, but in place; how many edges were replaced.

    The parameters, the gradients and `moments`, flat vectors in internal order that begin with the
    n_edge + n_node entries of this network, are kept in step.
    """
    change = propose(dag, method, fraction, seed)
    replace_edges(dag, change, moments)
    return len(change.dropped)


def propose(dag: DagNN, method: str, fraction: float, seed: Seed) -> Replacement:
    """The `Replacement` that `evolve` would make with these arguments; nothing is changed."""
    if not arguments.is_name(method, METHODS) or not arguments.is_number(fraction, 0, 1) or fraction in (0, 1):
        raise UsageError(
            f"the evolution is {arguments.shown(method)} with the fraction {arguments.shown(fraction)}; choose one of "
            f"{', '.join(METHODS)} and a fraction between 0 and 1"
        )
    if method == "rigl":
        tiles = dag.latest_tiles()
        n_tile, n_row = tiles.deltas.shape[:2]
        if n_tile != len(tiles.activations) or n_row < dag.n_node:
            raise ShapeError("RigL reads every node's delta; set keeps_deltas = True before backward_accumulate")
    old, n_edge = dag.dag, dag.n_edge
    gone = smallest_edges(dag, round(fraction * n_edge))
    dropped = np.empty(np.count_nonzero(gone), np.int64)
    levels = np.empty((dropped.size, 2), np.int32)
    level = np.repeat(np.arange(dag.n_level, dtype=np.int32), np.diff(old.level_start))
    drop_and_grow.list_dropped(old, gone, level, dropped, levels)
    key = np.random.SeedSequence(randomness.checked_parts(seed)).generate_state(2, np.uint32).astype(np.uint64)
    draws = drop_and_grow.Draws(key, levels)
    senders, receivers = np.empty(dropped.size, np.int32), np.empty(dropped.size, np.int32)
    if method == "rigl":
        drop_and_grow.best_edges(old, draws, tiles.activations, tiles.deltas, senders, receivers)
    else:
        drop_and_grow.draw_edges(old, draws, senders, receivers)
    for attempt in range(1, ROUNDS):
        placed = senders >= 0
        if not placed.all():
            dropped, senders, receivers = dropped[placed], senders[placed], receivers[placed]
            draws = draws._replace(levels=draws.levels[placed])
        order = _by_sender(senders, receivers, dag.n_node)
        attempts = np.array([attempt, attempt + 1]) * drop_and_grow.TRIES
        if not drop_and_grow.redraw_repeats(old, draws, order, attempts, senders, receivers):
            return Replacement(dropped[order], senders[order], receivers[order])
    pairs, first = np.unique(senders.astype(np.int64) * dag.n_node + receivers, return_index=True)
    first = first[pairs >= 0]
    return Replacement(dropped[first], senders[first], receivers[first])


def replace_edges(dag: DagNN, change: Replacement, moments: Sequence[Array] = ()) -> None:
    """Make a `Replacement` in place: parameters, gradients and `moments` are rearranged, 0 for the grown edges."""
    old, n_edge = dag.dag, dag.n_edge
    dropped = np.zeros(n_edge, bool)
    dropped[change.dropped] = True
    ends = np.bincount(change.senders, minlength=dag.n_node).cumsum()
    grown = drop_and_grow.GrownEdges(np.concatenate([[0], ends]), change.receivers, old.edge_order[change.dropped])
    graph = old._replace(**{name: np.empty_like(getattr(old, name)) for name in EDGE_FIELDS})
    source = np.empty(n_edge, np.int32)
    drop_and_grow.merge(old, dropped, grown, graph.t_indptr, graph.t_indices, graph.edge_order, source)
    topology.transpose(graph.t_indptr, graph.t_indices, graph.indptr, graph.indices)
    values = np.empty(n_edge, dag.dtype)
    for vector in (dag.parameters, dag.gradients, *moments):
        drop_and_grow.rearrange(vector[:n_edge], source, values)
        vector[:n_edge] = values
    if graph.aggregation.size:
        joins = source < 0
        dag.parameters[:n_edge][joins] = graph.aggregation[graph.t_indices[joins]] == aggregations.PRODUCT
    dag.adopt(graph)


def _by_sender(senders: Array, receivers: Array, n_node: int) -> npt.NDArray[np.int32]:
    """Edges (int32) sorted by sender, receiver and position."""
    indptr, edges = np.empty(n_node + 1, np.int64), np.arange(len(senders), dtype=np.int32)
    by_receiver, order = np.empty_like(edges), np.empty_like(edges)
    topology.group_by(receivers, edges, indptr, by_receiver)
    topology.group_by(senders, by_receiver, indptr, order)
    return order
