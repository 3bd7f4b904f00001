"""`Embedding`: a trainable vector per token id."""

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode
from grapheme_numba.errors import GraphError, ShapeError
from grapheme_numba.kernels.engine import embedding as kernels
from grapheme_numba.network import arrays
from grapheme_numba.network.arrays import Array
from grapheme_numba.randomness import generator

INITS = ("xavier", "uniform", "zero")


class Embedding:
    """Rows of `dim` numbers, one per id.

    Parameters
    ----------
    vocab_size, dim : int
    init : str
        `xavier`: uniform within sqrt(6 / (vocab_size + dim)); `uniform`: within 1 / sqrt(dim); `zero`.
    seed : int
    dtype : "float32" or "float64"

    Attributes
    ----------
    weights, grads : ndarray (vocab_size, dim)
        The rows, and the sums of their gradients since `zero_grad`.

    Raises
    ------
    ShapeError, GraphError
        For a size below 1, another dtype or an unknown init.
    """

    @float_mode.standard()
    def __init__(
        self, vocab_size: int, dim: int, init: str = "xavier", seed: int = 0, dtype: npt.DTypeLike = "float32"
    ) -> None:
        for name, value in (("vocab_size", vocab_size), ("dim", dim)):
            arguments.whole(name, value, 1, ShapeError)
        if not arguments.is_name(init, INITS):
            raise GraphError(f"unknown init {arguments.shown(init)}; choose one of {', '.join(INITS)}")
        self.vocab_size, self.dim, self.dtype = int(vocab_size), int(dim), arrays.float_dtype(dtype)
        shape = (self.vocab_size, self.dim)
        if init == "zero":
            self._weights: Array = np.zeros(shape, self.dtype)
        else:
            limit = np.sqrt(6.0 / (vocab_size + dim)) if init == "xavier" else 1.0 / np.sqrt(dim)
            draws = generator(seed).random(shape, dtype=self.dtype)
            self._weights = ((2 * draws - 1) * limit).astype(self.dtype)
        self.grads: Array = np.zeros(shape, self.dtype)

    @property
    def weights(self) -> Array:
        """The rows (vocab_size, dim), live: writing into it changes the embedding."""
        return self._weights

    @weights.setter
    def weights(self, values: npt.ArrayLike) -> None:
        values = arguments.array("weights", values)
        if values.shape != self._weights.shape:
            raise ShapeError(f"weights has shape {values.shape}; wanted {self._weights.shape}")
        self._weights[...] = arrays.vector("weights", values.ravel(), values.size, self.dtype).reshape(values.shape)

    def forward(self, ids: npt.ArrayLike) -> Array:
        """Vectors (batch, length, dim) for whole-number `ids` (batch, length)."""
        ids = self._check(ids)
        vectors = np.empty((ids.size, self.dim), self.dtype)
        kernels.lookup(self._weights, ids.ravel(), vectors)
        return vectors.reshape(*ids.shape, self.dim)

    def backward_accumulate(self, ids: npt.ArrayLike, grad: npt.ArrayLike) -> None:
        """Add `grad` (batch, length, dim), the loss's derivative by `forward(ids)`, to `grads`."""
        ids = self._check(ids)
        grad = arguments.array("grad", grad)
        if grad.shape != (*ids.shape, self.dim):
            raise ShapeError(f"grad has shape {grad.shape}; wanted {(*ids.shape, self.dim)}")
        rows = arrays.matrix("grad", grad.reshape(-1, self.dim), self.dim, self.dtype)
        arrays.refuse_non_finite("grad", rows)
        kernels.add_rows(ids.ravel(), rows, self.grads)

    def zero_grad(self) -> None:
        """Set every gradient to 0."""
        self.grads[...] = 0

    def step(self, lr: float) -> None:
        """Plain gradient descent: `weights -= lr * grads`. NonFiniteError, and no change, where one would overflow."""
        arrays.plain_step(self.grads.reshape(-1), lr, self._weights.reshape(-1))

    def bind(self, weights_view: Array, grads_view: Array) -> None:
        """Move rows and gradients into 1-D views (vocab_size * dim,) of flat vectors owned by someone else."""
        shape = (self.vocab_size, self.dim)
        weights_view[:], grads_view[:] = self._weights.ravel(), self.grads.ravel()
        self._weights, self.grads = weights_view.reshape(shape), grads_view.reshape(shape)

    def _check(self, ids: npt.ArrayLike) -> npt.NDArray[np.int32]:
        ids = arguments.array("ids", ids)
        if ids.ndim != 2 or not ids.size:
            raise ShapeError(f"ids has shape {ids.shape}; wanted (batch, length), with at least one id")
        if ids.dtype.kind not in "iu":
            raise ShapeError(f"ids has dtype {ids.dtype}; ids are whole numbers, so give an integer array")
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            row, column = np.argwhere((ids < 0) | (ids >= self.vocab_size))[0].tolist()
            raise ShapeError(f"ids[{row}, {column}] is {ids[row, column]}; ids run from 0 to {self.vocab_size - 1}")
        return np.require(ids, np.int32, ["C", "A", "W"])
