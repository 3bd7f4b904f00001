"""How far the graph of a decoded answer is from the graph of the expected one, and what that weighs.

A text of n characters is a chain: n nodes and n - 1 edges (none of either for the empty text).
"""

import sys
from collections.abc import Callable
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode
from grapheme_numba.errors import ShapeError, UsageError

Float64 = npt.NDArray[np.float64]


@overload
def structural_loss(
    n_nodes_pred: float, n_edges_pred: float, n_nodes_true: float, n_edges_true: float, alpha: float = ...,
    beta: float = ...,
) -> float: ...  # fmt: skip


@overload
def structural_loss(
    n_nodes_pred: npt.ArrayLike, n_edges_pred: npt.ArrayLike, n_nodes_true: npt.ArrayLike, n_edges_true: npt.ArrayLike,
    alpha: float = ..., beta: float = ...,
) -> float | Float64: ...  # fmt: skip


@float_mode.standard()
def structural_loss(
    n_nodes_pred: npt.ArrayLike, n_edges_pred: npt.ArrayLike, n_nodes_true: npt.ArrayLike, n_edges_true: npt.ArrayLike,
    alpha: float = 1.0, beta: float = 0.5,
) -> float | Float64:  # fmt: skip
    """`alpha * |n_nodes_pred - n_nodes_true| + beta * |n_edges_pred - n_edges_true|`, elementwise.

    Parameters
    ----------
    n_nodes_pred, n_edges_pred, n_nodes_true, n_edges_true
        Counts: numbers or arrays of shapes that broadcast against each other.
    alpha, beta
        The price of a node and of an edge, at least 0.

    Returns
    -------
    float or ndarray of float64
        A float where all four counts are numbers.

    Raises
    ------
    ShapeError
        A count is not a finite number of at least 0, or the shapes do not fit each other.
    UsageError
        `alpha` or `beta` is negative or not finite.
    """
    for name, price in (("alpha", alpha), ("beta", beta)):
        if not arguments.is_number(price, 0, sys.float_info.max):
            raise UsageError(
                f"{name} is {arguments.shown(price)}; the price of a difference must be a finite number of at least 0"
            )
    counts = {
        "n_nodes_pred": n_nodes_pred,
        "n_edges_pred": n_edges_pred,
        "n_nodes_true": n_nodes_true,
        "n_edges_true": n_edges_true,
    }
    arrays = [_counts(name, value) for name, value in counts.items()]
    try:
        nodes_pred, edges_pred, nodes_true, edges_true = np.broadcast_arrays(*arrays)
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(counts, arrays, strict=True))
        raise ShapeError(f"the counts do not broadcast against each other: {shapes}; give equal shapes") from None
    loss: Any = alpha * np.abs(nodes_pred - nodes_true) + beta * np.abs(edges_pred - edges_true)
    return float(loss) if loss.ndim == 0 else loss


@overload
def chain_loss(length_pred: float, length_true: float, alpha: float = ..., beta: float = ...) -> float: ...


@overload
def chain_loss(
    length_pred: npt.NDArray[Any], length_true: npt.NDArray[Any], alpha: float = ..., beta: float = ...
) -> Float64: ...


def chain_loss(
    length_pred: npt.ArrayLike, length_true: npt.ArrayLike, alpha: float = 1.0, beta: float = 0.5
) -> float | Float64:
    """The structural loss between texts of these lengths (numbers or arrays), each a chain of characters."""
    return structural_loss(
        length_pred,
        np.maximum(np.subtract(length_pred, 1), 0),
        length_true,
        np.maximum(np.subtract(length_true, 1), 0),
        alpha,
        beta,
    )


STRUCTURAL_WEIGHTS: dict[str, Callable[[Float64], Float64]] = {
    "none": np.ones_like,
    "sqrt": np.sqrt,
    "sqrt1p": lambda loss: np.sqrt(1.0 + loss),
}


def structural_weight(kind: str, loss: npt.ArrayLike) -> Float64:
    """The factor on an example's output gradient for its structural loss.

    `none` is 1; `sqrt` is sqrt(L), which stops learning as soon as the length is right; `sqrt1p` is
    sqrt(1 + L), which does not.

    Raises
    ------
    UsageError
        `kind` is not one of `STRUCTURAL_WEIGHTS`.
    """
    return STRUCTURAL_WEIGHTS[checked_weight(kind)](_counts("structural", loss))


def checked_weight(kind: str) -> str:
    """`kind` if it is a known structural weight, else UsageError."""
    if not arguments.is_name(kind, STRUCTURAL_WEIGHTS):
        raise UsageError(
            f"structural weight {arguments.shown(kind)} is unknown; choose one of {', '.join(STRUCTURAL_WEIGHTS)}"
        )
    return kind


def _counts(name: str, value: npt.ArrayLike) -> Float64:
    try:
        array = arguments.array(name, value).astype(np.float64)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} is {arguments.shown(value)}; give a count or an array of counts") from None
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ShapeError(f"{name} holds a value that is not a finite number of at least 0; counts of nodes or edges")
    return array
