"""Sums of absolute contributions over a batch: nodes and edges, straight from the engine's tiles."""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL
from grapheme_numba.kernels.engine.simd import at


@njit(**PARALLEL)
def node_contributions(activations, deltas, dag, batch, total_out):
    """Add `sum over examples of |activation * delta|` of each node to `total_out` (n_node,) float64.

    Parameters
    ----------
    activations, deltas : (n_tile, n_node, width)
        Of the latest backward pass.
    dag : Dag
    batch : int
        Examples in the tiles; lanes beyond them are passed over.
    total_out : (n_node,) float64
        By internal number.
    """
    n_tile, n_node, width = activations.shape
    n_row = deltas.shape[1]
    for index in prange(dag.activation.size):
        node = np.int64(index)
        for tile in range(n_tile):
            place, slope = (tile * n_node + node) * width, (tile * n_row + node) * width
            for lane in range(min(width, batch - tile * width)):
                total_out[node] += abs(np.float64(at(activations, place + lane)) * at(deltas, slope + lane))


@njit(**PARALLEL)
def edge_contributions(activations, deltas, dag, weights, batch, total_out):
    """Add `sum over examples of |weight * activation[sender] * delta[receiver]|` of each edge.

    Parameters
    ----------
    activations, deltas, dag
        As for `node_contributions`.
    weights : (n_edge,)
        In the order of `dag.t_indices`.
    batch : int
    total_out : (n_edge,) float64
        In the order of `dag.t_indices`.
    """
    n_tile, n_node, width = activations.shape
    n_row = deltas.shape[1]
    for index in prange(dag.activation.size):
        node = np.int64(index)
        for edge in range(dag.t_indptr[node], dag.t_indptr[node + 1]):
            receiver, total = np.int64(dag.t_indices[edge]), 0.0
            for tile in range(n_tile):
                place, slope = (tile * n_node + node) * width, (tile * n_row + receiver) * width
                for lane in range(min(width, batch - tile * width)):
                    total += abs(np.float64(at(activations, place + lane)) * at(deltas, slope + lane))
            total_out[edge] += total * abs(np.float64(weights[edge]))
