"""Losses and their gradients, checked once at the boundary and computed by kernels."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments
from grapheme_numba.errors import ShapeError
from grapheme_numba.kernels.engine import losses
from grapheme_numba.kernels.engine.losses import chunked_sum, masked_mse
from grapheme_numba.network.arrays import Array


def mse(y: npt.ArrayLike, target: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> tuple[float, Array]:
    """Mean squared error summed over examples, and its gradient.

    An example's loss is `sum((y - t)^2) / n` over its n active outputs, and 0 where none is active.

    Parameters
    ----------
    y : (batch, n_output) float32 or float64
    target : (batch, n_output) float
    mask : bool, or numbers 0 and 1, optional
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
    y, target = _checked_pair("mse", y, target)
    active = _checked_mask(mask, y.shape)
    loss, grad = np.empty(y.shape[0]), np.empty_like(y, order="C")
    masked_mse(y, target, active, loss, grad)
    return float(chunked_sum(loss)), grad


def _checked_mask(mask: npt.ArrayLike | None, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, dtype=np.bool_)
    given = arguments.array("mask", mask)
    numbers = given.dtype.kind in "iuf"
    active = given == 1 if numbers else given
    if given.dtype != np.bool_ and not (numbers and (active | (given == 0)).all()):
        raise ShapeError(f"mask has dtype {given.dtype}; give booleans or 0 and 1, true where an output is active")
    try:
        return np.ascontiguousarray(np.broadcast_to(active, shape))
    except ValueError:
        raise ShapeError(f"mask has shape {given.shape}, which does not broadcast to {shape} of y") from None


def cross_entropy(y: npt.ArrayLike, labels: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> tuple[float, Array]:
    """Softmax cross-entropy summed over examples, and its gradient.

    Parameters
    ----------
    y : (batch, n_class) float32 or float64
        Logits.
    labels : (batch,) int
        Number of each example's class.
    weight : (batch,) float, optional
        Factor of each example's loss; 1 without it.

    Returns
    -------
    loss : float
    grad : (batch, n_class), dtype of `y`

    Raises
    ------
    ShapeError
        Another shape or dtype, or a label that is no class.
    """
    y = _checked_outputs("cross_entropy", y)
    labels = arguments.array("labels", labels)
    if labels.shape != y.shape[:1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"labels has dtype {labels.dtype} and shape {labels.shape}; give one whole number per example, ({len(y)},)"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= y.shape[1]))
    if wrong.size:
        raise ShapeError(f"labels[{wrong[0]}] is {labels[wrong[0]]}; the classes run from 0 to {y.shape[1] - 1}")
    return _weighted(losses.softmax_cross_entropy, y, np.asarray(labels, np.int64), weight)


def binary_cross_entropy(
    y: npt.ArrayLike, target: npt.ArrayLike, weight: npt.ArrayLike | None = None
) -> tuple[float, Array]:
    """Mean over the outputs of the sigmoid cross-entropy, summed over examples, and its gradient.

    `y` (batch, n_output) holds logits, `target` of the same shape numbers from 0 to 1; `weight` and what
    is returned and raised are as for `cross_entropy`.
    """
    y, target = _checked_pair("binary_cross_entropy", y, target)
    if target.min() < 0 or target.max() > 1:
        raise ShapeError(f"target runs from {target.min()} to {target.max()}; give numbers from 0 to 1")
    return _weighted(losses.sigmoid_cross_entropy, y, target, weight)


def huber(
    y: npt.ArrayLike, target: npt.ArrayLike, weight: npt.ArrayLike | None = None, delta: float = 1.0
) -> tuple[float, Array]:
    """Huber's loss: `e^2 / 2` up to |e| = delta and linear beyond; the mean over outputs, summed over examples.

    `y` and `target` (batch, n_output); `weight` and what is returned and raised are as for `cross_entropy`.
    """
    y, target = _checked_pair("huber", y, target)
    if not arguments.is_number(delta, 0) or delta == 0:
        raise ShapeError(f"delta is {arguments.shown(delta)}; give a number above 0")
    return _weighted(losses.huber_error, y, target, weight, float(delta))


def _weighted(
    kernel: Callable[..., None], y: Array, target: Array, weight: npt.ArrayLike | None, *options: float
) -> tuple[float, Array]:
    given = np.ones(len(y)) if weight is None else arguments.array("weight", weight)
    if given.dtype.kind not in "fiub" or given.shape != (len(y),) or not np.isfinite(given).all():
        raise ShapeError(
            f"weight has dtype {given.dtype} and shape {given.shape}; give one finite number per example, ({len(y)},)"
        )
    weight = np.asarray(given, np.float64)
    loss, grad = np.empty(len(y)), np.empty_like(y)
    kernel(y, target, weight, *options, loss, grad)
    return float(chunked_sum(loss)), grad


def _checked_outputs(name: str, y: npt.ArrayLike) -> Array:
    y = arguments.array("y", y)
    if y.dtype not in (np.float32, np.float64) or y.ndim != 2 or y.shape[0] == 0:
        raise ShapeError(
            f"y has dtype {y.dtype} and shape {y.shape}; {name} wants float32 or float64 of shape (batch, n_output) "
            "with at least one example, as forward returns it"
        )
    return np.ascontiguousarray(y)


def _checked_pair(name: str, y: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Array, Array]:
    y, target = _checked_outputs(name, y), arguments.array("target", target)
    if target.shape != y.shape or target.dtype.kind not in "fiu":
        raise ShapeError(
            f"target has dtype {target.dtype} and shape {target.shape}, y has shape {y.shape}; "
            "give numbers of the same shape"
        )
    if not np.all(np.isfinite(target)):
        raise ShapeError("target holds NaN or infinity; mask those outputs and put 0 there")
    return y, np.ascontiguousarray(target, dtype=y.dtype)
