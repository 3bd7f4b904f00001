"""Inference of the Sparse DNN Graph Challenge on tiles: clamp(sum + bias where the sum is not 0), layer by layer.

The CSR is opaque: every weight and index is read for every tile, whatever pattern they may follow. A
tile goes through several layers while it is in cache; between such phases the lanes that still live are
moved together, so that dead examples cost nothing.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine.simd import (
    FOUR,
    ONE,
    TWO,
    at,
    vabs,
    vadd,
    vconst,
    vfma,
    vgreater,
    vlanes,
    vload,
    vsplat,
    vstore,
)

CLAMP = 32.0


class Layers(NamedTuple):
    """All layers as one CSR.

    Attributes
    ----------
    indptr, indices, weights : int64 (n_layer * n_neuron + 1,), int32 (n_edge,), float32 (n_edge,)
        Row layer * n_neuron + j holds the senders of neuron j, numbered within the layer before.
    biases : float32 (n_layer,)
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    biases: np.ndarray


@njit(**SERIAL)
def _layer(layers, layer, n_neuron, source, target, live_out, token):
    """One layer of one tile; `live_out` gets each lane's highest output."""
    width = source.size // n_neuron
    zero = vsplat(layers.weights.dtype.type(0), token)
    bias = vsplat(at(layers.biases, layer), token)
    live = zero
    for neuron in range(n_neuron):
        edge = at(layers.indptr, layer * n_neuron + neuron)
        end = at(layers.indptr, layer * n_neuron + neuron + 1)
        even, odd = zero, zero
        while edge + 1 < end:
            sender = int(at(layers.indices, edge)) * width
            even = vfma(vsplat(at(layers.weights, edge), token), vload(source, sender, token), even)
            sender = int(at(layers.indices, edge + 1)) * width
            odd = vfma(vsplat(at(layers.weights, edge + 1), token), vload(source, sender, token), odd)
            edge += 2
        if edge < end:
            sender = int(at(layers.indices, edge)) * width
            even = vfma(vsplat(at(layers.weights, edge), token), vload(source, sender, token), even)
        total = vadd(even, odd)
        moved = vadd(total, bias)
        moved = vgreater(moved, zero, moved, zero)
        moved = vgreater(moved, vconst(CLAMP, moved), vconst(CLAMP, moved), moved)
        moved = vgreater(vabs(total), zero, moved, zero)
        vstore(target, neuron * width, moved)
        live = vgreater(moved, live, moved, live)
    vstore(live_out, 0, live)


@njit(**SERIAL)
def _one_layer(layers, layer, n_neuron, source, target, live_out):
    registers = source.size // n_neuron // vlanes(source)
    if registers == 4:
        _layer(layers, layer, n_neuron, source, target, live_out, FOUR)
    elif registers == 2:
        _layer(layers, layer, n_neuron, source, target, live_out, TWO)
    else:
        _layer(layers, layer, n_neuron, source, target, live_out, ONE)


@njit(**PARALLEL)
def run_layers(layers, span, scratch, tiles_out, live_out):
    """Take every tile through the layers `span[0] : span[1]`, in place.

    `tiles_out` (n_tile, n_neuron, width), `scratch` (n_slot, 2, n_neuron * width), `live_out`
    (n_tile, width): above 0 where an example still has an output above 0.
    """
    n_tile, n_neuron, n_slot = tiles_out.shape[0], tiles_out.shape[1], scratch.shape[0]
    for slot in prange(n_slot):
        for tile in range(slot * n_tile // n_slot, (slot + 1) * n_tile // n_slot):
            mine = tiles_out[tile].reshape(-1)
            source = mine
            for layer in range(span[0], span[1]):
                target = scratch[slot, layer % 2]
                _one_layer(layers, layer, n_neuron, source, target, live_out[tile])
                source = target
            mine[:] = source


@njit(**PARALLEL)
def move_lanes(tiles, lanes_kept, tiles_out):
    """Lane k of the result (counted through all tiles) is lane `lanes_kept[k]` of `tiles`; the rest is 0."""
    n_neuron, width = tiles.shape[1], tiles.shape[2]
    for tile in prange(tiles_out.shape[0]):
        for neuron in range(n_neuron):
            for lane in range(width):
                place = tile * width + lane
                if place < lanes_kept.size:
                    kept = lanes_kept[place]
                    tiles_out[tile, neuron, lane] = tiles[kept // width, neuron, kept % width]
                else:
                    tiles_out[tile, neuron, lane] = 0
