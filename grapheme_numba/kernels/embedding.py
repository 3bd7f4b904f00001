"""Embedding rows in and their gradients back."""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL


@njit(**PARALLEL)
def lookup(weights, ids, vectors_out):
    """`vectors_out[i] = weights[ids[i]]` for flat `ids` (n,) and `vectors_out` (n, dim)."""
    for i in prange(ids.size):
        for column in range(weights.shape[1]):
            vectors_out[i, column] = weights[ids[i], column]


@njit(**SERIAL)
def add_rows(ids, gradients, grads_out):
    """`grads_out[ids[i]] += gradients[i]`, in order: repeats of an id share a row, so one thread does it."""
    for i in range(ids.size):
        row = np.int64(ids[i])
        for column in range(grads_out.shape[1]):
            grads_out[row, column] += gradients[i, column]
