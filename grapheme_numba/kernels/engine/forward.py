"""Forward pass: every receiver gathers its senders, `pre = bias + external + sum(weight * activation)`.

The accumulators of one receiver stay in registers while its edges stream past: one load and one fused
multiply-add per edge and register. A node is computed by one thread, its edges in CSR order, so the
result has the same bits whatever the number of threads, the tile it stands in or the strategy.

Where tiles hold bfloat16, a node's output is rounded once, when it is written; sums and activation functions are
float32, and so are the outputs that leave the network.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine import activations
from grapheme_numba.kernels.engine.simd import (
    FOUR,
    ONE,
    TWO,
    at,
    vadd,
    vconst,
    vfma,
    vgreater,
    vlanes,
    vload,
    vmul,
    vnatural,
    vrounds,
    vsplat,
    vstore,
)
from grapheme_numba.kernels.engine.tiles import load_rows, store_rows
from grapheme_numba.kernels.engine.updates import all_finite


@njit(**SERIAL)
def _rows(dag, weights, biases, tiles, tile, slot, first_node, last_node, token):
    values, pre, scratch = tiles.activations.reshape(-1), tiles.pre.reshape(-1), tiles.scratch[slot]
    width = vlanes(weights) * len(token)
    base = np.int64(tile) * dag.activation.size * width
    outputs, output_base = tiles.outputs.reshape(-1), np.int64(tile) * dag.outputs.size * width
    rounds = vrounds(values)
    keeps_pre = pre.size == values.size
    zero = vsplat(weights.dtype.type(0), token)
    for node in range(first_node, last_node):
        edge, end = at(dag.indptr, node), at(dag.indptr, node + 1)
        row = base + node * width
        if at(dag.is_input, node) != 0:
            if edge == end:
                if rounds and at(dag.is_output, node) != 0:
                    place = output_base + np.int64(tiles.port_of[node, 0]) * width
                    vstore(outputs, place, vnatural(values, vload(values, row, token)))
                continue
            even = vload(values, row, token)
        else:
            even = vsplat(at(biases, node), token)
        odd = zero
        while edge + 1 < end:
            sender = base + np.int64(at(dag.indices, edge)) * width
            even = vfma(vsplat(at(weights, edge), token), vload(values, sender, token), even)
            sender = base + np.int64(at(dag.indices, edge + 1)) * width
            odd = vfma(vsplat(at(weights, edge + 1), token), vload(values, sender, token), odd)
            edge += 2
        if edge < end:
            sender = base + np.int64(at(dag.indices, edge)) * width
            even = vfma(vsplat(at(weights, edge), token), vload(values, sender, token), even)
        even = vadd(even, odd)
        if keeps_pre:
            vstore(pre, row, even)
        kind = at(dag.activation, node)
        if kind == activations.LEAKY_RELU:
            # The default, kept in registers; the others go through memory once more, sixteen lanes at
            # a time, so that their code exists once and not once per width.
            even = vgreater(zero, even, vmul(even, vconst(activations.LEAK, even)), even)
        elif kind != activations.LINEAR:
            vstore(scratch, 0, even)
            activations.apply(kind, 0, width, scratch)
            even = vload(scratch, 0, token)
        vstore(values, row, even)
        if rounds and at(dag.is_output, node) != 0:
            vstore(outputs, output_base + np.int64(tiles.port_of[node, 0]) * width, vnatural(values, even))


@njit(**SERIAL)
def forward_rows(dag, weights, biases, tiles, tile, slot, nodes):
    """Compute the nodes `nodes[0] : nodes[1]` of one tile; their senders must be done.

    `weights` (n_edge,) in CSR order, `biases` (n_node,) in internal order; `slot` names the scratch to use.
    Writes `tiles.activations` and, where kept, `tiles.pre` and `tiles.outputs`.
    """
    registers = tiles.activations.shape[2] // vlanes(weights)
    first, last = nodes
    if registers == 4:
        _rows(dag, weights, biases, tiles, tile, slot, first, last, FOUR)
    elif registers == 2:
        _rows(dag, weights, biases, tiles, tile, slot, first, last, TWO)
    else:
        _rows(dag, weights, biases, tiles, tile, slot, first, last, ONE)


@njit(**SERIAL)
def store_outputs(dag, tiles, tile, slot, y_out):
    """Read the outputs of a tile's examples into `y_out` (batch, n_output); 2 if any is not finite, else 0."""
    if vrounds(tiles.activations):
        rows = tiles.port_rows[: y_out.shape[1]]
        store_rows(tiles.outputs, rows, tile, tile, tiles.scratch[slot], y_out)
    else:
        store_rows(tiles.activations, dag.outputs, tile, tile, tiles.scratch[slot], y_out)
    width = tiles.activations.shape[2]
    return 0 if all_finite(y_out[tile * width : min((tile + 1) * width, y_out.shape[0])].reshape(-1)) else 2


@njit(**PARALLEL)
def forward_tiles(dag, weights, biases, x, tiles, y_out, status_out):
    """Whole tiles per thread, without a barrier. `status_out` (n_tile,): above 0 where `x` or an output is not finite.

    `tiles.scratch` has a slot per thread; a thread takes every n_slot-th tile.
    """
    n_tile, n_slot, n_node = tiles.activations.shape[0], tiles.scratch.shape[0], np.int64(dag.activation.size)
    for index in prange(n_slot):
        slot = np.int64(index)
        for tile in range(slot, n_tile, n_slot):
            status_out[tile] = load_rows(x, dag.inputs, tile, tiles.scratch[slot], tiles.activations)
            forward_rows(dag, weights, biases, tiles, tile, slot, (np.int64(0), n_node))
            status_out[tile] |= store_outputs(dag, tiles, tile, slot, y_out)


@njit(**PARALLEL)
def forward_levels(dag, weights, biases, x, tiles, shares, y_out, status_out):
    """The nodes of a level shared among threads, a group of tiles at a time (`tiles.Shares`)."""
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
                    forward_rows(dag, weights, biases, tiles, tile, part, nodes)
    for index in prange(n_part):
        part = np.int64(index)
        for tile in range(part, n_tile, n_part):
            status_out[tile] |= store_outputs(dag, tiles, tile, part, y_out)
