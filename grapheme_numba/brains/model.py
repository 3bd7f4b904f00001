"""BrainModel: a DAG, an embedding and a layout that together learn from mixed batches.

Both trainers use it. Examples of different domains stand in one batch: each drives only its own
input slice and is judged only on its own output slice, and no step loops over examples in Python.
"""

from typing import NamedTuple

import numpy as np

from grapheme_numba.brains.structural import structural_weight
from grapheme_numba.errors import ShapeError
from grapheme_numba.kernels.assemble import add_parts, assemble_inputs, embedding_grad_parts
from grapheme_numba.kernels.losses import gather_slices, sliced_mse, sliced_mse_grad

PART_EXAMPLES = 64  # at least this many examples per partial embedding table
MOST_PARTS = 16  # more tables cost memory and one pass each


class StepResult(NamedTuple):
    """What one batch gave.

    loss : (batch,) float64, mean squared error of each example over its active outputs (0 without any).
    structural : (batch,) float64, structural loss of each decoded answer against the expected one.
    y_packed : (batch, n_target), each example's own output slice from column 0.
    """

    loss: np.ndarray
    structural: np.ndarray
    y_packed: np.ndarray


class BrainModel:
    """One DAG and one embedding, read and judged through the slices of a layout.

    Parameters
    ----------
    layout : Layout
        Which inputs and outputs each domain owns, and how its answers are coded.
    dag : DagNN
        With `layout.n_input` inputs and `layout.n_output` outputs, in the layout's order.
    embedding : Embedding
        `layout.vocab_size` rows of `layout.embedding_dim`, of the DAG's dtype.

    Attributes
    ----------
    parameters, gradients : (n_parameter,)
        One flat vector each: weights | biases | embedding. The DAG and the embedding hold views of it.

    Raises
    ------
    ShapeError
        The DAG or the embedding does not have the layout's sizes.
    """

    def __init__(self, layout, dag, embedding):
        _check_sizes(layout, dag, embedding)
        self.layout, self.dag, self.embedding = layout, dag, embedding
        self.dtype = np.dtype(dag.dtype)
        self._n_dag = dag.n_edge + dag.n_node
        n = self._n_dag + embedding.vocab_size * embedding.dim
        self.parameters, self.gradients = np.zeros(n, self.dtype), np.zeros(n, self.dtype)
        dag.bind(self.parameters[: self._n_dag], self.gradients[: self._n_dag])
        embedding.bind(self.parameters[self._n_dag :], self.gradients[self._n_dag :])

    def forward(self, batch) -> np.ndarray:
        """The outputs (batch, n_target) of each example's own slice, from column 0; 0 right of it."""
        raise NotImplementedError

    def evaluate(self, batch) -> StepResult:
        """Loss, structural loss and outputs of a batch; no gradient."""
        raise NotImplementedError

    def accumulate(self, batch, structural="none") -> StepResult:
        """Forward and backward: ADDS the gradients, summed over examples, to `gradients`.

        Parameters
        ----------
        batch : Batch
        structural : {"none", "sqrt", "sqrt1p"}
            Factor of each example's output gradient, of its structural loss. The loss stays unweighted.
        """
        raise NotImplementedError

    def zero_grad(self) -> None:
        """Set every gradient to 0."""
        self.gradients[:] = 0

    def parameters_changed(self) -> None:
        """Tell the engine that `parameters` was written to."""
        self.dag.parameters_changed()

    def to_caller_order(self, flat) -> np.ndarray:
        """A flat vector (parameters, gradients, optimizer state) with edges and nodes in the caller's order."""
        return np.concatenate([self.dag.to_caller_order(flat[: self._n_dag]), flat[self._n_dag :]])

    def from_caller_order(self, flat) -> np.ndarray:
        """The inverse of `to_caller_order`."""
        return np.concatenate([self.dag.from_caller_order(flat[: self._n_dag]), flat[self._n_dag :]])

    def topology(self) -> dict[str, np.ndarray]:
        """The DAG as arrays, enough for `DagNN.from_topology`."""
        return self.dag.topology()
