"""Moves of whole parameter vectors: permuted copies, caller's order and back, a plain SGD step."""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import INLINE, PARALLEL
from grapheme_numba.kernels.engine.simd import at, prefetch

CHUNK = 16384
AHEAD = 128  # edges


@njit(**PARALLEL)
def receiver_order(dag, weights, bounds, starts, cursors, far, weights_out):
    """Copy the weights of the edges bounds[0] <= edge < bounds[-1] from sender into CSR order.

    Senders ascend in every CSR row, so walking the senders in order fills each row from left to right:
    a cursor per receiver replaces a stored permutation. (The permutation costs 4 bytes per edge more and
    took 1.3 to 1.6 times as long: its random writes are the same, and its own 4 bytes stream besides.)

    weights : (bounds[-1] - bounds[0],); weights_out : (n_edge,)
    bounds : (n_chunk + 1,) int64, edges in sender order; starts : (n_chunk, n_node) int32, where each chunk
    begins in every row; cursors : the same shape, overwritten
    far : bool, whether the rows being filled are more than the level-1 cache holds. Writes leave the core in
    order, so each would wait for its line; asked for AHEAD edges earlier, 1.2 M edges to 4,096 receivers a
    level took 1.3 ns an edge instead of 2.3 (64 ahead: 1.5; 256: as 128; to write instead of to read: the
    same). Where the lines are at hand the asking costs half as much again. Of no help: blocks of 128 to 1,024
    receivers; walking the receivers instead, with a cursor per sender (0.9 ns where `weights` is in this
    core's cache, but 2 to 4 where another core or the memory has it).
    """
    shift = bounds[0]
    for index in prange(bounds.size - 1):
        chunk = np.int64(index)
        cursor = cursors[chunk]
        cursor[:] = starts[chunk]
        first, last = bounds[chunk], bounds[chunk + 1]
        near = max(first, last - AHEAD) if far else first
        for edge in range(first, near):
            prefetch(weights_out, np.int64(cursor[np.uint32(at(dag.t_indices, edge + AHEAD))]))
            _put(at(weights, edge - shift), np.uint32(at(dag.t_indices, edge)), cursor, weights_out)
        for edge in range(near, last):
            _put(at(weights, edge - shift), np.uint32(at(dag.t_indices, edge)), cursor, weights_out)


@njit(**INLINE)
def _put(weight, receiver, cursor, weights_out):
    place = np.uint32(cursor[receiver])
    weights_out[place] = weight
    cursor[receiver] = place + np.uint32(1)


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
