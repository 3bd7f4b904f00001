"""Topology that learns: which edges to lose, which to try, and what gradient those would have had."""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.random_edges import below

CHUNK = 64


@njit(**SERIAL)
def choose_lost(ascending, receivers, in_degree, n_wanted, lost_out):
    """Mark the first `n_wanted` edges of `ascending` that are not the last one of their receiver.

    Parameters
    ----------
    ascending : (n,) int64
        Edges, smallest first.
    receivers : (n_edge,) int32
    in_degree : (n_node,) int64
        Counted down.
    n_wanted : int
    lost_out : (n_edge,) bool
        Set to True for the chosen edges.

    Returns
    -------
    int
        How many there were.
    """
    found = 0
    for edge in ascending:
        if found < n_wanted and in_degree[receivers[edge]] > 1:
            in_degree[receivers[edge]] -= 1
            lost_out[edge] = True
            found += 1
    return found


@njit(**SERIAL)
def draw_candidates(dag, lost, state, senders_out, receivers_out):
    """Draw new edges between the levels that the lost edges joined; ids are internal.

    A pair that is an edge of `dag` (lost ones included, so that what was just judged does not come back at
    once) is drawn again, a few times; then it is left out.

    Parameters
    ----------
    dag : Dag
    lost : (n_lost, 2) int32
        Levels of sender and receiver of each lost edge.
    state : (1,) uint64
        Of the random numbers, moved on.
    senders_out, receivers_out : (n_candidate,) int32
        Candidate i joins the levels of lost edge i mod n_lost.

    Returns
    -------
    int
        How many candidates were written.
    """
    n_lost, found = lost.shape[0], 0
    for candidate in range(senders_out.size):
        low, high = lost[candidate % n_lost, 0], lost[candidate % n_lost, 1]
        for _ in range(8):
            sender = dag.level_start[low] + below(dag.level_start[low + 1] - dag.level_start[low], state)
            receiver = dag.level_start[high] + below(dag.level_start[high + 1] - dag.level_start[high], state)
            first, last = dag.t_indptr[sender], dag.t_indptr[sender + 1]
            position = first + np.searchsorted(dag.t_indices[first:last], receiver)
            if position == last or dag.t_indices[position] != receiver:
                senders_out[found], receivers_out[found] = sender, receiver
                found += 1
                break
    return found


@njit(**PARALLEL)
def would_be_gradients(activations, deltas, senders, receivers, gradients_out):
    """`sum over examples of activation[sender] * delta[receiver]`: dL/dw of edges that need not exist.

    Parameters
    ----------
    activations, deltas : (n_tile, n_node, width)
        Of the latest backward pass; deltas beyond the batch are 0.
    senders, receivers : (n,) int32
        Internal node ids.
    gradients_out : (n,) float64
    """
    n = senders.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        for i in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            total = 0.0
            for tile in range(activations.shape[0]):
                for lane in range(activations.shape[2]):
                    total += np.float64(activations[tile, senders[i], lane]) * deltas[tile, receivers[i], lane]
            gradients_out[i] = total


@njit(**SERIAL)
def reach_backwards(indptr, indices, reached_out):
    """Set `reached_out` (uint8 per node, 1 at the outputs) to 1 for every node from which an output is reached."""
    for node in range(reached_out.size - 1, -1, -1):
        if reached_out[node]:
            for edge in range(indptr[node], indptr[node + 1]):
                reached_out[indices[edge]] = 1
