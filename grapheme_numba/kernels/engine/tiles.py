"""Between rows of examples and tiles: `width` examples side by side for every node.

A tile array is [n_tile, n_node, width], C-contiguous and 64-byte aligned, so that the lanes of one node
are whole cache lines. The last tile may have more lanes than examples left: those repeat the last
example, so that nothing there can overflow unless a real example does, and their deltas are 0.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine.simd import ONE, at, put, vfma, vlanes, vload, vsplat, vstore, vtranspose


class Tiles(NamedTuple):
    """The working memory of one batch.

    Attributes
    ----------
    activations : (n_tile, n_node, width)
        Outputs of the forward pass. As uint16 these are bfloat16 numbers, and `pre` and `deltas` as well; all
        other arrays are of the parameters' dtype.
    pre : (n_tile, n_node, width) or (1, 1, 1)
        Pre-activations, only where an activation's derivative needs them.
    scratch : (n_slot, 2 * LANES * LANES + 12 * LANES)
        Per concurrent piece of work: two blocks of rows that are summed or transposed together, and three rows of
        the widest tile.
    deltas : (n_buffer, n_row, width)
        dL/d(pre-activation) of the backward pass. Tile t uses buffer t % n_buffer; node n uses row n, or
        with fewer rows than nodes, which are then a power of two, row n % n_row: no level reaches further.
    ports : (n_buffer, n_output + n_input, width)
        dL/dy of the outputs, then dL/dx of the inputs.
    outputs : (n_tile, n_output, width) or (1, 1, 1)
        What the output nodes gave before `activations` rounded it; only where it does.
    port_rows : int32 (n_output + n_input,)
        0, 1, 2, ...: where `load_deltas` and `store_rows` find them.
    port_of : int32 (n_node, 2)
        The row in `ports` of each node that is an output, and of each that is an input.
    """

    activations: np.ndarray
    pre: np.ndarray
    scratch: np.ndarray
    deltas: np.ndarray
    ports: np.ndarray
    outputs: np.ndarray
    port_rows: np.ndarray
    port_of: np.ndarray


class Shares(NamedTuple):
    """How the nodes of each level are shared out.

    Attributes
    ----------
    parts : (n_level, n_part + 1) int64
        Node ranges, one per thread.
    group : int
        Tiles that go through the levels together: as many as the shared cache holds.
    """

    parts: np.ndarray
    group: int


@njit(**SERIAL)
def load_rows(rows, nodes, tile, scratch, tiles_out):
    """Put examples `tile * width ...` of `rows` (batch, n) into lanes of `nodes`; 1 if any is not finite."""
    return _load(rows, nodes, tile, tile, scratch, tiles_out, rows.dtype.type(1))


@njit(**SERIAL)
def load_deltas(rows, nodes, tile, buffer, scratch, tiles_out):
    """As `load_rows`, but into one of fewer buffers, and lanes beyond the batch are 0."""
    return _load(rows, nodes, tile, buffer, scratch, tiles_out, rows.dtype.type(0))


@njit(**SERIAL)
def _load(rows, nodes, tile, buffer, scratch, tiles_out, beyond):
    """Lanes beyond the batch receive `beyond` times the last example."""
    batch, n_column = rows.shape
    n_node, width = tiles_out.shape[1], tiles_out.shape[2]
    lanes, flat, zero = vlanes(rows), tiles_out.reshape(-1), rows.dtype.type(0)
    base = buffer * n_node * width
    checks, check = vsplat(zero, ONE), zero
    for first_lane in range(0, width, lanes):
        example = tile * width + first_lane
        whole = n_column // lanes * lanes if example + lanes <= batch else 0
        # Sixteen rows by sixteen columns at a time through registers; the rest one by one.
        for column in range(0, whole, lanes):
            vtranspose(rows, example * n_column + column, n_column, scratch, 0)
            for k in range(lanes):
                values = vload(scratch, k * lanes, ONE)
                checks = vfma(values, vsplat(zero, ONE), checks)
                vstore(flat, base + np.int64(nodes[column + k]) * width + first_lane, values)
        for lane in range(first_lane, first_lane + lanes):
            example = tile * width + lane
            factor = rows.dtype.type(1) if example < batch else beyond
            for column in range(whole, n_column):
                value = rows[min(example, batch - 1), column] * factor
                check += value * zero
                put(flat, base + np.int64(nodes[column]) * width + lane, value)
    vstore(scratch, 0, checks)
    for k in range(lanes):
        check += scratch[k]
    return 0 if check == zero else 1


@njit(**SERIAL)
def store_rows(tiles, nodes, tile, buffer, scratch, rows_out):
    """Read the lanes of `nodes` in a buffer back into the rows of a tile's examples (batch, n)."""
    batch, n_column = rows_out.shape
    n_node, width = tiles.shape[1], tiles.shape[2]
    lanes, flat = vlanes(rows_out), tiles.reshape(-1)
    base = buffer * n_node * width
    for first_lane in range(0, width, lanes):
        example = tile * width + first_lane
        whole = n_column // lanes * lanes if example + lanes <= batch else 0
        for column in range(0, whole, lanes):
            for k in range(lanes):
                vstore(scratch, k * lanes, vload(flat, base + np.int64(nodes[column + k]) * width + first_lane, ONE))
            vtranspose(scratch, 0, lanes, scratch, lanes * lanes)
            for k in range(lanes):
                vstore(rows_out, (example + k) * n_column + column, vload(scratch, (lanes + k) * lanes, ONE))
        for lane in range(first_lane, min(first_lane + lanes, batch - tile * width)):
            for column in range(whole, n_column):
                rows_out[tile * width + lane, column] = at(flat, base + np.int64(nodes[column]) * width + lane)


@njit(**PARALLEL)
def store_all_rows(tiles, scratch, nodes, rows_out):
    """`store_rows` for every tile of an array; `scratch` (n_slot, ...) has a slot per thread."""
    n_tile, n_slot = tiles.shape[0], scratch.shape[0]
    for index in prange(n_slot):
        slot = np.int64(index)
        for tile in range(slot, n_tile, n_slot):
            store_rows(tiles, nodes, tile, tile, scratch[slot], rows_out)
