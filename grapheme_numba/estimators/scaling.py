"""Features and targets to mean 0 and standard deviation 1, with sample weights, dense or sparse."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.utils.sparsefuncs import mean_variance_axis

Array = npt.NDArray[Any]  # of the data's dtype, float32 or float64
Rows: TypeAlias = Any  # (n_row, n_column), an array or a SciPy sparse array, which has no types
Indices = npt.NDArray[np.intp]
SCALED_AT_ONCE = 256 << 20  # bytes: batch by batch, scaling took a tenth of a fit on handwritten digits


class Scale(NamedTuple):
    """Column means and standard deviations (n_column,); 1 where a column does not vary."""

    mean: Array
    deviation: Array

    def forward(self, values: Array) -> Array:
        """(values - mean) / deviation."""
        return (values - self.mean) / self.deviation

    def backward(self, values: Array) -> Array:
        """values * deviation + mean."""
        return values * self.deviation + self.mean


def measure(values: Rows, weight: npt.NDArray[np.float64]) -> Scale:
    """The `Scale` of the columns of `values` (n_row, n_column), rows weighted by `weight` (n_row,)."""
    unit = units(values)
    if hasattr(values, "tocsr"):
        values = values.tocsr().copy()
        values.data = values.data / unit[values.indices]
        mean, variance = mean_variance_axis(values, axis=0, weights=weight.astype(values.dtype))
    else:
        values = values / unit
        mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - mean) ** 2, axis=0, weights=weight)
    deviation = np.sqrt(variance)
    # A column of equal numbers has a variance of rounding errors, which grow with the numbers.
    flat = deviation <= 10 * np.finfo(values.dtype).eps * np.abs(mean)
    mean, deviation = (mean * unit).astype(values.dtype), (deviation * unit).astype(values.dtype)
    return Scale(mean, np.where(flat | (deviation == 0), 1, deviation).astype(values.dtype))


def units(values: Rows) -> npt.NDArray[Any]:
    """A power of two (n_column,) for each column, near its largest magnitude: dividing by it changes no digit.

    Squares of numbers near 1e-30 (float32) or 1e-200 would be 0, and those of 1e200 infinite.
    """
    largest = abs(values).max(axis=0)
    largest = np.asarray(largest.toarray() if hasattr(largest, "toarray") else largest).ravel()
    information = np.finfo(values.dtype)
    exponent = np.clip(np.frexp(largest)[1], information.minexp, information.maxexp - 1)
    return np.ldexp(np.ones(len(exponent), values.dtype), exponent)


def unscaled(n_column: int, dtype: npt.DTypeLike) -> Scale:
    """The `Scale` that changes nothing."""
    return Scale(np.zeros(n_column, dtype), np.ones(n_column, dtype))


def rows_of(X: Rows, rows: slice | Indices, columns: Indices, scale: Scale) -> Array:
    """Dense scaled rows of a dense or sparse `X`, C-contiguous: what the network takes in.

    X : (n_row, n_feature); rows : slice or indices; columns : (n_input,) features of the inputs.
    """
    chosen = X[rows]
    if hasattr(chosen, "toarray"):
        chosen = chosen.toarray()
    return np.ascontiguousarray(scale.forward(chosen)[:, columns])


def batches_of(X: Rows, columns: Indices, scale: Scale) -> Callable[[Indices], Array]:
    """A function from row numbers to what `rows_of` gives for them; a dense `X` of moderate size is scaled but once."""
    n_byte = X.shape[0] * len(columns) * X.dtype.itemsize
    if hasattr(X, "toarray") or n_byte > SCALED_AT_ONCE:
        return lambda rows: rows_of(X, rows, columns, scale)
    scaled = rows_of(X, slice(None), columns, scale)
    return lambda rows: scaled.take(rows, axis=0)
