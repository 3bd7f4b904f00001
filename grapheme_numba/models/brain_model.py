"""BrainModel: a DAG, an embedding and a layout that together learn from mixed batches.

Both trainers use it. Examples of different domains stand in one batch: each drives only its own
input slice and is judged only on its own output slice, and no step loops over examples in Python.
"""

import math
from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import ShapeError
from grapheme_numba.kernels.codec.decode import judge
from grapheme_numba.kernels.engine.embedding import TEXT, add_parts, assemble_inputs, embedding_grad_parts
from grapheme_numba.kernels.engine.losses import gather_slices, sliced_mse, sliced_mse_grad
from grapheme_numba.models.hidden_graph import Sharing, layout_slices, sharing
from grapheme_numba.models.structural import chain_loss, structural_weight

PART_EXAMPLES = 64  # at least this many examples per partial embedding table
MOST_PARTS = 16  # more tables cost memory and one pass each


class StepResult(NamedTuple):
    """What one batch gave.

    loss : (batch,) float64, mean squared error of each example over its active outputs (0 without any).
    structural : (batch,) float64, structural loss of each decoded answer against the expected one.
    y_packed : (batch, n_target), each example's own output slice from column 0.
    right : (batch,) bool, whether the decoded answer is the expected one (False where nothing is judged).
    """

    loss: np.ndarray
    structural: np.ndarray
    y_packed: np.ndarray
    right: np.ndarray


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
    grafted : bool or None
        Of a fresh model on a graph of one's own: whether that is only the hidden part, or the whole network.

    Raises
    ------
    ShapeError
        The DAG or the embedding does not have the layout's sizes.
    """

    def __init__(self, layout, dag, embedding):
        _check_sizes(layout, dag, embedding)
        self.layout, self.dag, self.embedding, self.grafted = layout, dag, embedding, None
        self.dtype = np.dtype(dag.dtype)
        self._buffers: dict[str, np.ndarray] = {}
        self._n_dag = dag.n_edge + dag.n_node
        n = self._n_dag + embedding.vocab_size * embedding.dim
        self.bind(np.zeros(n, self.dtype), np.zeros(n, self.dtype))

    def bind(self, parameters, gradients) -> None:
        """Move parameters and gradients into flat vectors (n_parameter,) of someone else, which are overwritten."""
        self.dag.bind(parameters[: self._n_dag], gradients[: self._n_dag])
        self.embedding.bind(parameters[self._n_dag :], gradients[self._n_dag :])
        self.parameters, self.gradients = parameters, gradients

    def forward(self, batch) -> np.ndarray:
        """The outputs (batch, n_target) of each example's own slice, from column 0; 0 right of it."""
        return self._packed(self._outputs(batch), batch)

    def evaluate(self, batch) -> StepResult:
        """Loss, structural loss and outputs of a batch; no gradient."""
        return self._judged(self._outputs(batch), batch)

    def accumulate(self, batch, structural="none") -> StepResult:
        """Forward and backward: ADDS the gradients, summed over examples, to `gradients`.

        Parameters
        ----------
        batch : Batch
        structural : {"none", "sqrt", "sqrt1p"}
            Factor of each example's output gradient, of its structural loss. The loss stays unweighted.
        """
        y = self._outputs(batch)
        result = self._judged(y, batch)
        if not len(y):
            return result
        weight = structural_weight(structural, result.structural)
        gy = self._buffer("gy", y.shape, self.dtype)
        sliced_mse_grad(y, batch.targets, self.layout.output_start[batch.domain], batch.n_active, weight, gy)
        self._accumulate_embedding(batch, self.dag.backward_accumulate(gy))
        return result

    def forward_with_inputs(self, batch) -> tuple[np.ndarray, np.ndarray]:
        """The whole network's outputs (batch, n_output), and its inputs (batch, n_input) until the next pass."""
        y = self._outputs(batch)
        return y, self._buffer("x", (len(y), self.layout.n_input), self.dtype)

    def _outputs(self, batch) -> np.ndarray:
        layout = self.layout
        if not len(batch.domain):  # all of its examples were left out
            return np.empty((0, layout.n_output), self.dtype)
        x = self._buffer("x", (len(batch.domain), layout.n_input), self.dtype)
        assemble_inputs(
            batch.domain,
            batch.tokens,
            batch.values,
            layout.input_kind,
            layout.input_start,
            layout.input_size,
            self.embedding.weights,
            x,
        )
        return self.dag.forward(x)

    def _packed(self, y, batch) -> np.ndarray:
        packed = np.empty((len(y), self.layout.n_target), self.dtype)
        gather_slices(y, self.layout.output_start[batch.domain], self.layout.output_size[batch.domain], packed)
        return packed

    def _judged(self, y, batch) -> StepResult:
        loss = np.empty(len(y), np.float64)
        sliced_mse(y, batch.targets, self.layout.output_start[batch.domain], batch.n_active, loss)
        packed = self._packed(y, batch)
        length, right = np.empty(len(y), np.int32), np.empty(len(y), np.bool_)
        judge(batch.domain, packed, batch.targets, batch.n_active, self.layout.answers, length, right)
        structural = chain_loss(length, batch.answer_length)
        structural[batch.n_active == 0] = 0.0  # nothing is judged, so nothing is wrong
        return StepResult(loss, structural, packed, right)

    def _accumulate_embedding(self, batch, gx) -> None:
        """Add dL/dx of the tokens to the embedding's gradient, in an order that only the batch decides."""
        if not np.any(self.layout.input_kind == TEXT):
            return
        n_part = min(MOST_PARTS, -(-len(gx) // PART_EXAMPLES))
        parts = self._buffer("parts", (n_part, *self.embedding.weights.shape), self.dtype)
        layout = self.layout
        embedding_grad_parts(
            batch.domain, batch.tokens, layout.input_kind, layout.input_start, layout.input_size, gx, parts
        )
        add_parts(parts, self.embedding.grads)

    def _buffer(self, name, shape, dtype) -> np.ndarray:
        """A C-contiguous array of `shape` that lives on between batches: fresh pages cost more than the kernels."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers[name] = np.empty(size, dtype)
        return self._buffers[name][:size].reshape(shape)

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

    def sharing(self) -> Sharing:
        """Sizes of the graph and how many hidden nodes all brains share."""
        graph = self.dag.topology()
        edges = graph["senders"], graph["receivers"], graph["inputs"], graph["outputs"]
        return sharing(*edges, self.dag.n_node, layout_slices(self.layout))


def _check_sizes(layout, dag, embedding) -> None:
    if (dag.n_input, dag.n_output) != (layout.n_input, layout.n_output):
        raise ShapeError(
            f"the network has {dag.n_input} inputs and {dag.n_output} outputs, the layout of brains "
            f"{', '.join(layout.names)} needs {layout.n_input} and {layout.n_output}; build it for this layout"
        )
    if (embedding.vocab_size, embedding.dim) != (layout.vocab_size, layout.embedding_dim):
        raise ShapeError(
            f"the embedding has {embedding.vocab_size} rows of {embedding.dim}, the layout needs "
            f"{layout.vocab_size} of {layout.embedding_dim}; build it for this layout"
        )
