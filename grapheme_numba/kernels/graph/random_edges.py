"""Random graphs that have to be drawn edge by edge. Numbers come from a state that the seed decides."""

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels.graph.topology import group_by

LEFT, RIGHT, LAST = np.uint64(13), np.uint64(7), np.uint64(17)
HALF = np.uint64(32)


@njit(**SERIAL)
def below(most, state_out):
    """A number in [0, most), most < 2**31, by xorshift64 (Marsaglia 2003); `state_out` (1,) uint64 is not 0."""
    word = state_out[0]
    word ^= word << LEFT
    word ^= word >> RIGHT
    word ^= word << LAST
    state_out[0] = word
    return np.int64(((word >> HALF) * np.uint64(most)) >> HALF)


@njit(**SERIAL)
def preferential_senders(n_in, fan_in, state, senders_out):
    """Senders by preferential attachment (Price 1976): with probability proportional to out-degree + 1.

    Parameters
    ----------
    n_in : int
        Nodes 0 .. n_in - 1 have no senders.
    fan_in : int
        Different senders of every later node, at most n_in.
    state : uint64 (1,)
        Of the random numbers; not 0, moved on.
    senders_out : int32 (n_node - n_in, fan_in)
        Row k: the senders of node n_in + k.
    """
    n_late = senders_out.shape[0]
    # Every node once, and once more for each edge that leaves it: a uniform draw is then preferential.
    pot = np.empty(n_in + n_late * (fan_in + 1), np.int32)
    pot[:n_in] = np.arange(n_in, dtype=np.int32)
    size = n_in
    for row in range(n_late):
        found = 0
        while found < fan_in:
            sender = pot[below(size, state)]
            fresh = True
            for k in range(found):
                fresh &= senders_out[row, k] != sender
            if fresh:
                senders_out[row, found] = sender
                found += 1
        for k in range(fan_in):
            pot[size] = senders_out[row, k]
            size += 1
        pot[size] = n_in + row
        size += 1


@njit(**SERIAL)
def swap_receivers(senders, rank, state, n_try, receivers_out):
    """Exchange the receivers of random pairs of edges where the graph stays simple and acyclic.

    Every node keeps its in-degree and its out-degree, and every edge still rises in `rank`. Returns how
    many of the `n_try` exchanges were made. Whether an edge exists is seen by walking its sender's edges:
    Numba's sets of integers slow down without end when elements come and go.

    Parameters
    ----------
    senders : int32 (n_edge,)
    rank : int64 (n_node,)
        A number per node that rises along every edge, as its level does.
    state : uint64 (1,)
        Of the random numbers; not 0, moved on.
    n_try : int
    receivers_out : int32 (n_edge,)
        The receivers; exchanged in place.
    """
    n_edge = senders.size
    indptr, by_sender = np.empty(rank.size + 1, np.int64), np.empty(n_edge, np.int32)
    group_by(senders, np.arange(n_edge, dtype=np.int32), indptr, by_sender)
    made = 0
    for _ in range(n_try):
        first, second = below(n_edge, state), below(n_edge, state)
        a, b, c, d = senders[first], receivers_out[first], senders[second], receivers_out[second]
        if a == c or b == d or rank[a] >= rank[d] or rank[c] >= rank[b]:
            continue
        if _sends_to(a, d, indptr, by_sender, receivers_out) or _sends_to(c, b, indptr, by_sender, receivers_out):
            continue
        receivers_out[first], receivers_out[second] = d, b
        made += 1
    return made


@njit(**SERIAL)
def _sends_to(sender, receiver, indptr, by_sender, receivers):
    for position in range(indptr[sender], indptr[sender + 1]):  # noqa: SIM110
        if receivers[by_sender[position]] == receiver:
            return True
    return False
