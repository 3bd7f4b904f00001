"""Topology that learns: the graph with old edges gone and new ones in, and the vectors that follow."""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import BORROWED, PARALLEL

CHUNK = 16384


class Arrivals(NamedTuple):
    """New edges sorted by sender, then receiver.

    indptr : (n_node + 1,) int64, where each sender's begin
    receivers, slots : (n,) int32, their receivers and their positions in the caller's edge order
    """

    indptr: np.ndarray
    receivers: np.ndarray
    slots: np.ndarray


@njit(**BORROWED)
def list_lost(dag, lost, level, lost_out, levels_out):
    """The positions of lost edges, and the levels that each joined.

    Parameters
    ----------
    dag : Dag
    lost : (n_edge,) bool
    level : (n_node,) int32
    lost_out : (n,) int64
    levels_out : (n, 2) int32
    """
    found = 0
    for sender in range(level.size):
        for edge in range(dag.t_indptr[sender], dag.t_indptr[sender + 1]):
            if lost[edge]:
                lost_out[found] = edge
                levels_out[found, 0], levels_out[found, 1] = level[sender], level[dag.t_indices[edge]]
                found += 1


@njit(**BORROWED)
def merge(dag, lost, arrivals, t_indptr_out, t_indices_out, edge_order_out, source_out):
    """The edges by sender, without the lost ones and with the new ones.

    Parameters
    ----------
    dag : Dag
    lost : (n_edge,) bool
    arrivals : Arrivals
        As many as are lost.
    t_indptr_out, t_indices_out, edge_order_out
        The fields of the new graph.
    source_out : (n_edge,) int32
        Where each edge stood before, -1 for a new one.
    """
    written = 0
    for sender in range(dag.t_indptr.size - 1):
        t_indptr_out[sender] = written
        new, last_new = arrivals.indptr[sender], arrivals.indptr[sender + 1]
        for old in range(dag.t_indptr[sender], dag.t_indptr[sender + 1] + 1):
            ends = old == dag.t_indptr[sender + 1]
            if not ends and lost[old]:
                continue
            while new < last_new and (ends or arrivals.receivers[new] < dag.t_indices[old]):
                t_indices_out[written], edge_order_out[written] = arrivals.receivers[new], arrivals.slots[new]
                source_out[written] = -1
                written += 1
                new += 1
            if not ends:
                t_indices_out[written], edge_order_out[written] = dag.t_indices[old], dag.edge_order[old]
                source_out[written] = old
                written += 1
    t_indptr_out[dag.t_indptr.size - 1] = written


@njit(**PARALLEL)
def follow(values, source, moved_out):
    """`moved_out[i] = values[source[i]]`, 0 where `source[i]` is -1."""
    size = source.size
    for chunk in prange((size + CHUNK - 1) // CHUNK):
        for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
            moved_out[i] = values[source[i]] if source[i] >= 0 else 0.0
