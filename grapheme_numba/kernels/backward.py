"""Backward pass: deltas and edge gradients in one sweep over the senders, last level first.

For an edge u -> v the delta of u needs `weight * delta[v]` and the gradient needs
`dot(activation[u], delta[v])`: both read the same lanes, so one load serves two fused multiply-adds.
(Two sweeps, deltas by sender and gradients by receiver, read every edge's lanes twice: measured 1.5 to
2 times slower for the pair.) Edges are walked in sender order, the order of the parameters.

A gradient is the sum over the lanes of a tile, then over tiles in their order. The partial sums of
sixteen edges (one register each) wait in a scratch block and are reduced together by `vrow_sums`.
An edge's bits depend on neither its place in the block nor who computed it, so every strategy and any
number of threads agree.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels import activations
from grapheme_numba.kernels.simd import (
    FOUR,
    ONE,
    TWO,
    at,
    vadd,
    vconst,
    vdot,
    vfma,
    vgreater,
    vload,
    vmul,
    vrow_sums,
    vsplat,
    vstore,
)
from grapheme_numba.kernels.tiles import load_deltas, store_rows

CHUNK = 16384


@njit(**SERIAL)
def _write_block(scratch, block, lanes, valid, adds, gradients_out):
    """Reduce the scratch rows of edges `block ...` and write or add those within `valid`."""
    sums = vrow_sums(scratch)
    if valid[0] <= block and block + lanes <= valid[1]:
        if adds:
            sums = vadd(vload(gradients_out, block, ONE), sums)
        vstore(gradients_out, block, sums)
        return
    vstore(scratch, lanes * lanes, sums)
    for edge in range(max(block, valid[0]), min(block + lanes, valid[1])):
        before = gradients_out[edge] if adds else gradients_out.dtype.type(0)
        gradients_out[edge] = before + scratch[lanes * lanes + edge - block]


@njit(**SERIAL)
def _rows(dag, weights, tiles, tile, span, slot, gradients_out, adds, token):
    values, deltas, pre = tiles.activations.reshape(-1), tiles.deltas.reshape(-1), tiles.pre.reshape(-1)
    scratch, lanes = tiles.scratch[slot], tiles.lanes
    width = lanes * len(token)
    n_edge, n_node = weights.size, dag.activation.size
    base = np.int64(tile) * n_node * width
    zero, ones = vsplat(weights.dtype.type(0), token), vsplat(weights.dtype.type(1), token)
    valid = (dag.t_indptr[span[0]], dag.t_indptr[span[1]])
    learns = gradients_out.size > 0
    for node in range(span[1] - 1, span[0] - 1, -1):
        row = base + np.int64(node) * width
        value = vload(values, row, token)
        delta = vload(deltas, row, token) if at(dag.is_output, node) != 0 else zero
        other = zero
        edge, first = at(dag.t_indptr, node + 1) - 1, at(dag.t_indptr, node)
        while edge >= first:
            # Down to the start of this edge's block of sixteen, two edges in flight.
            block = edge - edge % lanes
            stop = max(first, block)
            while edge > stop:
                lane = edge - block
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge)) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, lane * lanes, vdot(value, d))
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge - 1)) * width, token)
                other = vfma(vsplat(at(weights, edge - 1), token), d, other)
                vstore(scratch, (lane - 1) * lanes, vdot(value, d))
                edge -= 2
            if edge == stop:
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge)) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, (edge - block) * lanes, vdot(value, d))
                edge -= 1
            if learns and stop == block:
                _write_block(scratch, block, lanes, valid, adds, gradients_out)
        delta = vadd(delta, other)
        kind = at(dag.activation, node)
        if kind == activations.LEAKY_RELU:
            delta = vgreater(value, zero, delta, vmul(delta, vconst(activations.LEAK, delta)))
        vstore(deltas, row, delta)
        if kind != activations.LEAKY_RELU and kind != activations.LINEAR:
            pre_row = row if pre.size == values.size else 0
            activations.apply_derivative(kind, row, width, lanes, values, pre, pre_row, deltas)
            delta = vload(deltas, row, token)
        if learns and (at(dag.is_input, node) == 0 or not adds):
            total = weights.dtype.type(0)
            if at(dag.is_input, node) == 0:
                total = _lane_sum(scratch, lanes, vdot(delta, ones))
            before = gradients_out[n_edge + node] if adds else gradients_out.dtype.type(0)
            gradients_out[n_edge + node] = before + total
    if learns and valid[0] < valid[1] and valid[0] % lanes != 0:
        _write_block(scratch, valid[0] - valid[0] % lanes, lanes, valid, adds, gradients_out)


@njit(**SERIAL)
def _lane_sum(scratch, lanes, vector):
    """The sum of one register, halves first, as `vrow_sums` adds."""
    start = lanes * lanes
    vstore(scratch, start, vector)
    half = lanes // 2
    while half > 0:
        for lane in range(half):
            scratch[start + lane] += scratch[start + lane + half]
        half //= 2
    return scratch[start]


@njit(**SERIAL)
def backward_rows(dag, weights, tiles, tile, span, slot, gradients_out, adds):
    """Deltas and gradients of the nodes `span[0] : span[1]` of one tile; their receivers must be done.

    `weights` (n_edge,) in sender order. `gradients_out` (n_edge + n_node,) receives edge, then bias
    gradients (`adds`: added, else written; empty: none wanted); bias entries of inputs stay untouched.
    """
    registers = tiles.activations.shape[2] // tiles.lanes
    if registers == 4:
        _rows(dag, weights, tiles, tile, span, slot, gradients_out, adds, FOUR)
    elif registers == 2:
        _rows(dag, weights, tiles, tile, span, slot, gradients_out, adds, TWO)
    else:
        _rows(dag, weights, tiles, tile, span, slot, gradients_out, adds, ONE)


@njit(**PARALLEL)
def backward_tiles(dag, weights, tiles, gy, planes, gradients_out, gx_out, status_out):
    """Whole tiles per thread. `planes` (n_plane, n_edge + n_node): room for one tile's gradients each.

    Tiles are taken in waves of n_plane; after each wave its planes are added in tile order. With no
    plane the tiles follow one another in one thread.
    """
    n_tile, n_node = tiles.activations.shape[0], dag.activation.size
    n_plane = planes.shape[0]
    if n_plane == 0:
        for tile in range(n_tile):
            status_out[tile] = load_deltas(gy, dag.outputs, tile, tiles.deltas)
            backward_rows(dag, weights, tiles, tile, (0, n_node), 0, gradients_out, True)
            store_rows(tiles.deltas, dag.inputs, tile, gx_out)
        return
    learns = gradients_out.size > 0
    for first in range(0, n_tile, n_plane):
        wave = min(n_plane, n_tile - first)
        for slot in prange(wave):
            status_out[first + slot] = load_deltas(gy, dag.outputs, first + slot, tiles.deltas)
            backward_rows(dag, weights, tiles, first + slot, (0, n_node), slot, planes[slot], False)
            store_rows(tiles.deltas, dag.inputs, first + slot, gx_out)
        if learns:
            for chunk in prange((gradients_out.size + CHUNK - 1) // CHUNK):
                add_planes(planes, wave, chunk * CHUNK, gradients_out)


@njit(**SERIAL)
def add_planes(planes, wave, start, gradients_out):
    """Add the first `wave` planes, in order, to one chunk of the gradients."""
    for position in range(start, min(start + CHUNK, gradients_out.size)):
        total = gradients_out[position]
        for slot in range(wave):
            total += planes[slot, position]
        gradients_out[position] = total


@njit(**PARALLEL)
def backward_levels(dag, weights, tiles, gy, parts, gradients_out, gx_out, status_out):
    """The nodes of a level shared among threads. `parts` (n_level, n_part + 1): node ranges per thread."""
    n_tile = tiles.activations.shape[0]
    for tile in prange(n_tile):
        status_out[tile] = load_deltas(gy, dag.outputs, tile, tiles.deltas)
    for level in range(parts.shape[0] - 1, -1, -1):
        for part in prange(parts.shape[1] - 1):
            for tile in range(n_tile):
                span = (parts[level, part], parts[level, part + 1])
                backward_rows(dag, weights, tiles, tile, span, part, gradients_out, True)
    for tile in prange(n_tile):
        store_rows(tiles.deltas, dag.inputs, tile, gx_out)
