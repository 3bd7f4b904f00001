"""`Dag`: the arrays of one graph in the order the kernels walk it."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

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
