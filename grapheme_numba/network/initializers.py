"""Initial weights, one per edge in the caller's order: a function of the seed and the degrees alone."""

from typing import Any

import numpy as np

from grapheme_numba.arguments import is_name, shown
from grapheme_numba.errors import GraphError
from grapheme_numba.network.arrays import Array
from grapheme_numba.randomness import generator

INITS = ("dynamic_xavier", "xavier", "he", "uniform", "zero")


def initial_weights(init: str, senders: Array, receivers: Array, n_node: int, seed: int, dtype: np.dtype[Any]) -> Array:
    """Draw the weights of every edge.

    Parameters
    ----------
    init : str
        `dynamic_xavier` (alias `xavier`): uniform within sqrt(6 / (fan_in + fan_out)), fan_in the
        receiver's in-degree and fan_out the sender's out-degree (Glorot and Bengio 2010, per edge);
        `he`: uniform within sqrt(6 / fan_in) (He et al. 2015); `uniform`: within 1 / sqrt(fan_in);
        `zero`.
    senders, receivers : integer arrays (n_edge,)
    n_node, seed : int
    dtype : float32 or float64

    Returns
    -------
    ndarray (n_edge,)

    Raises
    ------
    GraphError
        For an unknown name.
    """
    if not is_name(init, INITS):
        raise GraphError(f"unknown init {shown(init)}; choose one of {', '.join(INITS)}")
    n_edge = len(senders)
    if init == "zero":
        return np.zeros(n_edge, dtype)
    fan_in = np.bincount(receivers, minlength=n_node)[receivers].astype(dtype)
    if init == "he":
        limit = np.sqrt(6.0 / fan_in)
    elif init == "uniform":
        limit = 1.0 / np.sqrt(fan_in)
    else:
        limit = np.sqrt(6.0 / (fan_in + np.bincount(senders, minlength=n_node)[senders]))
    draws = generator(seed).random(n_edge, dtype=dtype)
    return ((2 * draws - 1) * limit).astype(dtype)
