"""Between rows of examples and tiles: `width` examples side by side for every node.

A tile array is [n_tile, n_node, width], C-contiguous and 64-byte aligned, so that the lanes of one node
are whole cache lines. The last tile may have more lanes than examples left: those repeat the last
example, so that nothing there can overflow unless a real example does, and their deltas are 0.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL


class Tiles(NamedTuple):
    """The working memory of one batch.

    Attributes
    ----------
    activations, deltas : (n_tile, n_node, width)
        Outputs of the forward pass and dL/d(pre-activation) of the backward pass.
    pre : (n_tile, n_node, width) or (1, 1, 1)
        Pre-activations, only where an activation's derivative needs them.
    scratch : (n_slot, (LANES + 1) * LANES)
        Per concurrent piece of work: the rows that are summed sixteen at a time.
    lanes : int
        Elements per register: `width` is 1, 2 or 4 times this.
    """

    activations: np.ndarray
    deltas: np.ndarray
    pre: np.ndarray
    scratch: np.ndarray
    lanes: int


@njit(**SERIAL)
def load_rows(rows, nodes, tile, tiles_out):
    """Put examples `tile * width ...` of `rows` (batch, n) into lanes of `nodes`; 1 if any is not finite."""
    batch, n_node, width = rows.shape[0], tiles_out.shape[1], tiles_out.shape[2]
    flat = tiles_out.reshape(-1)
    base = tile * n_node * width
    check = rows.dtype.type(0)
    zero = rows.dtype.type(0)
    for lane in range(width):
        example = min(tile * width + lane, batch - 1)
        for column in range(nodes.size):
            value = rows[example, column]
            check += value * zero
            flat[base + np.int64(nodes[column]) * width + lane] = value
    return 0 if check == zero else 1


@njit(**SERIAL)
def load_deltas(rows, nodes, tile, tiles_out):
    """As `load_rows`, but lanes beyond the batch are 0."""
    batch, n_node, width = rows.shape[0], tiles_out.shape[1], tiles_out.shape[2]
    flat = tiles_out.reshape(-1)
    base = tile * n_node * width
    check = rows.dtype.type(0)
    zero = rows.dtype.type(0)
    for lane in range(width):
        example = tile * width + lane
        for column in range(nodes.size):
            value = rows[example, column] if example < batch else zero
            check += value * zero
            flat[base + np.int64(nodes[column]) * width + lane] = value
    return 0 if check == zero else 1


@njit(**SERIAL)
def store_rows(tiles, nodes, tile, rows_out):
    """Read the lanes of `nodes` back into rows of examples (batch, n)."""
    batch, n_node, width = rows_out.shape[0], tiles.shape[1], tiles.shape[2]
    flat = tiles.reshape(-1)
    base = tile * n_node * width
    for lane in range(min(width, batch - tile * width)):
        for column in range(nodes.size):
            rows_out[tile * width + lane, column] = flat[base + np.int64(nodes[column]) * width + lane]


@njit(**PARALLEL)
def store_all_rows(tiles, nodes, rows_out):
    """`store_rows` for every tile."""
    for tile in prange(tiles.shape[0]):
        store_rows(tiles, nodes, tile, rows_out)
