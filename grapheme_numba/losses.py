"""The mean squared error, checked once at the boundary and computed by a kernel."""

import numpy as np

from grapheme_numba.errors import ShapeError
from grapheme_numba.kernels.losses import chunked_sum, masked_mse


def mse(y, target, mask=None):
    """Mean squared error summed over examples, and its gradient.

    An example's loss is `sum((y - t)^2) / n` over its n active outputs, and 0 where none is active.

    Parameters
    ----------
    y : (batch, n_output) float32 or float64
    target : (batch, n_output) float
    mask : bool, optional
        True where an output is active; any shape that broadcasts to that of `y`. All are active without it.

    Returns
    -------
    loss : float
        The sum over the examples.
    grad : (batch, n_output), dtype of `y`
        dL/dy, `2 (y - t) / n` where active, else 0.

    Raises
    ------
    ShapeError
        Another shape or dtype, an empty batch, or a NaN or infinity in `target`.
    """
    y, target = np.asarray(y), np.asarray(target)
    if y.dtype not in (np.float32, np.float64) or y.ndim != 2 or y.shape[0] == 0:
        raise ShapeError(
            f"y has dtype {y.dtype} and shape {y.shape}; mse wants float32 or float64 of shape (batch, n_output) "
            "with at least one example, as forward returns it"
        )
    if target.shape != y.shape or target.dtype.kind not in "fiu":
        raise ShapeError(
            f"target has dtype {target.dtype} and shape {target.shape}, y has shape {y.shape}; "
            "give numbers of the same shape"
        )
    if not np.all(np.isfinite(target)):
        raise ShapeError("target holds NaN or infinity; mask those outputs and put 0 there")
    mask = _checked_mask(mask, y.shape)
    loss, grad = np.empty(y.shape[0]), np.empty_like(y, order="C")
    masked_mse(np.ascontiguousarray(y), np.ascontiguousarray(target, dtype=y.dtype), mask, loss, grad)
    return float(chunked_sum(loss)), grad


def _checked_mask(mask, shape) -> np.ndarray:
    if mask is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.asarray(mask)
    if mask.dtype != np.bool_:
        raise ShapeError(f"mask has dtype {mask.dtype}; give booleans, True where an output is active")
    try:
        return np.ascontiguousarray(np.broadcast_to(mask, shape))
    except ValueError:
        raise ShapeError(f"mask has shape {mask.shape}, which does not broadcast to {shape} of y") from None
