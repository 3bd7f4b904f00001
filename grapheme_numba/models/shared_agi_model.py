"""SharedAGIModel: several brains in one DAG, each with its own inputs and outputs, hidden nodes shared."""

import numpy as np

from grapheme_numba.errors import ShapeError, UsageError
from grapheme_numba.models import structural as structure
from grapheme_numba.models.hidden_graph import Sharing, layered_topology, sharing
from grapheme_numba.models.slices import allocate_brain_slices
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.network.losses import mse


class SharedAGIModel:
    """One DagNN whose inputs and outputs are all brains' slices, and one Embedding for all brains.

    Parameters
    ----------
    requests : iterable of (name, n_input, n_output)
        The brains, as for `allocate_brain_slices`.
    hidden : int or sequence of int
        Width of each shared hidden layer.
    fan_in, skip, seed
        As for `layered_topology`.
    embedding_dim, vocab_size : int
        Of the embedding that turns whole-number inputs into numbers.
    activation, init, dtype
        As for `DagNN.from_edges`; outputs are linear.
    structural_weight : {"sqrt1p", "sqrt", "none"}
        How an example's structural loss scales its gradient.

    Attributes
    ----------
    slices : dict[str, BrainSlice]
    dag : DagNN
    embedding : Embedding
    n_accumulated : int
        Examples since `zero_grad`.
    """

    def __init__(
        self,
        requests,
        *,
        hidden=128,
        fan_in=32,
        skip=0.0,
        seed=0,
        embedding_dim=8,
        vocab_size=257,
        activation="leaky_relu",
        init="dynamic_xavier",
        dtype="float32",
        structural_weight="sqrt1p",
    ):
        self.slices = allocate_brain_slices(requests)
        widths = [hidden] if isinstance(hidden, (int, np.integer)) else list(hidden)
        self._topology = layered_topology(self.slices.values(), widths, fan_in, skip, seed)
        self.dag = DagNN.from_edges(
            self._topology.senders,
            self._topology.receivers,
            inputs=self._topology.inputs,
            outputs=self._topology.outputs,
            n_node=self._topology.n_node,
            activation=self._topology.activations(activation),
            init=init,
            seed=seed,
            dtype=dtype,
        )
        self.embedding = Embedding(vocab_size, embedding_dim, seed=seed, dtype=dtype)
        self.dtype = np.dtype(dtype)
        self.structural_weight = structure.checked_weight(structural_weight)
        self._latest = None  # (brain, tokens or None, y) of the latest forward
        self.n_accumulated = 0

    def zero_grad(self) -> None:
        """Set the gradients of network and embedding to 0."""
        self.dag.zero_grad()
        self.embedding.zero_grad()
        self.n_accumulated = 0

    def forward(self, brain: str, x) -> np.ndarray:
        """Outputs (batch, n_output) of one brain.

        Parameters
        ----------
        brain : str
        x : (batch, n_input) float, or (batch, length) int with `length * embedding_dim == n_input`
            Numbers for the brain's inputs, or ids that the shared embedding turns into numbers.

        Raises
        ------
        UsageError
            No brain of that name.
        ShapeError
            `x` does not fit the brain's inputs.
        """
        owned = self._slice(brain)
        x = np.asarray(x)
        tokens = x if x.dtype.kind in "iu" else None
        width = 1 if tokens is None else self.embedding.dim
        if x.ndim != 2 or x.shape[1] * width != owned.n_input:
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

    def accumulate_gradients(self, brain: str, structural, target) -> float:
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

    def sharing(self) -> Sharing:
        """Sizes of the graph and how many hidden nodes all brains share."""
        return sharing(*self._topology, self.slices.values())

    def _slice(self, brain):
        if brain not in self.slices:
            raise UsageError(f"no brain is called {brain!r}; the brains are {', '.join(self.slices)}")
        return self.slices[brain]
