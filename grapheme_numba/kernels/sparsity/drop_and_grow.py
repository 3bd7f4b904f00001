"""Topology that learns: which edges are dropped, where others are grown, and the graph and vectors with them.

Every random number is a function of a key and a counter, so threads share the draws in any order.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import BORROWED, BORROWED_INLINE, PARALLEL, SERIAL
from grapheme_numba.kernels.engine.simd import at

CHUNK = 64
TRIES = 16  # draws for a place that is free, before the edge is kept
WORD = np.uint64(0xFFFFFFFF)
FIRST, SECOND = np.uint64(0x7FEB352D), np.uint64(0x846CA68B)
FIFTEEN, SIXTEEN, HALF = np.uint64(15), np.uint64(16), np.uint64(32)


class Draws(NamedTuple):
    """What decides the places that are drawn.

    key : (2,) uint64, each below 2**32
    levels : (n, 2) int32, the levels that edge i is to join
    """

    key: np.ndarray
    levels: np.ndarray


@njit(**BORROWED_INLINE)
def mixed(word):
    """A 32-bit word that depends on every bit of `word` (uint64 below 2**32)."""
    word ^= word >> SIXTEEN
    word = (word * FIRST) & WORD
    word ^= word >> FIFTEEN
    word = (word * SECOND) & WORD
    return word ^ (word >> SIXTEEN)


@njit(**BORROWED_INLINE)
def drawn(low, high, key, edge, counter):
    """A number in [low, high): a function of the key, the edge and the counter."""
    word = mixed(mixed(np.uint64(edge) ^ key[0]) ^ np.uint64(counter) ^ key[1])
    return low + np.int64((word * np.uint64(high - low)) >> HALF)


@njit(**BORROWED_INLINE)
def place(dag, draws, edge, attempt):
    """(sender, receiver) of an attempt to place an edge, internal numbers."""
    first, last = draws.levels[edge, 0], draws.levels[edge, 1]
    start = dag.level_start
    sender = drawn(start[first], start[first + 1], draws.key, edge, 2 * attempt)
    return sender, drawn(start[last], start[last + 1], draws.key, edge, 2 * attempt + 1)


@njit(**BORROWED_INLINE)
def absent(dag, sender, receiver):
    """Whether the graph has no edge from `sender` to `receiver`."""
    low, high = dag.t_indptr[sender], dag.t_indptr[sender + 1]
    last = high
    while low < high:
        middle = (low + high) >> 1
        if dag.t_indices[middle] < receiver:
            low = middle + 1
        else:
            high = middle
    return low == last or dag.t_indices[low] != receiver


@njit(**PARALLEL)
def draw_edges(dag, draws, senders_out, receivers_out):
    """A free place between the levels of each edge; -1 where none was found.

    Places of dropped edges are not free, so that what was just judged does not come back at once.

    Parameters
    ----------
    dag : Dag
    draws : Draws
    senders_out, receivers_out : (n,) int32
    """
    n = senders_out.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        _draw_chunk(dag, draws, chunk * CHUNK, min(n, (chunk + 1) * CHUNK), senders_out, receivers_out)


@njit(**BORROWED)
def _draw_chunk(dag, draws, first, last, senders_out, receivers_out):
    for edge in range(first, last):
        senders_out[edge] = receivers_out[edge] = -1
        for attempt in range(TRIES):
            sender, receiver = place(dag, draws, edge, attempt)
            if absent(dag, sender, receiver):
                senders_out[edge], receivers_out[edge] = sender, receiver
                break


@njit(**BORROWED)
def would_be_gradient(activations, deltas, sender, receiver):
    """`sum over examples of activation[sender] * delta[receiver]`: dL/dw of an edge that need not exist.

    Parameters
    ----------
    activations, deltas : (n_tile, n_node, width)
        Of the latest backward pass; deltas beyond the batch are 0.
    sender, receiver : int
        Internal numbers.
    """
    total, (n_tile, n_node, width), n_row = 0.0, activations.shape, deltas.shape[1]
    for tile in range(n_tile):
        value, slope = (tile * n_node + np.int64(sender)) * width, (tile * n_row + np.int64(receiver)) * width
        # Four sums side by side: additions wait for each other. A width is a multiple of eight.
        a = b = c = d = 0.0
        for lane in range(0, width, 4):
            a += np.float64(at(activations, value + lane)) * at(deltas, slope + lane)
            b += np.float64(at(activations, value + lane + 1)) * at(deltas, slope + lane + 1)
            c += np.float64(at(activations, value + lane + 2)) * at(deltas, slope + lane + 2)
            d += np.float64(at(activations, value + lane + 3)) * at(deltas, slope + lane + 3)
        total += (a + b) + (c + d)
    return total


@njit(**PARALLEL)
def best_edges(dag, draws, activations, deltas, senders_out, receivers_out):
    """As `draw_edges`, but of `TRIES` free places the one with the largest would-be gradient.

    Parameters
    ----------
    dag, draws, senders_out, receivers_out
        As for `draw_edges`.
    activations, deltas
        As for `would_be_gradient`.
    """
    n = senders_out.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        first, last = chunk * CHUNK, min(n, (chunk + 1) * CHUNK)
        _best_chunk(dag, draws, activations, deltas, first, last, senders_out, receivers_out)


@njit(**BORROWED)
def _best_chunk(dag, draws, activations, deltas, first, last, senders_out, receivers_out):
    for edge in range(first, last):
        senders_out[edge] = receivers_out[edge] = -1
        largest = -1.0
        for attempt in range(TRIES):
            sender, receiver = place(dag, draws, edge, attempt)
            if absent(dag, sender, receiver):
                size = abs(would_be_gradient(activations, deltas, sender, receiver))
                if size > largest:
                    largest = size
                    senders_out[edge], receivers_out[edge] = sender, receiver


@njit(**BORROWED)
def redraw_repeats(dag, draws, order, attempts, senders_out, receivers_out):
    """Draw again for the second and later of edges that want one place.

    Parameters
    ----------
    dag, draws
        As for `draw_edges`.
    order : (n,) int32
        The edges by sender, then receiver, then position.
    attempts : (2,) int64
        First and last + 1 of the attempts to use; where all fail the place is -1.
    senders_out, receivers_out : (n,) int32
        The places wanted; changed in place.

    Returns
    -------
    int
        How many edges there were to draw for.
    """
    repeats, before_sender, before_receiver = 0, -1, -1
    for edge in order:
        sender, receiver = senders_out[edge], receivers_out[edge]
        if sender == before_sender and receiver == before_receiver:
            repeats += 1
            senders_out[edge] = receivers_out[edge] = -1
            for attempt in range(attempts[0], attempts[1]):
                other, other_receiver = place(dag, draws, edge, attempt)
                if absent(dag, other, other_receiver):
                    senders_out[edge], receivers_out[edge] = other, other_receiver
                    break
        before_sender, before_receiver = sender, receiver
    return repeats


@njit(**SERIAL)
def choose_dropped(ascending, receivers, in_degree, n_wanted, dropped_out):
    """Mark the first `n_wanted` edges of `ascending` that are not the last one of their receiver.

    Parameters
    ----------
    ascending : (n,) int64
        Edges, smallest first.
    receivers : (n_edge,) int32
    in_degree : (n_node,) int64
        Counted down.
    n_wanted : int
    dropped_out : (n_edge,) bool
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
            dropped_out[edge] = True
            found += 1
    return found


@njit(**SERIAL)
def reach_backwards(indptr, indices, reached_out):
    """Set `reached_out` (uint8 per node, 1 at the outputs) to 1 for every node from which an output is reached."""
    for node in range(reached_out.size - 1, -1, -1):
        if reached_out[node]:
            for edge in range(indptr[node], indptr[node + 1]):
                reached_out[indices[edge]] = 1


HIGH_BITS, LOW_BITS = 15, 16  # of a magnitude, whose sign bit is 0


@njit(**SERIAL)
def choose_smallest(sizes, receivers, n_node, n_wanted, dropped_out):
    """Mark the `n_wanted` smallest edges, ties by position; the strongest edge of a receiver always stays.

    The limit is found by counting the upper and then the lower half of the bit patterns: four passes over
    the edges instead of a sort, which took 7.8 ms for 108,032 edges where this takes 0.6.

    Parameters
    ----------
    sizes : (n_edge,) uint32
        Bit patterns of the weights' magnitudes as float32: they order as the magnitudes do.
    receivers : (n_edge,) int32
    n_node, n_wanted : int
    dropped_out : (n_edge,) bool
        All False; set to True for the chosen edges.

    Returns
    -------
    int
        How many there were.
    """
    strongest = np.full(n_node, -1, np.int64)
    for edge in range(sizes.size):
        best = strongest[receivers[edge]]
        if best < 0 or sizes[edge] > sizes[best]:
            strongest[receivers[edge]] = edge
    high = np.zeros(1 << HIGH_BITS, np.int64)
    low = np.zeros(1 << LOW_BITS, np.int64)
    n_free = 0
    for edge in range(sizes.size):
        if strongest[receivers[edge]] != edge:
            high[np.int64(sizes[edge]) >> LOW_BITS] += 1
            n_free += 1
    wanted = min(n_wanted, n_free)
    if wanted <= 0:
        return 0
    left, upper = wanted, 0
    while high[upper] < left:
        left -= high[upper]
        upper += 1
    for edge in range(sizes.size):
        if np.int64(sizes[edge]) >> LOW_BITS == upper and strongest[receivers[edge]] != edge:
            low[np.int64(sizes[edge]) & ((1 << LOW_BITS) - 1)] += 1
    lower = 0
    while low[lower] < left:
        left -= low[lower]
        lower += 1
    limit = (upper << LOW_BITS) | lower
    for edge in range(sizes.size):
        size = np.int64(sizes[edge])
        if size <= limit and strongest[receivers[edge]] != edge:
            if size == limit:
                left -= 1
            dropped_out[edge] = size < limit or left >= 0
    return wanted


MERGE_CHUNK = 16384


class GrownEdges(NamedTuple):
    """New edges sorted by sender, then receiver.

    indptr : (n_node + 1,) int64, where each sender's begin
    receivers, slots : (n,) int32, their receivers and their positions in the caller's edge order
    """

    indptr: np.ndarray
    receivers: np.ndarray
    slots: np.ndarray


@njit(**BORROWED)
def list_dropped(dag, dropped, level, dropped_out, levels_out):
    """The positions of dropped edges, and the levels that each joined.

    Parameters
    ----------
    dag : Dag
    dropped : (n_edge,) bool
    level : (n_node,) int32
    dropped_out : (n,) int64
    levels_out : (n, 2) int32
    """
    found = 0
    for sender in range(level.size):
        for edge in range(dag.t_indptr[sender], dag.t_indptr[sender + 1]):
            if dropped[edge]:
                dropped_out[found] = edge
                levels_out[found, 0], levels_out[found, 1] = level[sender], level[dag.t_indices[edge]]
                found += 1


@njit(**BORROWED)
def merge(dag, dropped, grown, t_indptr_out, t_indices_out, edge_order_out, source_out):
    """The edges by sender, without the dropped ones and with the new ones.

    Parameters
    ----------
    dag : Dag
    dropped : (n_edge,) bool
    grown : GrownEdges
        As many as are dropped.
    t_indptr_out, t_indices_out, edge_order_out
        The fields of the new graph.
    source_out : (n_edge,) int32
        Where each edge stood before, -1 for a new one.
    """
    written = 0
    for sender in range(dag.t_indptr.size - 1):
        t_indptr_out[sender] = written
        new, last_new = grown.indptr[sender], grown.indptr[sender + 1]
        for old in range(dag.t_indptr[sender], dag.t_indptr[sender + 1] + 1):
            ends = old == dag.t_indptr[sender + 1]
            if not ends and dropped[old]:
                continue
            while new < last_new and (ends or grown.receivers[new] < dag.t_indices[old]):
                t_indices_out[written], edge_order_out[written] = grown.receivers[new], grown.slots[new]
                source_out[written] = -1
                written += 1
                new += 1
            if not ends:
                t_indices_out[written], edge_order_out[written] = dag.t_indices[old], dag.edge_order[old]
                source_out[written] = old
                written += 1
    t_indptr_out[dag.t_indptr.size - 1] = written


@njit(**PARALLEL)
def rearrange(values, source, values_out):
    """`values_out[i] = values[source[i]]`, 0 where `source[i]` is -1."""
    size = source.size
    for chunk in prange((size + MERGE_CHUNK - 1) // MERGE_CHUNK):
        for i in range(chunk * MERGE_CHUNK, min(size, (chunk + 1) * MERGE_CHUNK)):
            values_out[i] = values[source[i]] if source[i] >= 0 else 0.0
