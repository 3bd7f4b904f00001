"""`Dag`: the arrays of one graph in the order the kernels walk it, and the levels of its nodes."""

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError
from grapheme_numba.kernels.graph import topology

if TYPE_CHECKING:
    from grapheme_numba.graph.named import NamedGraph

Ids: TypeAlias = npt.NDArray[np.int32]  # of nodes or of edges


class Dag(NamedTuple):
    """A directed acyclic graph in internal order: nodes by level, edges by sender.

    Nodes are renumbered by level (inputs first within it), so every edge goes from a lower to a higher
    number. Edges stand in sender order (sender, then receiver): this order holds the parameters and
    their gradients, because the backward pass, which reads and writes once per edge and tile, walks it.
    The forward pass walks receivers and reads a permuted copy of the weights.

    Attributes
    ----------
    indptr, indices : int64 (n_node + 1,), int32 (n_edge,)
        CSR of incoming edges: row = receiver, column = sender, ascending.
    t_indptr, t_indices : int64 (n_node + 1,), int32 (n_edge,)
        CSR of outgoing edges: row = sender, column = receiver, ascending.
    level_start : int64 (n_level + 1,)
        Where each level's nodes begin.
    activation : uint8 (n_node,)
        Code of each node's activation function (`kernels.engine.activations`).
    is_input, is_output : uint8 (n_node,)
        1 where the node takes an external input or is an output.
    inputs, outputs : int32 (n_input,), int32 (n_output,)
        Internal number of each input and output, in the caller's order.
    node_order : int32 (n_node,)
        The caller's id of each internal node.
    edge_order : int32 (n_edge,)
        The caller's position of each edge of `t_indices`.
    aggregation : uint8 (n_node,) or (0,)
        Code of what each node does with its weighted inputs (`kernels.engine.aggregations`); empty where all sum.
    """

    indptr: npt.NDArray[np.int64]
    indices: Ids
    t_indptr: npt.NDArray[np.int64]
    t_indices: Ids
    level_start: npt.NDArray[np.int64]
    activation: npt.NDArray[np.uint8]
    is_input: npt.NDArray[np.uint8]
    is_output: npt.NDArray[np.uint8]
    inputs: Ids
    outputs: Ids
    node_order: Ids
    edge_order: Ids
    aggregation: npt.NDArray[np.uint8]

    @property
    def n_node(self) -> int:
        return len(self.activation)

    @property
    def n_edge(self) -> int:
        return len(self.indices)

    @property
    def n_level(self) -> int:
        return len(self.level_start) - 1

    @property
    def n_edge_row(self) -> int:
        """How many edges have deltas of their own: those into nodes that do not sum."""
        return int(np.diff(self.indptr)[self.aggregation != 0].sum()) if self.aggregation.size else 0

    def reach(self) -> int:
        """How many nodes lie, at most, between the first node of a level and the last receiver of that level."""
        senders = np.flatnonzero(np.diff(self.t_indptr))
        firsts = self.level_start[np.searchsorted(self.level_start, senders, "right") - 1]
        return int((self.t_indices[self.t_indptr[senders + 1] - 1] - firsts).max(initial=0))


def levels_of(senders: Ids, receivers: Ids, n_node: int) -> npt.NDArray[np.int64]:
    """Level (n_node,) int64 of each node: 0 without senders, else one more than that of its highest sender."""
    t_indptr, by_sender = np.empty(n_node + 1, np.int64), np.empty(len(senders), np.int32)
    topology.group_by(senders, np.arange(len(senders), dtype=np.int32), t_indptr, by_sender)
    in_degree = np.bincount(receivers, minlength=n_node).astype(np.int32)
    level = np.empty(n_node, np.int32)
    topology.topological_levels(receivers, t_indptr, by_sender, in_degree, level)
    return level.astype(np.int64)


class Aggregate(NamedTuple):
    """The nodes of one level that combine their weighted inputs in one way, not the sum.

    Attributes
    ----------
    kind : str
        mean, product, max or min.
    places : (n,) int64
        Positions within the level. Nodes that nothing enters are there for a product only, which is 1 then.
    counts : (n,) int64
        How many edges enter each.
    edges, senders : (n_edge,) int64
        As of `Level`.
    receivers : (n_edge,) int64
        Positions in `places`.
    """

    kind: str
    places: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.int64]
    senders: npt.NDArray[np.int64]
    receivers: npt.NDArray[np.int64]


class Level(NamedTuple):
    """The nodes of one level, and the edges that enter those that sum. Nodes are numbered level by level.

    Attributes
    ----------
    n_node : int
    edges : (n,) int64
        Positions in the graph's edge order.
    senders : (n,) int64
        Numbers of earlier nodes.
    receivers : (n,) int64
        Positions within the level.
    columns, fed : (n_fed,) int64
        Input columns, and the positions within the level that they feed.
    groups : list of (activation, start, stop)
        Positions of the nodes with one activation.
    nodes : (n_node,) int64
        The graph's node ids.
    aggregates : list of Aggregate
        The nodes that do not sum; their edges are not among `edges`.
    """

    n_node: int
    edges: npt.NDArray[np.int64]
    senders: npt.NDArray[np.int64]
    receivers: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    fed: npt.NDArray[np.int64]
    groups: list[tuple[str, int, int]]
    nodes: npt.NDArray[np.int64]
    aggregates: list[Aggregate]


def level_plan(graph: "NamedGraph") -> tuple[list[Level], npt.NDArray[np.int64]]:
    """(list of Level, number (n_output,) of each output). Raises GraphError for a graph without weights."""
    if graph.weights is None or graph.activations is None:
        raise GraphError("the graph states no weights or no activations; build a network from it and export that")
    level = levels_of(graph.senders, graph.receivers, graph.n_node)
    kinds = np.array(graph.activations)
    order = np.lexsort((kinds, level))
    number = np.empty(graph.n_node, np.int64)
    number[order] = np.arange(graph.n_node)
    column = np.full(graph.n_node, -1)
    column[graph.inputs] = np.arange(len(graph.inputs))
    starts = np.searchsorted(level[order], np.arange(level.max() + 2))
    combined = np.array(graph.aggregations or ["sum"] * graph.n_node)
    combined[np.setdiff1d(graph.inputs, graph.receivers)] = "sum"
    plan = []
    edge_level = level[graph.receivers]
    by_level = np.argsort(edge_level, kind="stable")
    edge_starts = np.searchsorted(edge_level[by_level], np.arange(level.max() + 2))
    for one, (start, stop) in enumerate(itertools.pairwise(starts)):
        nodes = order[start:stop]
        entering = by_level[edge_starts[one] : edge_starts[one + 1]]
        places = number[graph.receivers[entering]] - start
        aggregates = []
        for kind in np.unique(combined[nodes][combined[nodes] != "sum"]).tolist():
            own = combined[nodes[places]] == kind
            counts = np.bincount(places[own], minlength=len(nodes))
            chosen = np.flatnonzero((combined[nodes] == kind) & ((counts > 0) | (kind == "product")))
            edges = entering[own]
            aggregates.append(
                Aggregate(
                    kind, chosen, counts[chosen], edges, number[graph.senders[edges]],
                    np.searchsorted(chosen, places[own]),
                )
            )  # fmt: skip
        sums = combined[nodes[places]] == "sum"
        edges = entering[sums]
        fed = np.flatnonzero(column[nodes] >= 0)
        names, first = np.unique(kinds[nodes], return_index=True)
        bounds = [*first.tolist(), len(nodes)]
        groups = [(str(name), bounds[k], bounds[k + 1]) for k, name in enumerate(names)]
        plan.append(
            Level(
                len(nodes),
                edges,
                number[graph.senders[edges]],
                places[sums],
                column[nodes[fed]],
                fed,
                groups,
                nodes,
                aggregates,
            )
        )
    return plan, number[graph.outputs]
