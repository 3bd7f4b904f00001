"""Backward pass: deltas and edge gradients in one sweep over the senders, last level first.

For an edge u -> v the delta of u needs `weight * delta[v]` and the gradient needs
`dot(activation[u], delta[v])`: both read the same lanes, so one load serves two fused multiply-adds.
(Two sweeps, deltas by sender and gradients by receiver, read every edge's lanes twice: measured 1.5 to
2 times slower for the pair.) Edges are walked in sender order, the order of the parameters.

A gradient is the sum over the lanes of a tile, then over tiles, the last one first: the forward pass has
just left it in the cache. Deltas have a buffer per tile in work, not per tile, with only as many rows as
an edge spans nodes: they stay in the cache as well. The partial sums of
sixteen edges (one register each) wait in a scratch block and are reduced together by `vrow_sums`.
An edge's bits depend on neither its place in the block nor who computed it, so every strategy and any
number of threads agree.

Threads that work on different tiles write their gradients into planes of their own, which are added in
tile order. A plane holds a window of the senders only, so that it never leaves the level-2 cache: planes
of all edges cost 8 to 12 bytes of memory traffic per edge and tile, and two threads were no faster than
one at 4 million edges.

Where tiles hold bfloat16, a delta is rounded once, when it is written for its senders; gradients of biases and inputs
are those of the delta before. All sums are float32.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine import activations
from grapheme_numba.kernels.engine.planes import Share, add_planes, share_of_window
from grapheme_numba.kernels.engine.simd import (
    FOUR,
    ONE,
    TWO,
    at,
    vadd,
    vconst,
    vdot,
    vfma,
    vgreater,
    vlanes,
    vload,
    vmul,
    vnatural,
    vpaired,
    vrow_sums,
    vsplat,
    vstore,
)
from grapheme_numba.kernels.engine.tiles import load_deltas, store_rows


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
def _rows(dag, weights, tiles, tile, share, scratch, gradients_out, adds, token):
    values, deltas, pre = tiles.activations.reshape(-1), tiles.deltas.reshape(-1), tiles.pre.reshape(-1)
    ports, (n_buffer, n_row, _) = tiles.ports.reshape(-1), tiles.deltas.shape
    lanes = vlanes(weights)
    width, bias_rows, work = lanes * len(token), lanes * lanes, 2 * lanes * lanes
    base, buffer = np.int64(tile) * dag.activation.size * width, np.int64(tile) % n_buffer
    delta_base, port_base = buffer * n_row * width, buffer * tiles.ports.shape[1] * width
    ring = n_row - 1 if n_row < dag.activation.size else -1
    zero, ones = vsplat(weights.dtype.type(0), token), vsplat(weights.dtype.type(1), token)
    first_node, last_node, of_edges, of_biases = share
    first_edge, last_edge = at(dag.t_indptr, first_node), at(dag.t_indptr, last_node)
    learns = gradients_out.size > 0
    first_place, last_place = first_edge + of_edges, last_edge + of_edges
    for node in range(last_node - 1, first_node - 1, -1):
        row = base + node * width
        value = vload(values, row, token)
        delta = zero
        if at(dag.is_output, node) != 0:
            delta = vpaired(deltas, vload(ports, port_base + np.int64(tiles.port_of[node, 0]) * width, token))
        other = zero
        edge, first = at(dag.t_indptr, node + 1) - 1, at(dag.t_indptr, node)
        while edge >= first:
            # Down to the start of this edge's block of sixteen, two edges in flight.
            block = edge & -lanes
            stop = max(first, block)
            while edge > stop:
                slot = (edge - block) * lanes
                d = vload(deltas, delta_base + (np.int64(at(dag.t_indices, edge)) & ring) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, slot, vdot(value, d))
                d = vload(deltas, delta_base + (np.int64(at(dag.t_indices, edge - 1)) & ring) * width, token)
                other = vfma(vsplat(at(weights, edge - 1), token), d, other)
                vstore(scratch, slot - lanes, vdot(value, d))
                edge -= 2
            if edge == stop:
                d = vload(deltas, delta_base + (np.int64(at(dag.t_indices, edge)) & ring) * width, token)
                delta = vfma(vsplat(at(weights, edge), token), d, delta)
                vstore(scratch, (edge - block) * lanes, vdot(value, d))
                edge -= 1
            if learns and stop == block:
                place = block + of_edges
                if first_place <= place and place + lanes <= last_place:
                    # As `_write_block`, inline: a call here spills every register, 10 to 20 % of the pass.
                    sums = vrow_sums(scratch, 0)
                    if adds:
                        sums = vadd(vload(gradients_out, place, ONE), sums)
                    vstore(gradients_out, place, sums)
                else:
                    _write_block(scratch, 0, place, first_place, last_place, adds, gradients_out)
        delta = vadd(delta, other)
        kind = at(dag.activation, node)
        if kind == activations.LEAKY_RELU:
            delta = vgreater(value, zero, delta, vmul(delta, vconst(activations.LEAK, delta)))
        elif kind != activations.LINEAR:
            # Sixteen lanes at a time, as in the forward pass.
            vstore(scratch, work, value)
            if kind >= activations.FIRST_OF_PRE:
                vstore(scratch, work + width, vload(pre, row, token))
            vstore(scratch, work + 2 * width, delta)
            activations.apply_derivative(kind, work, width, scratch, scratch, work + width, work + 2 * width, scratch)
            delta = vload(scratch, work + 2 * width, token)
        vstore(deltas, delta_base + (node & ring) * width, delta)
        if at(dag.is_input, node) != 0:
            vstore(ports, port_base + np.int64(tiles.port_of[node, 1]) * width, vnatural(deltas, delta))
        if learns:
            # Inputs have no bias: their place in the vector receives 0.
            ones_or_zero = ones if at(dag.is_input, node) == 0 else zero
            slot = node & (lanes - 1)
            vstore(scratch, bias_rows + slot * lanes, vdot(ones_or_zero, delta))
            if slot == 0 or node == first_node:
                first, last = first_node + of_biases, last_node + of_biases
                _write_block(scratch, bias_rows, node - slot + of_biases, first, last, adds, gradients_out)
    if learns and first_edge < last_edge and first_edge & (lanes - 1) != 0:
        _write_block(scratch, 0, (first_edge & -lanes) + of_edges, first_place, last_place, adds, gradients_out)


@njit(**SERIAL)
def backward_rows(dag, weights, tiles, tile, share, slot, gradients_out, adds):
    """Deltas and gradients of a `Share` of the nodes of one tile; their receivers must be done.

    `weights` (n_edge,) in sender order; `slot` names the scratch to use. `gradients_out` receives edge and
    bias gradients (`adds`: added, else written; empty: none wanted); bias entries of inputs receive 0.
    """
    registers = tiles.activations.shape[2] // vlanes(weights)
    scratch = tiles.scratch[slot]
    if registers == 4:
        _rows(dag, weights, tiles, tile, share, scratch, gradients_out, adds, FOUR)
    elif registers == 2:
        _rows(dag, weights, tiles, tile, share, scratch, gradients_out, adds, TWO)
    else:
        _rows(dag, weights, tiles, tile, share, scratch, gradients_out, adds, ONE)


@njit(**SERIAL)
def load_ports(gy, tiles, tile, slot):
    """Put a tile's examples of `gy` (batch, n_output) into its ports; 1 if any is not finite."""
    rows = tiles.port_rows[: gy.shape[1]]
    return load_deltas(gy, rows, tile, tile % tiles.ports.shape[0], tiles.scratch[slot], tiles.ports)


@njit(**SERIAL)
def store_ports(tiles, tile, slot, gx_out):
    """Read dL/dx of a tile's examples from its ports into `gx_out` (batch, n_input)."""
    rows = tiles.port_rows[tiles.port_rows.size - gx_out.shape[1] :]
    store_rows(tiles.ports, rows, tile, tile % tiles.ports.shape[0], tiles.scratch[slot], gx_out)


@njit(**PARALLEL)
def backward_tiles(dag, weights, tiles, gy, planes, gradients_out, gx_out, status_out):
    """Whole tiles per thread, a window of senders at a time: as many tiles together as there are `Planes`.

    With a single plane, tiles follow one another and add to the gradients themselves.
    """
    bounds, n_plane, n_tile = planes.bounds, planes.room.shape[1], tiles.activations.shape[0]
    n_window, lanes, n_edge = bounds.size - 1, vlanes(weights), weights.size
    uses_planes = n_plane > 1 and gradients_out.size > 0
    for wave in range(0, n_tile, n_plane):
        n_busy = min(n_plane, n_tile - wave)
        for step in range(n_window + (1 if uses_planes else 0)):
            for index in prange(n_plane):
                slot, window = np.int64(index), n_window - 1 - step
                tile = n_tile - 1 - wave - slot
                if step > 0 and uses_planes:
                    # Bounded, because the compiler hoists these reads out of the condition and the loop.
                    first, last = bounds[min(window + 1, n_window)], bounds[min(window + 2, n_window)]
                    before = share_of_window(dag, lanes, first, last)
                    add_planes(dag, planes.room[(step - 1) & 1], n_busy, before, slot, gradients_out)
                if slot < n_busy:
                    if step == 0:
                        status_out[tile] = load_ports(gy, tiles, tile, slot)
                    if step < n_window:
                        share = Share(bounds[window], bounds[window + 1], np.int64(0), np.int64(n_edge))
                        sums_out = gradients_out
                        if uses_planes:
                            share = share_of_window(dag, lanes, bounds[window], bounds[window + 1])
                            sums_out = planes.room[step & 1, slot]
                        backward_rows(dag, weights, tiles, tile, share, slot, sums_out, not uses_planes)
                    if step == n_window - 1:
                        store_ports(tiles, tile, slot, gx_out)


@njit(**PARALLEL)
def backward_levels(dag, weights, tiles, gy, shares, gradients_out, gx_out, status_out):
    """The nodes of a level shared among threads, a group of tiles at a time (`tiles.Shares`)."""
    parts, n_tile, n_part, n_edge = shares.parts, tiles.activations.shape[0], shares.parts.shape[1] - 1, weights.size
    adds = n_tile > 0  # not `True`, for whose literal type all would be compiled again
    for last in range(n_tile, 0, -shares.group):
        first = max(0, last - shares.group)
        for index in prange(n_part):
            part = np.int64(index)
            for tile in range(first + part, last, n_part):
                status_out[tile] = load_ports(gy, tiles, tile, part)
        for level in range(parts.shape[0] - 1, -1, -1):
            for index in prange(n_part):
                part = np.int64(index)
                share = Share(parts[level, part], parts[level, part + 1], np.int64(0), np.int64(n_edge))
                for tile in range(last - 1, first - 1, -1):
                    backward_rows(dag, weights, tiles, tile, share, part, gradients_out, adds)
        for index in prange(n_part):
            part = np.int64(index)
            for tile in range(first + part, last, n_part):
                store_ports(tiles, tile, part, gx_out)
