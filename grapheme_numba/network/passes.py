"""Forward and backward passes: each with memory of its own, so that any number may be open, from any thread.

Edges into nodes that do not sum have deltas of their own (`kernels.engine.aggregations`).
"""

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError, ShapeError, UsageError
from grapheme_numba.graph.dag import Dag
from grapheme_numba.kernels.engine import aggregations, backward, forward, tiles
from grapheme_numba.kernels.engine.tiles import Tiles
from grapheme_numba.kernels.graph import topology
from grapheme_numba.network import arrays
from grapheme_numba.network.arrays import Precision
from grapheme_numba.network.execution_plan import Plan, Workspace
from grapheme_numba.network.parameters import ReceiverWeights

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN


class Rows(NamedTuple):
    """A graph as the backward pass finds its way through the deltas.

    Attributes
    ----------
    dag : Dag
        Its `t_indices` are rows of `Tiles.deltas`: the receiver's where the receiver sums, else the edge's own.
    first : int64 (n_node,)
        The row of the first incoming edge of each node that does not sum; the others follow in CSR order.
    """

    dag: Dag
    first: npt.NDArray[np.int64]


def rows_of(dag: Dag) -> Rows:
    """The rows of the deltas: first those of the nodes, then one per edge into a node that does not sum, in CSR order.

    Raises GraphError where there would be more than an int32 can number.
    """
    if dag.n_node + dag.n_edge_row > np.iinfo(np.int32).max:
        raise GraphError(
            f"{dag.n_edge_row} edges enter nodes that do not sum, and {dag.n_node} nodes are too many beside them; "
            "let more nodes sum"
        )
    in_degree = np.where(dag.aggregation != 0, np.diff(dag.indptr), 0)
    first = dag.n_node + np.cumsum(in_degree) - in_degree
    # Sorted by receiver, edges that stood in sender order stand in CSR order.
    by_receiver = np.argsort(dag.t_indices, kind="stable")
    own = by_receiver[dag.aggregation[dag.t_indices[by_receiver]] != 0]
    t_indices = dag.t_indices.copy()
    t_indices[own] = np.arange(dag.n_node, dag.n_node + len(own), dtype=np.int32)
    return Rows(dag._replace(t_indices=t_indices), first.astype(np.int64))


Array = npt.NDArray[Any]
MOST_SPARE = 8  # workspaces of finished tapes that are kept for the next ones


class Latest(threading.local):
    """What `backward_accumulate` goes back from: the latest forward pass of the thread that asks.

    room : Workspace or None, the thread's own; tiles : Tiles or None; batch : int, 0 where there is no pass
    """

    room: Workspace | None = None
    tiles: Tiles | None = None
    batch: int = 0


class Passes:
    """The passes of one network on one graph.

    Parameters
    ----------
    dag : Dag
    precision : Precision

    Attributes
    ----------
    plan : Plan
    receiver_weights : ReceiverWeights
    latest : Latest
    rows : Rows or None
        Where the backward pass finds deltas, in a network whose nodes do not all sum.
    lock : threading.Lock
        Held while gradients are added to the network's own: threads add one after the other.
    """

    def __init__(self, dag: Dag, precision: Precision) -> None:
        self.dag, self.dtype, self._precision = dag, precision.dtype, precision
        self.plan, self.receiver_weights = Plan(dag), ReceiverWeights(dag, self.dtype)
        self.latest, self.lock = Latest(), threading.Lock()
        self._n_live = topology.most_live_nodes(dag.indptr, dag.indices) + dag.n_edge_row
        # Where all nodes sum, nothing but this is ever asked.
        self.rows = rows_of(dag) if dag.aggregation.size else None
        self._spare: list[Workspace] = []

    def room(self) -> Workspace:
        """The workspace of this thread."""
        latest = self.latest
        if latest.room is None:
            latest.room = Workspace(self.dag, self._precision, self._n_live)
        return latest.room

    def lend(self) -> Workspace:
        """A workspace that nobody uses, for a tape."""
        try:
            return self._spare.pop()
        except IndexError:
            return Workspace(self.dag, self._precision, self._n_live)

    def take_back(self, room: Workspace) -> None:
        """The inverse of `lend`."""
        if len(self._spare) < MOST_SPARE:
            self._spare.append(room)

    def forward(self, x: Array, parameters: Array, learns: bool, room: Workspace) -> tuple[Array, Tiles, bool]:
        """Outputs (batch, n_output), the tiles of every node's, and whether inputs or outputs may not be finite.

        x : (batch, n_input), checked; parameters : (n_edge + n_node,); learns : gradients are wanted of it
        """
        dag, n_edge = self.dag, len(self.dag.indices)
        weights, biases = self.receiver_weights.of(parameters[:n_edge]), parameters[n_edge:]
        choice = self.plan.forward(len(x), room, learns)
        y = np.empty((len(x), len(dag.outputs)), self.dtype)
        status = choice.status
        kernels = forward if self.rows is None else aggregations
        if choice.levels:
            kernels.forward_levels(dag, weights, biases, x, choice.tiles, choice.shares, y, status)
        else:
            kernels.forward_tiles(dag, weights, biases, x, choice.tiles, y, status)
        return y, choice.tiles, bool(status.tobytes().strip(b"\0"))  # `any` takes 1 us longer

    def backward(
        self, gy: Array, parameters: Array, before: Tiles, gradients: Array, keeps_deltas: bool, room: Workspace
    ) -> tuple[Array, Tiles]:
        """dL/dx (batch, n_input) and the tiles with the deltas.

        gy : (batch, n_output), checked; before : tiles of the forward pass in `room`
        gradients : (n_edge + n_node,) is added to, or empty where none are wanted
        """
        dag, weights = self.dag, parameters[: len(self.dag.indices)]
        choice = self.plan.backward(len(gy), room, before, gradients.size, keeps_deltas)
        gx = np.empty((len(gy), len(dag.inputs)), self.dtype)
        status = choice.status
        if self.rows is not None:
            dag, first_row = self.rows
            edges = aggregations.Edges(weights, self.receiver_weights.of(weights), first_row)
            if choice.levels:
                aggregations.backward_levels(dag, edges, choice.tiles, gy, choice.shares, gradients, gx, status)
            else:
                aggregations.backward_tiles(dag, edges, choice.tiles, gy, choice.planes, gradients, gx, status)
        elif choice.levels:
            backward.backward_levels(dag, weights, choice.tiles, gy, choice.shares, gradients, gx, status)
        else:
            backward.backward_tiles(dag, weights, choice.tiles, gy, choice.planes, gradients, gx, status)
        return gx, choice.tiles

    def activations(self, pass_tiles: Tiles, batch: int) -> Array:
        """Every node's output (batch, n_node) in a forward pass, by the caller's node ids."""
        n_node = self.dag.n_node
        result, internal = np.empty((batch, n_node), self.dtype), np.empty(n_node, np.int32)
        internal[self.dag.node_order] = np.arange(n_node, dtype=np.int32)
        tiles.store_all_rows(pass_tiles.activations, pass_tiles.scratch, internal, result)
        if pass_tiles.activations.dtype != self.dtype:  # outputs as `forward` gives them, before they were rounded
            y, rows = np.empty((batch, len(self.dag.outputs)), self.dtype), pass_tiles.port_rows
            tiles.store_all_rows(pass_tiles.outputs, pass_tiles.scratch, rows[: y.shape[1]], y)
            result[:, self.dag.node_order[self.dag.outputs]] = y
        return result


class Tape:
    """One forward pass that can be gone back from at any time, whatever other passes are made meanwhile.

    `DagNN.record` makes it. It holds the memory of its pass until it is forgotten.
    """

    def __init__(self, network: "DagNN", room: Workspace, tiles: Tiles, batch: int) -> None:
        self._network, self._passes = network, network.passes
        self._room, self._tiles, self._batch = room, tiles, batch
        self._version = self._passes.receiver_weights.version
        self._lock = threading.Lock()  # two backward passes would write the same deltas

    def __del__(self) -> None:
        self._passes.take_back(self._room)

    def backward(self, gy: npt.ArrayLike) -> Array:
        """dL/dx (batch, n_input) from `gy` = dL/dy (batch, n_output); ADDS into the gradients of the network.

        May be called several times; adds nothing while the network's `requires_grad` is False.

        Raises
        ------
        ShapeError
            `gy` does not belong to this pass or is not finite.
        UsageError
            The network's weights or edges changed since `record`, so that no gradient of this pass exists.
        """
        network = self._network
        if network.requires_grad:
            with self._passes.lock:
                return self.backward_into(gy, network.gradients)
        return self.backward_into(gy, network.gradients[:0])

    def backward_into(self, gy: npt.ArrayLike, gradients: Array) -> Array:
        """As `backward`, but adds into `gradients` (n_edge + n_node,) in internal order, or nothing if it is empty."""
        network, passes = self._network, self._passes
        gy = arrays.matrix("gy", gy, network.n_output, network.dtype)
        if len(gy) != self._batch:
            raise ShapeError(f"gy has {len(gy)} rows but the recorded pass had {self._batch}; they must agree")
        arrays.refuse_non_finite("gy", gy)
        if passes is not network.passes or passes.receiver_weights.version != self._version:
            raise UsageError(
                "the network's parameters or edges have changed since this pass was recorded; "
                "call backward before the step, or record the pass again"
            )
        with self._lock:
            gx, _ = passes.backward(gy, network.parameters, self._tiles, gradients, False, self._room)
        return gx

    def activations(self) -> Array:
        """Every node's output (batch, n_node) in this pass, by the caller's node ids."""
        return self._passes.activations(self._tiles, self._batch)
