"""Nodes that take the mean, the product, the largest or the smallest of their weighted inputs, not the sum.

Only networks with such nodes come here: those that sum run the kernels of `forward` and `backward`, which know
nothing of this. Here those kernels compute the nodes that sum, and the functions below the others, one register of
lanes at a time, edges in CSR order, so that the bits depend on neither threads nor strategy.

For the backward pass every edge into such a node has a row of its own among the deltas. Once a node's delta is
known, `_spread` writes dL/d(weighted input) of each of its edges there: the delta times the derivative of the
aggregate. The sweep over the senders then reads that row where it would have read the receiver's delta, which is
the chain rule for both the sender and the weight. (The senders could compute the derivatives themselves and save
the rows, but each would walk all edges of each of its receivers: quadratic in the number of incoming edges.)
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import INLINE, PARALLEL, SERIAL
from grapheme_numba.kernels.engine import activations
from grapheme_numba.kernels.engine.backward import backward_rows, load_ports, store_ports
from grapheme_numba.kernels.engine.forward import forward_rows, store_outputs
from grapheme_numba.kernels.engine.planes import Share, add_planes, share_of_window
from grapheme_numba.kernels.engine.simd import (
    ONE,
    at,
    vadd,
    vconst,
    vdiv,
    vfma,
    vgreater,
    vlanes,
    vload,
    vmul,
    vrounds,
    vsplat,
    vstore,
    vsub,
)
from grapheme_numba.kernels.engine.tiles import load_rows

SUM, MEAN, PRODUCT, MAX, MIN = range(5)


class Edges(NamedTuple):
    """What the backward pass has to know of the edges, beside the graph.

    Attributes
    ----------
    by_sender, by_receiver : (n_edge,)
        The weights in the order of `Dag.t_indices`, and in that of `Dag.indices`.
    first_row : int64 (n_node,)
        The row in `Tiles.deltas` of the first incoming edge of each node that does not sum; the node's other edges
        follow in CSR order.
    """

    by_sender: np.ndarray
    by_receiver: np.ndarray
    first_row: np.ndarray


@njit(**INLINE)
def _term(dag, weights, values, base, width, edge):
    sender = base + np.int64(at(dag.indices, edge)) * width
    return vmul(vsplat(at(weights, edge), ONE), vload(values, sender, ONE))


@njit(**INLINE)
def _chosen(kind, best, term):
    """The larger (MAX) or smaller of two; NaN where either is."""
    neither = vadd(best, vsub(term, best))
    if kind == MAX:
        return vgreater(term, best, term, vgreater(best, term, best, neither))
    return vgreater(best, term, term, vgreater(term, best, best, neither))


@njit(**INLINE)
def _combined(dag, weights, values, kind, edges, base, width):
    """The aggregate of the weighted inputs in one register of lanes; of none 0, or 1 for a product."""
    first, last = edges
    if kind == PRODUCT:
        result = vsplat(weights.dtype.type(1), ONE)
        for edge in range(first, last):
            result = vmul(result, _term(dag, weights, values, base, width, edge))
        return result
    result = vsplat(weights.dtype.type(0), ONE)
    if first == last:
        return result
    if kind == MEAN:
        for edge in range(first, last):
            sender = base + np.int64(at(dag.indices, edge)) * width
            result = vfma(vsplat(at(weights, edge), ONE), vload(values, sender, ONE), result)
        return vdiv(result, vconst(float(last - first), result))
    result = _term(dag, weights, values, base, width, first)
    for edge in range(first + 1, last):
        result = _chosen(kind, result, _term(dag, weights, values, base, width, edge))
    return result


@njit(**SERIAL)
def _aggregate(dag, weights, biases, tiles, tile, slot, node):
    """One node that does not sum, in all lanes of a tile; an input that nothing enters stays what it is given."""
    values, pre, scratch = tiles.activations.reshape(-1), tiles.pre.reshape(-1), tiles.scratch[slot]
    outputs, width, lanes = tiles.outputs.reshape(-1), tiles.activations.shape[2], vlanes(weights)
    base = np.int64(tile) * dag.activation.size * width
    row, is_input, keeps_pre = base + node * width, at(dag.is_input, node) != 0, pre.size == values.size
    edges = (at(dag.indptr, node), at(dag.indptr, node + 1))
    if is_input and edges[0] == edges[1]:
        return
    kind = at(dag.aggregation, node)
    output = (np.int64(tile) * dag.outputs.size + np.int64(tiles.port_of[node, 0])) * width
    for start in range(0, width, lanes):
        total = _combined(dag, weights, values, kind, edges, base + start, width)
        if is_input:
            total = vadd(vload(values, row + start, ONE), total)
        else:
            total = vadd(vsplat(at(biases, node), ONE), total)
        if keeps_pre:
            vstore(pre, row + start, total)
        vstore(scratch, 0, total)
        activations.apply(at(dag.activation, node), 0, lanes, scratch)
        total = vload(scratch, 0, ONE)
        vstore(values, row + start, total)
        if vrounds(values) and at(dag.is_output, node) != 0:
            vstore(outputs, output + start, total)


@njit(**SERIAL)
def _forward_nodes(dag, weights, biases, tiles, tile, slot, nodes):
    """As `forward.forward_rows`."""
    first, last = nodes
    while first < last:
        node = first
        while node < last and at(dag.aggregation, node) == SUM:
            node += 1
        if first < node:
            forward_rows(dag, weights, biases, tiles, tile, slot, (first, node))
        if node < last:
            _aggregate(dag, weights, biases, tiles, tile, slot, node)
        first = node + 1


@njit(**PARALLEL)
def forward_tiles(dag, weights, biases, x, tiles, y_out, status_out):
    """As `forward.forward_tiles`."""
    n_tile, n_slot, n_node = tiles.activations.shape[0], tiles.scratch.shape[0], np.int64(dag.activation.size)
    for index in prange(n_slot):
        slot = np.int64(index)
        for tile in range(slot, n_tile, n_slot):
            status_out[tile] = load_rows(x, dag.inputs, tile, tiles.scratch[slot], tiles.activations)
            _forward_nodes(dag, weights, biases, tiles, tile, slot, (np.int64(0), n_node))
            status_out[tile] |= store_outputs(dag, tiles, tile, slot, y_out)


@njit(**PARALLEL)
def forward_levels(dag, weights, biases, x, tiles, shares, y_out, status_out):
    """As `forward.forward_levels`."""
    parts, n_tile, n_part = shares.parts, tiles.activations.shape[0], shares.parts.shape[1] - 1
    for index in prange(n_part):
        part = np.int64(index)
        for tile in range(part, n_tile, n_part):
            status_out[tile] = load_rows(x, dag.inputs, tile, tiles.scratch[part], tiles.activations)
    for first in range(0, n_tile, shares.group):
        last = min(n_tile, first + shares.group)
        for level in range(parts.shape[0]):
            for index in prange(n_part):
                part = np.int64(index)
                nodes = (parts[level, part], parts[level, part + 1])
                for tile in range(first, last):
                    _forward_nodes(dag, weights, biases, tiles, tile, part, nodes)
    for index in prange(n_part):
        part = np.int64(index)
        for tile in range(part, n_tile, n_part):
            status_out[tile] |= store_outputs(dag, tiles, tile, part, y_out)


@njit(**SERIAL)
def _spread(dag, edges, tiles, tile, node):
    """Write dL/d(weighted input) of every edge into a node that does not sum, from the node's delta.

    Mean: the delta by the number of edges. Product: times the product of the other inputs, from both ends, so that
    zeros are exact. Max and min: the whole delta to the first input, in CSR order, that is the aggregate.
    """
    weights, values, deltas = edges.by_receiver, tiles.activations.reshape(-1), tiles.deltas.reshape(-1)
    n_buffer, n_row, width = tiles.deltas.shape
    kind, first, last = at(dag.aggregation, node), at(dag.indptr, node), at(dag.indptr, node + 1)
    buffer = np.int64(tile) % n_buffer * n_row * width
    one, zero = vsplat(weights.dtype.type(1), ONE), vsplat(weights.dtype.type(0), ONE)
    for start in range(0, width, vlanes(weights)):
        base = np.int64(tile) * dag.activation.size * width + start
        left = vload(deltas, buffer + node * width + start, ONE)
        own = buffer + at(edges.first_row, node) * width + start
        if kind == MEAN:
            left = vdiv(left, vconst(float(last - first), left))
            for edge in range(first, last):
                vstore(deltas, own + (edge - first) * width, left)
        elif kind == PRODUCT:
            before = one
            for edge in range(first, last):
                vstore(deltas, own + (edge - first) * width, before)
                before = vmul(before, _term(dag, weights, values, base, width, edge))
            for edge in range(last - 1, first - 1, -1):
                place = own + (edge - first) * width
                vstore(deltas, place, vmul(vload(deltas, place, ONE), left))
                left = vmul(left, _term(dag, weights, values, base, width, edge))
        else:
            best = _combined(dag, weights, values, kind, (first, last), base, width)
            for edge in range(first, last):
                term, place = _term(dag, weights, values, base, width, edge), own + (edge - first) * width
                high, low = (best, term) if kind == MAX else (term, best)
                vstore(deltas, place, vgreater(high, low, zero, left))
                left = vgreater(high, low, left, zero)


@njit(**SERIAL)
def _backward_nodes(dag, edges, tiles, tile, share, slot, gradients_out, adds):
    """As `backward.backward_rows`, in pieces: a node's delta is spread before the levels of its senders."""
    first, last, of_edges, of_biases = share
    level = np.int64(dag.level_start.size - 2)
    while last > first:
        node, start = last - 1, first
        while node >= first and at(dag.aggregation, node) == SUM:
            node -= 1
        if node >= first:
            while at(dag.level_start, level) > node:
                level -= 1
            start = max(first, at(dag.level_start, level))
        piece = Share(start, last, of_edges, of_biases)
        backward_rows(dag, edges.by_sender, tiles, tile, piece, slot, gradients_out, adds)
        for other in range(start, node + 1):
            if at(dag.aggregation, other) != SUM:
                _spread(dag, edges, tiles, tile, other)
        last = start


@njit(**PARALLEL)
def backward_tiles(dag, edges, tiles, gy, planes, gradients_out, gx_out, status_out):
    """As `backward.backward_tiles`; the `t_indices` of `dag` are rows of the deltas, the receiver's or the edge's."""
    bounds, n_plane, n_tile = planes.bounds, planes.room.shape[1], tiles.activations.shape[0]
    n_window, lanes, n_edge = bounds.size - 1, vlanes(edges.by_sender), edges.by_sender.size
    uses_planes = n_plane > 1 and gradients_out.size > 0
    for wave in range(0, n_tile, n_plane):
        n_busy = min(n_plane, n_tile - wave)
        for step in range(n_window + (1 if uses_planes else 0)):
            for index in prange(n_plane):
                slot, window = np.int64(index), n_window - 1 - step
                tile = n_tile - 1 - wave - slot
                if step > 0 and uses_planes:
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
                        _backward_nodes(dag, edges, tiles, tile, share, slot, sums_out, not uses_planes)
                    if step == n_window - 1:
                        store_ports(tiles, tile, slot, gx_out)


@njit(**PARALLEL)
def backward_levels(dag, edges, tiles, gy, shares, gradients_out, gx_out, status_out):
    """As `backward.backward_levels`; the `t_indices` of `dag` are rows of the deltas, as for `backward_tiles`."""
    parts, n_tile, n_part = shares.parts, tiles.activations.shape[0], shares.parts.shape[1] - 1
    n_edge, adds = edges.by_sender.size, n_tile > 0
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
                    _backward_nodes(dag, edges, tiles, tile, share, part, gradients_out, adds)
        for index in prange(n_part):
            part = np.int64(index)
            for tile in range(first + part, last, n_part):
                store_ports(tiles, tile, part, gx_out)
