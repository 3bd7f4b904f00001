"""SharedAGIModel: several brains in one DAG, each with its own inputs and outputs, hidden nodes shared."""

from collections.abc import Iterable, Sequence
from typing import Any, overload

import numpy as np

from grapheme_numba import arguments
from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.errors import ShapeError, UsageError, few
from grapheme_numba.models import structural as structure
from grapheme_numba.models.brain_model import Array, BrainModel
from grapheme_numba.models.hidden_graph import layered_network, layout_slices
from grapheme_numba.models.slices import BrainSlice, allocate_brain_slices
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.network.losses import mse
from grapheme_numba.network.parameters import checked_network


class SharedAGIModel(BrainModel):
    """One DagNN whose inputs and outputs are all brains' slices, and one Embedding for all brains.

    It learns in two ways. `forward(brain, x)` and `accumulate_gradients` serve one brain at a time, with arrays of
    one's own. `forward(batch)`, `loss` and `backward_accumulate` take batches of records in which every example
    has its own brain, as the trainer `unified` does; they need a layout.

    Parameters
    ----------
    requests : iterable of (name, n_input, n_output), or Layout
        The brains, as for `allocate_brain_slices`; or a layout, whose domains are the brains.
    hidden : int or sequence of int
        Width of each shared hidden layer.
    fan_in, skip, seed
        As for `layered_topology`.
    embedding_dim, vocab_size : int
        Of the embedding that turns whole-number inputs into numbers; a layout has its own.
    activation, init, dtype
        As for `DagNN.from_edges`; outputs are linear.
    structural_weight : {"sqrt1p", "sqrt", "none"}
        How `accumulate_gradients` scales an example's gradient by its structural loss.
    dag : DagNN, optional
        A network of one's own instead of the layered one, with the inputs and outputs of all slices in order.
    embedding : Embedding, optional
        An embedding of one's own.

    Attributes
    ----------
    slices : dict[str, BrainSlice]
    dag : DagNN
    embedding : Embedding
    n_accumulated : int
        Examples of `accumulate_gradients` since `zero_grad`.
    """

    def __init__(
        self,
        requests: Iterable[tuple[str, int, int]] | Layout,
        *,
        hidden: int | Sequence[int] = 128,
        fan_in: int = 32,
        skip: float = 0.0,
        seed: int = 0,
        embedding_dim: int = 8,
        vocab_size: int = 257,
        activation: str = "leaky_relu",
        init: str = "dynamic_xavier",
        dtype: str = "float32",
        structural_weight: str = "sqrt1p",
        dag: DagNN | None = None,
        embedding: Embedding | None = None,
    ) -> None:
        layout: Layout | None = None
        if isinstance(requests, Layout):
            layout = requests
            self.slices = {one.brain: one for one in layout_slices(layout)}
            embedding_dim, vocab_size = layout.embedding_dim, layout.vocab_size
        else:
            self.slices = allocate_brain_slices(requests)
        self.structural_weight = structure.checked_weight(structural_weight)
        if dag is not None:
            checked_network(dag)
        else:
            widths = [int(hidden)] if isinstance(hidden, int | np.integer) else hidden
            dag = layered_network(
                self.brain_slices(), widths, fan_in, skip, activation=activation, init=init, seed=seed, dtype=dtype
            )
        if embedding is None:
            embedding = Embedding(vocab_size, embedding_dim, seed=seed, dtype=dag.dtype)
        super().__init__(layout, dag, embedding)
        self._latest: tuple[str, Array | None, Array] | None = None  # (brain, tokens, y) of the latest forward
        self.n_accumulated = 0

    def with_dag(self, dag: DagNN) -> "SharedAGIModel":
        """The same brains on another network between the same inputs and outputs."""
        return SharedAGIModel(self.layout, dag=dag, embedding=self.embedding, structural_weight=self.structural_weight)

    def brain_slices(self) -> list[BrainSlice]:
        """The inputs and outputs of every brain, in the order of the requests."""
        return list(self.slices.values())

    def zero_grad(self) -> None:
        """Set the gradients of network and embedding to 0."""
        super().zero_grad()
        self.n_accumulated = 0

    @overload
    def forward(self, brain: Batch) -> Array: ...

    @overload
    def forward(self, brain: str, x: Any) -> Array: ...

    def forward(self, brain: str | Batch, x: Any = None) -> Array:
        """Outputs (batch, n_output) of one brain; or, of a `Batch` of records, all outputs of the network.

        Parameters
        ----------
        brain : str or Batch
        x : (batch, n_input) float, or (batch, length) int with `length * embedding_dim == n_input`
            Numbers for the brain's inputs, or ids that the shared embedding turns into numbers.

        Raises
        ------
        UsageError
            No brain of that name.
        ShapeError
            `x` does not fit the brain's inputs.
        """
        if isinstance(brain, Batch):
            return super().forward(brain)
        owned = self._slice(brain)
        x = arguments.array("x", x)
        tokens = x if x.dtype.kind in "iu" else None
        width = 1 if tokens is None else self.embedding.dim
        if x.ndim != 2 or x.dtype.kind not in "fiub" or x.shape[1] * width != owned.n_input:
            raise ShapeError(
                f"x for brain '{brain}' has dtype {x.dtype} and shape {x.shape}; give numbers of shape "
                f"(batch, {owned.n_input}), or whole ids of shape (batch, n) with n * {self.embedding.dim} "
                f"= {owned.n_input} for the embedding"
            )
        whole = np.zeros((len(x), self.dag.n_input), self.dtype)
        own = x if tokens is None else self.embedding.forward(tokens).reshape(len(x), -1)
        whole[:, owned.input_range.start : owned.input_range.stop] = own
        y = self.dag.forward(whole)[:, owned.output_range.start : owned.output_range.stop].copy()
        self._latest = (brain, tokens, y)
        return y

    def accumulate_gradients(self, brain: str, structural: Any, target: Any) -> float:
        """Backward pass of the latest `forward` of this brain; ADDS to the gradients.

        Parameters
        ----------
        brain : str
        structural : float or (batch,) float
            Structural loss of each example, which scales its gradient.
        target : (batch, n_output) float

        Returns
        -------
        float
            The mean squared error summed over the examples, without the structural weight.

        Raises
        ------
        UsageError
            There was no forward pass since the last call, or it was another brain's.
        ShapeError
            `target` or `structural` does not fit the batch.
        """
        owned = self._slice(brain)
        if self._latest is None or self._latest[0] != brain:
            came = "none since the last accumulate_gradients" if self._latest is None else f"of '{self._latest[0]}'"
            raise UsageError(f"gradients for brain '{brain}' need its forward pass first; the latest was {came}")
        _, tokens, y = self._latest
        loss, grad = mse(y, target)
        weight = structure.structural_weight(self.structural_weight, structural)
        if weight.shape not in ((), (len(y),)):
            raise ShapeError(f"structural has shape {weight.shape}; give one number or {len(y)}, one per example")
        gy = np.zeros((len(y), self.dag.n_output), self.dtype)
        gy[:, owned.output_range.start : owned.output_range.stop] = grad * weight.reshape(-1, 1)
        gx = self.dag.backward_accumulate(gy)
        if tokens is not None:
            own = gx[:, owned.input_range.start : owned.input_range.stop]
            self.embedding.backward_accumulate(tokens, own.reshape(*tokens.shape, self.embedding.dim))
        self._latest = None
        self.n_accumulated += len(y)
        return loss

    def apply_gradients(self, lr: float) -> None:
        """One step of plain SGD over network and embedding: `w -= lr * gradient`; gradients stay until `zero_grad`.

        The gradients are sums over examples: give `lr / model.n_accumulated` to step by their mean.
        """
        self.dag.step(lr)
        self.embedding.step(lr)

    def _slice(self, brain: str) -> BrainSlice:
        if not arguments.is_name(brain, self.slices):
            raise UsageError(f"no brain is called {arguments.shown(brain)}; the brains are {few(self.slices)}")
        return self.slices[brain]
