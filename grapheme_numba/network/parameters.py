"""The parameters and gradients of a network: two flat vectors in internal order, seen in the caller's order.

The forward pass walks a copy of the weights in the order of receivers, made again when they change.
"""

import itertools
import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grapheme_numba import float_mode
from grapheme_numba.arguments import is_number, shown
from grapheme_numba.errors import GraphError, NonFiniteError, UsageError
from grapheme_numba.graph.dag import Dag
from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.engine import updates
from grapheme_numba.kernels.graph import topology
from grapheme_numba.network import arrays
from grapheme_numba.network.handles import ParameterView, parameter_view
from grapheme_numba.optim.optimizers import gradient_norm

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN

Array = npt.NDArray[Any]  # of the network's dtype
MOST_CHUNKS = 4  # threads that share the copying: each needs a number for every node
NEAR_NODES = 1024  # a cache line for each still fits the level-1 cache
FEW_EDGES = 20_000  # one thread copies so many before another has woken up


class ReceiverWeights:
    """The weights of one network in CSR order.

    Parameters
    ----------
    dag : Dag
    dtype : numpy dtype

    Attributes
    ----------
    version : int
        A new number whenever the weights are said to have changed.
    live : bool
        Somebody writes the weights without saying so: copy them before every pass.
    """

    def __init__(self, dag: Dag, dtype: npt.DTypeLike) -> None:
        self._dag = dag
        self._far: bool | None = None
        self._shares: dict[tuple[int, int, int], tuple[Array, Array, Array]] = {}
        self._values: Array = np.empty(dag.n_edge, dtype)
        self._counter, self.version = itertools.count(1), 0
        self._filled = -1  # the version whose weights are in `_values`
        self.live = False
        self._lock = threading.Lock()  # one thread copies, the others wait for it

    def expire(self) -> None:
        """Say that the weights have changed."""
        self.version = next(self._counter)  # threads that say so together still leave a new number

    def refresh(self) -> None:
        """Copy the weights again before the next pass, though nobody said that they have changed."""
        self._filled = -1

    def of(self, weights: Array) -> Array:
        """The copy (n_edge,) of `weights` (n_edge,), which stand in sender order."""
        if self.live or self._filled != self.version:
            with self._lock:
                if self.live or self._filled != self.version:
                    self._fill(weights, 0)
        return self._values

    def bind(self, values: Array) -> None:
        """Move the copy into `values` (n_edge,) of someone else."""
        self._values = values
        self.refresh()

    def fill(self, weights: Array, first: int) -> None:
        """Copy the weights of the edges from `first` on, in sender order; whoever has the others fills them in."""
        with self._lock:
            self._fill(weights, first)

    def _fill(self, weights: Array, first: int) -> None:
        version = self.version  # what changes from here on is not in the copy
        if self._far is None:
            self._far = self._dag.reach() > NEAR_NODES
        updates.receiver_order(self._dag, weights, *self._share(first, len(weights)), self._far, self._values)
        self._filled = version

    def _share(self, first: int, n_edge: int) -> tuple[Array, Array, Array]:
        """(bounds, starts, cursors) for `updates.receiver_order`: some of the edges for each thread."""
        n_chunk = min(n_threads(), MOST_CHUNKS) if n_edge > FEW_EDGES else 1
        key = first, n_edge, n_chunk
        if key not in self._shares:
            bounds = first + n_edge * np.arange(n_chunk + 1) // n_chunk
            starts = np.empty((n_chunk, self._dag.n_node), np.int32)
            topology.chunk_starts(self._dag.indptr, self._dag.t_indices, bounds, starts)
            self._shares[key] = bounds, starts, np.empty_like(starts)
        return self._shares[key]


class GraphParameters:
    """One weight per edge and one bias per node of a `Dag`, with their gradients.

    Attributes
    ----------
    dag : Dag
    dtype : numpy dtype, float32 or float64
    n_node, n_edge : int
    parameters, gradients : ndarray (n_edge + n_node,)
        Weights then biases in internal order, flat, for optimisers. Call `parameters_changed` after
        writing into `parameters`.
    receiver_weights : ReceiverWeights
        The copy of the weights that the forward pass reads.
    """

    dag: Dag
    dtype: np.dtype[Any]
    n_node: int
    n_edge: int
    parameters: Array
    gradients: Array
    receiver_weights: ReceiverWeights
    _input_biases: Any

    @property
    def weights(self) -> ParameterView:
        """Weights (n_edge,) in the caller's edge order, read-only; assign an array or elements to change them."""
        return parameter_view(self, "weights", self._edges_to_caller(self.parameters))

    @weights.setter
    def weights(self, values: npt.ArrayLike) -> None:
        checked = arrays.vector("weights", values, self.n_edge, self.dtype)
        updates.gather(checked, self.dag.edge_order, self.parameters[: self.n_edge])
        self.parameters_changed()

    @property
    def biases(self) -> ParameterView:
        """Biases (n_node,) by the caller's node ids, read-only; those of inputs are 0 and stay 0."""
        values = self._nodes_to_caller(self.parameters)
        values[self.dag.node_order[self.dag.inputs]] = 0
        return parameter_view(self, "biases", values)

    @biases.setter
    def biases(self, values: npt.ArrayLike) -> None:
        checked = arrays.vector("biases", values, self.n_node, self.dtype)
        internal = checked[self.dag.node_order]
        self._refuse_input_biases(internal)
        self.parameters[self.n_edge :] = internal
        self.parameters_changed()

    def _refuse_input_biases(self, internal: Array) -> None:
        if internal[self.dag.is_input == 1].any():
            raise GraphError("a bias of an input node is not 0; inputs have no bias, set those entries to 0")

    @property
    def parameters_version(self) -> tuple[ReceiverWeights, int]:
        """Equal to what it was as long as neither the graph nor a parameter has changed."""
        return self.receiver_weights, self.receiver_weights.version

    def write_parameters(self, name: str, places: npt.NDArray[np.intp], values: Array) -> None:
        """Set the elements `places` (k,) of `weights` or `biases` to `values` (k,), and no others."""
        order, first = (self.dag.edge_order, 0) if name == "weights" else (self.dag.node_order, self.n_edge)
        whole, chosen = np.zeros(len(order), self.dtype), np.zeros(len(order), bool)
        whole[places], chosen[places] = values, True
        arrays.refuse_non_finite(name, whole)
        if name == "biases":
            self._refuse_input_biases(whole[order])
        internal = np.flatnonzero(chosen[order])
        self.parameters[first + internal] = whole[order[internal]]
        self.parameters_changed()

    @property
    def edge_grads(self) -> Array:
        """dL/dweight (n_edge,) in the caller's edge order, summed over the examples since `zero_grad`."""
        return self._edges_to_caller(self.gradients)

    @property
    def bias_grads(self) -> Array:
        """dL/dbias (n_node,) by the caller's node ids, summed over the examples since `zero_grad`."""
        return self._nodes_to_caller(self.gradients)

    def parameters_changed(self) -> None:
        """Say that `parameters` was written to, so that the forward pass refreshes its weights.

        Inputs have no bias: what was written there becomes 0.
        """
        self.clear_input_biases()
        self.receiver_weights.expire()

    def clear_input_biases(self) -> None:
        """Set what was written to the biases of inputs, which have none, to 0."""
        self.parameters[self._input_biases] = 0

    def zero_grad(self) -> None:
        """Set every gradient to 0."""
        self.gradients[:] = 0

    def step(self, lr: float) -> None:
        """Plain gradient descent: `parameters -= lr * gradients`. The gradients stay until `zero_grad`.

        Raises NonFiniteError, and changes nothing, where a parameter would leave the range of the dtype.
        """
        arrays.plain_step(self.gradients, lr, self.parameters)
        self.parameters_changed()

    @float_mode.standard()
    def grad_norm(self) -> float:
        """Euclidean norm of all edge and bias gradients; NaN or infinite as soon as one is."""
        return gradient_norm(self.gradients)

    @float_mode.standard()
    def clip_grad_norm(self, max_norm: float) -> float:
        """Scale the gradients so that their norm is at most `max_norm`; returns the norm before.

        Raises NonFiniteError, and changes nothing, where a gradient is not finite.
        """
        if not is_number(max_norm, 0):
            raise UsageError(f"max_norm is {shown(max_norm)}; give a number of at least 0")
        norm = self.grad_norm()
        if not math.isfinite(norm):
            raise NonFiniteError("a gradient is not finite, and no factor mends that; zero_grad, and make lr smaller")
        if norm > max_norm:
            self.gradients *= self.dtype.type(max_norm / norm)
        return norm

    def bind(self, parameters_view: Array, gradients_view: Array) -> None:
        """Move parameters and gradients into views of flat vectors owned by someone else.

        Both are 1-D, C-contiguous, of this dtype and n_edge + n_node long; they are overwritten.
        """
        parameters_view[:], gradients_view[:] = self.parameters, self.gradients
        self.parameters, self.gradients = parameters_view, gradients_view

    def to_caller_order(self, flat: Array) -> Array:
        """A flat vector (weights | biases) from internal into the caller's edge and node order."""
        return np.concatenate([self._edges_to_caller(flat), self._nodes_to_caller(flat)])

    def from_caller_order(self, flat: npt.ArrayLike) -> Array:
        """The inverse of `to_caller_order`."""
        flat = arrays.vector("flat", flat, self.n_edge + self.n_node, self.dtype)
        return np.concatenate([flat[: self.n_edge][self.dag.edge_order], flat[self.n_edge :][self.dag.node_order]])

    def _edges_to_caller(self, flat: Array) -> Array:
        result = np.empty(self.n_edge, self.dtype)
        updates.scatter(flat[: self.n_edge], self.dag.edge_order, result)
        return result

    def _nodes_to_caller(self, flat: Array) -> Array:
        result = np.empty(self.n_node, self.dtype)
        result[self.dag.node_order] = flat[self.n_edge :]
        return result


def in_order(dag: "DagNN", node_order: npt.ArrayLike, level_start: npt.ArrayLike) -> None:
    """Give a network the internal order of nodes of another with the same edges, in place.

    The order decides how sums round: a network that resumes from a checkpoint needs the one that it had.

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
    fits = fits and level_start.ndim == 1 and len(level_start) > 1 and bool(np.all(np.diff(level_start) >= 0))
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
    moved = np.argsort(old.node_order)[node_order]
    by_node = old.activation[moved], old.is_input[moved], old.is_output[moved]
    ports = number[arrays["inputs"]], number[arrays["outputs"]]
    combined = old.aggregation[moved] if old.aggregation.size else old.aggregation
    edges = indptr, indices, t_indptr, t_indices, level_start
    dag.adopt(type(old)(*edges, *by_node, *ports, node_order, edge_order, combined))
    dag.parameters[:], dag.gradients[:] = map(dag.from_caller_order, before)


def checked_network(dag: Any) -> Any:
    """`dag` where it is a network, else UsageError."""
    if not isinstance(dag, GraphParameters):
        raise UsageError(f"dag is {shown(dag)}; give a network, a DagNN")
    return dag
