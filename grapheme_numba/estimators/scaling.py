"""Features and targets to mean 0 and standard deviation 1, with sample weights, dense or sparse."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.sparsefuncs import mean_variance_axis


class Scale(NamedTuple):
    """Column means and standard deviations (n_column,); 1 where a column does not vary."""

    mean: np.ndarray
    deviation: np.ndarray

    def forward(self, values):
        """(values - mean) / deviation."""
        return (values - self.mean) / self.deviation

    def backward(self, values):
        """values * deviation + mean."""
        return values * self.deviation + self.mean


def measure(values, weight):
    """The `Scale` of the columns of `values` (n_row, n_column), rows weighted by `weight` (n_row,)."""
    if hasattr(values, "tocsr"):
        mean, variance = mean_variance_axis(values, axis=0, weights=weight.astype(values.dtype))
    else:
        mean = np.average(values, axis=0, weights=weight)
        variance = np.average((values - mean) ** 2, axis=0, weights=weight)
    deviation = np.sqrt(variance)
    # A column of equal numbers has a variance of rounding errors.
    flat = deviation <= 10 * np.finfo(values.dtype).eps * np.maximum(1.0, np.abs(mean))
    return Scale(mean.astype(values.dtype), np.where(flat, 1.0, deviation).astype(values.dtype))


def unscaled(n_column, dtype):
    """The `Scale` that changes nothing."""
    return Scale(np.zeros(n_column, dtype), np.ones(n_column, dtype))


def rows_of(X, rows, columns, scale):
    """Dense scaled rows of a dense or sparse `X`, C-contiguous: what the network takes in.

    X : (n_row, n_feature); rows : slice or indices; columns : (n_input,) features of the inputs.
    """
    chosen = X[rows]
    if hasattr(chosen, "toarray"):
        chosen = chosen.toarray()
    return np.ascontiguousarray(scale.forward(chosen)[:, columns])
