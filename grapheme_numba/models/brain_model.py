"""BrainModel: a DAG, an embedding and a layout that together learn from mixed batches.

Both trainers use it. Examples of different domains stand in one batch: each drives only its own
input slice and is judged only on its own output slice, and no step loops over examples in Python.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.errors import ShapeError, UsageError, few
from grapheme_numba.kernels.codec.decode import judge
from grapheme_numba.kernels.engine.embedding import TEXT, add_parts, assemble_inputs, embedding_grad_parts
from grapheme_numba.kernels.engine.losses import gather_slices, sliced_loss, sliced_loss_grad
from grapheme_numba.models.hidden_graph import Sharing, layout_slices, sharing
from grapheme_numba.models.slices import BrainSlice
from grapheme_numba.models.structural import chain_loss, structural_weight
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding

Array = npt.NDArray[Any]

PART_EXAMPLES = 64  # at least this many examples per partial embedding table
MOST_PARTS = 16  # more tables cost memory and one pass each


class StepResult(NamedTuple):
    """What one batch gave.

    loss : (batch,) float64, loss of each example over its active outputs (0 without any): the mean squared error,
        of labels the cross-entropy in quarters of a blind guess's (`losses.sliced_loss`).
    structural : (batch,) float64, structural loss of each decoded answer against the expected one.
    y_packed : (batch, n_target), each example's own output slice from column 0.
    right : (batch,) bool, whether the decoded answer is the expected one (False where nothing is judged).
    """

    loss: npt.NDArray[np.float64]
    structural: npt.NDArray[np.float64]
    y_packed: Array
    right: npt.NDArray[np.bool_]


class BrainModel:
    """One DAG and one embedding, read and judged through the slices of a layout.

    Parameters
    ----------
    layout : Layout or None
        Which inputs and outputs each domain owns, and how its answers are coded. Without one only the network
        itself can be used, not batches of records.
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

    def __init__(self, layout: Layout | None, dag: DagNN, embedding: Embedding) -> None:
        if layout is not None:
            _check_sizes(layout, dag, embedding)
        self._layout, self.dag, self.embedding = layout, dag, embedding
        self.grafted: bool | None = None
        self.dtype = np.dtype(dag.dtype)
        self._buffers: dict[str, Array] = {}
        self._batch: Batch | None = None  # of the latest forward pass
        self._n_dag = dag.n_edge + dag.n_node
        n = self._n_dag + embedding.vocab_size * embedding.dim
        self.parameters, self.gradients = np.zeros(n, self.dtype), np.zeros(n, self.dtype)
        self.bind(self.parameters, self.gradients)

    @property
    def layout(self) -> Layout:
        """The layout. Raises UsageError where the model was made without one."""
        if self._layout is None:
            raise UsageError(
                "this model was made without a layout, so it cannot read records; give their layout when you make it"
            )
        return self._layout

    def with_dag(self, dag: DagNN) -> "BrainModel":
        """A model of this kind on another network between the same inputs and outputs."""
        return BrainModel(self.layout, dag, self.embedding)

    def calibrate(self, layout: Layout) -> None:
        """Take `layout`, which differs from the present one in the calibration of its confidences."""
        self._layout = layout

    def bind(self, parameters: Array, gradients: Array) -> None:
        """Move parameters and gradients into flat vectors (n_parameter,) of someone else, which are overwritten."""
        self.dag.bind(parameters[: self._n_dag], gradients[: self._n_dag])
        self.embedding.bind(parameters[self._n_dag :], gradients[self._n_dag :])
        self.parameters, self.gradients = parameters, gradients

    def forward(self, batch: Batch) -> Array:
        """All outputs (batch, n_output) of the network, whosever they are; `own_outputs` picks each example's."""
        layout = self.layout
        self._batch = batch
        if not len(batch.domain):  # all of its examples were left out
            return np.empty((0, layout.n_output), self.dtype)
        x = self._buffer("x", (len(batch.domain), layout.n_input), self.dtype)
        assemble_inputs(
            batch.domain,
            batch.tokens,
            batch.values,
            layout.slots,
            self.embedding.weights,
            x,
        )
        return self.dag.forward_latest(x, self.dag.requires_grad)  # whether it is finite, the guard looks

    def loss(self, batch: Batch, structural: str = "none") -> Callable[[Array], tuple[StepResult, Array]]:
        """The loss of a batch as a function of all outputs `y`: (`StepResult`, dL/dy of the sum over examples).

        Parameters
        ----------
        batch : Batch
        structural : {"none", "sqrt", "sqrt1p"}
            Factor of each example's output gradient, of its structural loss, beside `batch.weight`. The loss stays
            unweighted.
        """

        def loss_of(y: Array) -> tuple[StepResult, Array]:
            result = self._judged(y, batch)
            if not len(y):
                return result, y
            weight = structural_weight(structural, result.structural)
            if batch.weight is not None:
                weight = weight * batch.weight
            gy = self._buffer("gy", y.shape, self.dtype)
            sliced_loss_grad(y, batch.targets, *self._judged_slices(batch), weight, gy)
            return result, gy

        return loss_of

    def backward_accumulate(self, gy: Array) -> None:
        """Backward pass of the latest `forward`: ADDS the gradients, summed over examples, to `gradients`.

        Raises UsageError where there was no forward pass.
        """
        if self._batch is None:
            raise UsageError("backward_accumulate needs a forward pass first; call forward(batch)")
        if len(gy):
            self._accumulate_embedding(self._batch, self.dag.backward_accumulate(gy))

    def own_outputs(self, batch: Batch) -> Array:
        """The outputs (batch, n_target) of each example's own slice, from column 0; 0 right of it."""
        return self._packed(self.forward(batch), batch)

    def evaluate(self, batch: Batch) -> StepResult:
        """Loss, structural loss and outputs of a batch; no gradient."""
        return self._judged(self.forward(batch), batch)

    def forward_with_inputs(self, batch: Batch) -> tuple[Array, Array]:
        """The whole network's outputs (batch, n_output), and its inputs (batch, n_input) until the next pass."""
        y = self.forward(batch)
        return y, self._buffer("x", (len(y), self.layout.n_input), self.dtype)

    def _packed(self, y: Array, batch: Batch) -> Array:
        packed = np.empty((len(y), self.layout.n_target), self.dtype)
        gather_slices(y, self.layout.output_start[batch.domain], self.layout.output_size[batch.domain], packed)
        return packed

    def _judged_slices(self, batch: Batch) -> tuple[Array, Array, Array]:
        """Of each example the first output, the active ones, and whether they are logits."""
        layout = self.layout
        return layout.output_start[batch.domain], batch.n_active, layout.is_label[batch.domain]

    def _judged(self, y: Array, batch: Batch) -> StepResult:
        loss = np.empty(len(y), np.float64)
        sliced_loss(y, batch.targets, *self._judged_slices(batch), loss)
        packed = self._packed(y, batch)
        length, right = np.empty(len(y), np.int32), np.empty(len(y), np.bool_)
        judge(batch.domain, packed, batch.targets, batch.n_active, self.layout.answers, length, right)
        structural = chain_loss(length, batch.answer_length)
        structural[batch.n_active == 0] = 0.0  # nothing is judged, so nothing is wrong
        return StepResult(loss, structural, packed, right)

    def _accumulate_embedding(self, batch: Batch, gx: Array) -> None:
        """Add dL/dx of the tokens to the embedding's gradient, in an order that only the batch decides."""
        if not np.any(self.layout.input_kind == TEXT):
            return
        n_part = min(MOST_PARTS, -(-len(gx) // PART_EXAMPLES))
        parts = self._buffer("parts", (n_part, *self.embedding.weights.shape), self.dtype)
        layout = self.layout
        embedding_grad_parts(batch.domain, batch.tokens, layout.slots, gx, parts)
        add_parts(parts, self.embedding.grads)

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
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

    def to_caller_order(self, flat: Array) -> Array:
        """A flat vector (parameters, gradients, optimizer state) with edges and nodes in the caller's order."""
        return np.concatenate([self.dag.to_caller_order(flat[: self._n_dag]), flat[self._n_dag :]])

    def from_caller_order(self, flat: Array) -> Array:
        """The inverse of `to_caller_order`."""
        return np.concatenate([self.dag.from_caller_order(flat[: self._n_dag]), flat[self._n_dag :]])

    def topology(self) -> dict[str, Array]:
        """The DAG as arrays, enough for `DagNN.from_topology`."""
        return self.dag.topology()

    def sharing(self) -> Sharing:
        """Sizes of the graph and how many hidden nodes all brains share."""
        graph = self.dag.topology()
        edges = graph["senders"], graph["receivers"], graph["inputs"], graph["outputs"]
        return sharing(*edges, self.dag.n_node, self.brain_slices())

    def brain_slices(self) -> list[BrainSlice]:
        """The inputs and outputs of every brain, in the layout's order."""
        return layout_slices(self.layout)


def _check_sizes(layout: Layout, dag: DagNN, embedding: Embedding) -> None:
    if (dag.n_input, dag.n_output) != (layout.n_input, layout.n_output):
        raise ShapeError(
            f"the network has {dag.n_input} inputs and {dag.n_output} outputs, the layout of brains "
            f"{few(layout.names)} needs {layout.n_input} and {layout.n_output}; build it for this layout"
        )
    if (embedding.vocab_size, embedding.dim) != (layout.vocab_size, layout.embedding_dim):
        raise ShapeError(
            f"the embedding has {embedding.vocab_size} rows of {embedding.dim}, the layout needs "
            f"{layout.vocab_size} of {layout.embedding_dim}; build it for this layout"
        )
