"""Planes: where threads that work on different tiles keep the gradients of a window of senders."""

from typing import NamedTuple

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels.engine.simd import at

CHUNK = 2048


class Planes(NamedTuple):
    """Room for the gradients of the tiles that are in work.

    Attributes
    ----------
    bounds : int64 (n_window + 1,)
        Where the windows begin, in nodes.
    room : (2, n_plane, size)
        A window's gradients for as many tiles as there are planes, twice: while one window is computed the
        one before is added. A single plane stands for none.
    """

    bounds: np.ndarray
    room: np.ndarray


class Share(NamedTuple):
    """Senders `first : last`, and where their gradients go: that of edge e to e + of_edges, bias n to n + of_biases."""

    first: int
    last: int
    of_edges: int
    of_biases: int


@njit(**SERIAL)
def share_of_window(dag, lanes, first, last):
    """The senders `first : last` with their places in a plane: blocks stay aligned."""
    edge = at(dag.t_indptr, first) & -lanes
    size = (at(dag.t_indptr, last) - edge + lanes - 1) & -lanes
    return Share(first, last, -edge, size - (first & -lanes))


@njit(**SERIAL)
def add_planes(dag, planes, n_busy, window, slot, gradients_out):
    """Add the first `n_busy` of `planes` (n_plane, size), in order, to the gradients: one thread's part of a window."""
    n_part, n_edge = planes.shape[0], dag.t_indices.size
    first, last, of_edges, of_biases = window
    start, size = at(dag.t_indptr, first), at(dag.t_indptr, last) - at(dag.t_indptr, first)
    edges = (start + size * slot // n_part, start + size * (slot + 1) // n_part)
    _add(planes, n_busy, of_edges, edges, 0, gradients_out)
    size = last - first
    nodes = (first + size * slot // n_part, first + size * (slot + 1) // n_part)
    _add(planes, n_busy, of_biases, nodes, n_edge, gradients_out)


@njit(**SERIAL)
def _add(planes, n_busy, shift, part, place, gradients_out):
    """`gradients_out[place + i] += planes[k][i + shift]` for i of the part, plane after plane."""
    for chunk in range(part[0], part[1], CHUNK):
        end = min(chunk + CHUNK, part[1])
        sums = gradients_out[place + chunk : place + end]
        for k in range(n_busy):
            terms = planes[k, chunk + shift : end + shift]
            for i in range(sums.size):
                sums[i] += terms[i]
