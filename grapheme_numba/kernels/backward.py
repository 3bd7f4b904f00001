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
from grapheme_numba.kernels.simd import at, vadd, vconst, vfma, vgreater, vlanes, vload, vmul, vsplat, vstore
from grapheme_numba.kernels.simd_blocks import vdot, vrow_sums
from grapheme_numba.kernels.simd_types import FOUR, ONE, TWO
from grapheme_numba.kernels.tiles import load_deltas, store_rows

CHUNK = 16384


@njit(**SERIAL)
def _write_block(scratch, start, block, first, last, adds, gradients_out):
    """Sum the scratch rows from `start` on; write or add those of positions `block ...` in first : last."""
    lanes = vlanes(scratch)
    sums = vrow_sums(scratch, start)
    if first <= block and block + lanes <= last:
        if adds:
            sums = vadd(vload(gradients_out, block, ONE), sums)
        vstore(gradients_out, block, sums)
        return
    vstore(scratch, start, sums)
    for position in range(max(block, first), min(block + lanes, last)):
        before = gradients_out[position] if adds else gradients_out.dtype.type(0)
        gradients_out[position] = before + scratch[start + position - block]


@njit(**SERIAL)
def _rows(dag, weights, tiles, tile, first_node, last_node, scratch, gradients_out, adds, token):
    values, deltas, pre = tiles.activations.reshape(-1), tiles.deltas.reshape(-1), tiles.pre.reshape(-1)
    lanes = vlanes(weights)
    width, bias_rows = lanes * len(token), lanes * lanes
    n_edge, n_node = weights.size, dag.activation.size
    base = np.int64(tile) * n_node * width
    zero, ones = vsplat(weights.dtype.type(0), token), vsplat(weights.dtype.type(1), token)
    first_edge, last_edge = at(dag.t_indptr, first_node), at(dag.t_indptr, last_node)
    learns = gradients_out.size > 0
    for node in range(last_node - 1, first_node - 1, -1):
        row = base + node * width
        value = vload(values, row, token)
        delta = vload(deltas, row, token) if at(dag.is_output, node) != 0 else zero
        other = zero
        edge, first = at(dag.t_indptr, node + 1) - 1, at(dag.t_indptr, node)
        while edge >= first:
            # Down to the start of this edge's block of sixteen, two edges in flight.
            block = edge & -lanes
            stop = max(first, block)
            while edge > stop:
                slot = (edge - block) * lanes
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge)) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, slot, vdot(value, d))
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge - 1)) * width, token)
                other = vfma(vsplat(at(weights, edge - 1), token), d, other)
                vstore(scratch, slot - lanes, vdot(value, d))
                edge -= 2
            if edge == stop:
                d = vload(deltas, base + np.int64(at(dag.t_indices, edge)) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, (edge - block) * lanes, vdot(value, d))
                edge -= 1
            if learns and stop == block:
                _write_block(scratch, 0, block, first_edge, last_edge, adds, gradients_out)
        delta = vadd(delta, other)
        kind = at(dag.activation, node)
        if kind == activations.LEAKY_RELU:
            delta = vgreater(value, zero, delta, vmul(delta, vconst(activations.LEAK, delta)))
        vstore(deltas, row, delta)
        if kind != activations.LEAKY_RELU and kind != activations.LINEAR:
            pre_row = row if pre.size == values.size else 0
            activations.apply_derivative(kind, row, width, values, pre, pre_row, deltas)
            delta = vload(deltas, row, token)
        if learns:
            # Inputs have no bias: their place in the vector receives 0.
            ones_or_zero = ones if at(dag.is_input, node) == 0 else zero
            slot = node & (lanes - 1)
            vstore(scratch, bias_rows + slot * lanes, vdot(ones_or_zero, delta))
            if slot == 0 or node == first_node:
                block = n_edge + node - slot
                _write_block(scratch, bias_rows, block, n_edge + first_node, n_edge + last_node, adds, gradients_out)
    if learns and first_edge < last_edge and first_edge & (lanes - 1) != 0:
        _write_block(scratch, 0, first_edge & -lanes, first_edge, last_edge, adds, gradients_out)


@njit(**SERIAL)
def backward_rows(dag, weights, tiles, tile, nodes, slot, gradients_out, adds):
    """Deltas and gradients of the nodes `nodes[0] : nodes[1]` of one tile; their receivers must be done.

    `weights` (n_edge,) in sender order; `slot` names the scratch to use. `gradients_out` (n_edge + n_node,)
    receives edge, then bias gradients (`adds`: added, else written; empty: none wanted); bias entries of
    inputs receive 0.
    """
    registers = tiles.activations.shape[2] // vlanes(weights)
    first, last = nodes
    scratch = tiles.scratch[slot]
    if registers == 4:
        _rows(dag, weights, tiles, tile, first, last, scratch, gradients_out, adds, FOUR)
    elif registers == 2:
        _rows(dag, weights, tiles, tile, first, last, scratch, gradients_out, adds, TWO)
    else:
        _rows(dag, weights, tiles, tile, first, last, scratch, gradients_out, adds, ONE)


@njit(**PARALLEL)
def backward_tiles(dag, weights, tiles, gy, planes, gradients_out, gx_out, status_out):
    """Whole tiles per thread. `planes` (n_plane, n_edge + n_node): room for one tile's gradients each.

    Tiles are taken in waves of n_plane; after each wave its planes are added in tile order. With no
    plane the tiles follow one another in one thread and add to the gradients themselves.
    """
    n_tile, n_node, n_plane = tiles.activations.shape[0], np.int64(dag.activation.size), planes.shape[0]
    for first in range(0, n_tile, max(1, n_plane)):
        wave = min(max(1, n_plane), n_tile - first)
        for index in prange(wave):
            slot = np.int64(index)
            tile = first + slot
            target = planes[slot] if n_plane > 0 else gradients_out
            status_out[tile] = load_deltas(gy, dag.outputs, tile, tiles.scratch[slot], tiles.deltas)
            backward_rows(dag, weights, tiles, tile, (np.int64(0), n_node), slot, target, n_plane == 0)
            store_rows(tiles.deltas, dag.inputs, tile, tiles.scratch[slot], gx_out)
        if n_plane > 0:
            for chunk in prange((gradients_out.size + CHUNK - 1) // CHUNK):
                add_planes(planes, wave, np.int64(chunk) * CHUNK, gradients_out)


@njit(**SERIAL)
def add_planes(planes, wave, start, gradients_out):
    """Add the first `wave` planes, in order, to one chunk of the gradients."""
    stop = min(start + CHUNK, gradients_out.size)
    sums = gradients_out[start:stop]
    for slot in range(wave):
        terms = planes[slot, start:stop]
        for i in range(sums.size):
            sums[i] += terms[i]


@njit(**PARALLEL)
def backward_levels(dag, weights, tiles, gy, shares, gradients_out, gx_out, status_out):
    """The nodes of a level shared among threads, a group of tiles at a time (`tiles.Shares`)."""
    parts, n_tile, n_part = shares.parts, tiles.activations.shape[0], shares.parts.shape[1] - 1
    for index in prange(n_part):
        part = np.int64(index)
        for tile in range(part, n_tile, n_part):
            status_out[tile] = load_deltas(gy, dag.outputs, tile, tiles.scratch[part], tiles.deltas)
    for first in range(0, n_tile, shares.group):
        last = min(n_tile, first + shares.group)
        for level in range(parts.shape[0] - 1, -1, -1):
            for index in prange(n_part):
                part = np.int64(index)
                nodes = (parts[level, part], parts[level, part + 1])
                for tile in range(first, last):
                    backward_rows(dag, weights, tiles, tile, nodes, part, gradients_out, n_tile > 0)
    for index in prange(n_part):
        part = np.int64(index)
        for tile in range(part, n_tile, n_part):
            store_rows(tiles.deltas, dag.inputs, tile, tiles.scratch[part], gx_out)
