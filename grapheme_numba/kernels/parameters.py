"""Moves of whole parameter vectors: permuted copies, caller's order and back, a plain SGD step."""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL
from grapheme_numba.kernels.simd import at

CHUNK = 16384


@njit(**PARALLEL)
def receiver_order(dag, weights, chunks, starts, cursors, weights_out):
    """Copy `weights` (n_edge,) from sender into CSR order.

    Senders ascend in every CSR row, so walking the senders in order fills each row from left to right:
    a cursor per receiver replaces a stored permutation. (The permutation costs 4 bytes per edge more and
    took 1.3 to 1.6 times as long: its random writes are the same, and its own 4 bytes stream besides.)
    `chunks` (n_chunk + 1,) sender ranges with their `starts` (n_chunk, n_node); `cursors` is overwritten.
    """
    for index in prange(chunks.size - 1):
        chunk = np.int64(index)
        cursors[chunk, :] = starts[chunk]
        for edge in range(at(dag.t_indptr, chunks[chunk]), at(dag.t_indptr, chunks[chunk + 1])):
            receiver = np.uint32(at(dag.t_indices, edge))
            place = np.uint32(cursors[chunk, receiver])
            weights_out[place] = at(weights, edge)
            cursors[chunk, receiver] = place + np.uint32(1)


@njit(**PARALLEL)
def scatter(values, positions, moved_out):
    """`moved_out[positions[i]] = values[i]`; every position once, so no two threads write the same place."""
    size = positions.size
    for chunk in prange((size + CHUNK - 1) // CHUNK):
        for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
            moved_out[positions[i]] = values[i]


@njit(**PARALLEL)
def gather(values, positions, moved_out):
    """`moved_out[i] = values[positions[i]]`."""
    size = positions.size
    for chunk in prange((size + CHUNK - 1) // CHUNK):
        for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
            moved_out[i] = values[positions[i]]
