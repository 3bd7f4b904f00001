"""The parameters and gradients of a network: two flat vectors in internal order, seen in the caller's order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import is_number, shown
from grapheme_numba.errors import GraphError, UsageError
from grapheme_numba.graph.dag import Dag
from grapheme_numba.kernels.engine import parameters, updates
from grapheme_numba.network import arrays
from grapheme_numba.network.handles import ParameterView, parameter_view
from grapheme_numba.network.receiver_weights import ReceiverWeights

Array = npt.NDArray[Any]  # of the network's dtype


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
        parameters.gather(checked, self.dag.edge_order, self.parameters[: self.n_edge])
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
        """Plain gradient descent: `parameters -= lr * gradients`. The gradients stay until `zero_grad`."""
        updates.sgd(self.gradients, updates.StepRates(lr=arrays.rate(lr, self.dtype)), self.parameters)
        self.parameters_changed()

    def grad_norm(self) -> float:
        """Euclidean norm of all edge and bias gradients."""
        return float(np.sqrt(updates.sum_of_squares(self.gradients)))

    def clip_grad_norm(self, max_norm: float) -> float:
        """Scale the gradients so that their norm is at most `max_norm`; returns the norm before."""
        if not is_number(max_norm, 0):
            raise UsageError(f"max_norm is {shown(max_norm)}; give a number of at least 0")
        norm = self.grad_norm()
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
        parameters.scatter(flat[: self.n_edge], self.dag.edge_order, result)
        return result

    def _nodes_to_caller(self, flat: Array) -> Array:
        result = np.empty(self.n_node, self.dtype)
        result[self.dag.node_order] = flat[self.n_edge :]
        return result
