"""How far the graph of a decoded answer is from the graph of the expected one, and what that weighs.

A text of n characters is a chain: n nodes and n - 1 edges (none of either for the empty text).
"""

import numpy as np

from grapheme_numba.errors import ShapeError, UsageError


def structural_loss(n_nodes_pred, n_edges_pred, n_nodes_true, n_edges_true, alpha=1.0, beta=0.5):
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
        if not np.isfinite(price) or price < 0:
            raise UsageError(f"{name} is {price}; the price of a difference must be a finite number of at least 0")
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
    loss = alpha * np.abs(nodes_pred - nodes_true) + beta * np.abs(edges_pred - edges_true)
    return float(loss) if loss.ndim == 0 else loss


def chain_loss(length_pred, length_true, alpha=1.0, beta=0.5):
    """The structural loss between texts of these lengths (numbers or arrays), each a chain of characters."""
    return structural_loss(
        length_pred,
        np.maximum(np.subtract(length_pred, 1), 0),
        length_true,
        np.maximum(np.subtract(length_true, 1), 0),
        alpha,
        beta,
    )


STRUCTURAL_WEIGHTS = {
    "none": np.ones_like,
    "sqrt": np.sqrt,
    "sqrt1p": lambda loss: np.sqrt(1.0 + loss),
}


def structural_weight(kind: str, loss):
    """The factor on an example's output gradient for its structural loss.

    `none` is 1; `sqrt` is sqrt(L), which stops learning as soon as the length is right; `sqrt1p` is
    sqrt(1 + L), which does not.

    Raises
    ------
    UsageError
        `kind` is not one of `STRUCTURAL_WEIGHTS`.
    """
    return STRUCTURAL_WEIGHTS[checked_weight(kind)](np.asarray(loss, dtype=np.float64))


def checked_weight(kind: str) -> str:
    """`kind` if it is a known structural weight, else UsageError."""
    if kind not in STRUCTURAL_WEIGHTS:
        raise UsageError(f"structural weight '{kind}' is unknown; choose one of {', '.join(STRUCTURAL_WEIGHTS)}")
    return kind


def _counts(name, value) -> np.ndarray:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ShapeError(f"{name} is {value!r}; give a count or an array of counts") from None
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ShapeError(f"{name} holds a value that is not a finite number of at least 0; counts of nodes or edges")
    return array
