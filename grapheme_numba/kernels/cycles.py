"""An order of the nodes against which few edges run: what has to go to make a graph acyclic."""

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels.topology import group_by


@njit(**SERIAL)
def feedback_order(senders, receivers, rank_out):
    """Rank nodes by the greedy heuristic of Eades, Lin and Smyth (1993), in time linear in edges.

    Sinks go to the end, sources to the front, and else the node with the largest surplus of outgoing
    over incoming edges to the front. Of a graph without cycles no edge runs against the result.

    Parameters
    ----------
    senders, receivers : (n_edge,) int32
        Self loops are ignored.
    rank_out : (n_node,) int64
        Position of each node in the order; an edge closes a cycle where rank[sender] >= rank[receiver].
    """
    n_node, n_edge = rank_out.size, senders.size
    edges = np.arange(n_edge, dtype=np.int32)
    t_indptr, by_sender = np.empty(n_node + 1, np.int64), np.empty(n_edge, np.int32)
    indptr, by_receiver = np.empty(n_node + 1, np.int64), np.empty(n_edge, np.int32)
    group_by(senders, edges, t_indptr, by_sender)
    group_by(receivers, edges, indptr, by_receiver)
    out_degree, in_degree = np.zeros(n_node, np.int64), np.zeros(n_node, np.int64)
    for edge in range(n_edge):
        if senders[edge] != receivers[edge]:
            out_degree[senders[edge]] += 1
            in_degree[receivers[edge]] += 1
    most = 0
    for node in range(n_node):
        most = max(most, out_degree[node], in_degree[node])
    # Doubly linked lists of nodes by surplus; list 0 holds sinks, the last one sources.
    heads = np.full(2 * most + 3, -1, np.int64)
    following, before = np.full(n_node, -1, np.int64), np.full(n_node, -1, np.int64)
    place = np.empty(n_node, np.int64)
    for node in range(n_node):
        place[node] = _place(out_degree[node], in_degree[node], most)
        _push(node, place[node], heads, following, before)
    first, last, top = 0, n_node - 1, 2 * most + 2
    for _ in range(n_node):
        if heads[0] >= 0:
            chosen = heads[0]
            rank_out[chosen] = last
            last -= 1
        else:
            if heads[2 * most + 2] >= 0:
                chosen = heads[2 * most + 2]
            else:
                while heads[top] < 0:
                    top -= 1
                chosen = heads[top]
            rank_out[chosen] = first
            first += 1
        _remove(chosen, place[chosen], heads, following, before)
        place[chosen] = -1
        for position in range(t_indptr[chosen], t_indptr[chosen + 1]):
            node = receivers[by_sender[position]]
            if place[node] >= 0:
                in_degree[node] -= 1
                _remove(node, place[node], heads, following, before)
                place[node] = _place(out_degree[node], in_degree[node], most)
                _push(node, place[node], heads, following, before)
                top = max(top, place[node])
        for position in range(indptr[chosen], indptr[chosen + 1]):
            node = senders[by_receiver[position]]
            if place[node] >= 0:
                out_degree[node] -= 1
                _remove(node, place[node], heads, following, before)
                place[node] = _place(out_degree[node], in_degree[node], most)
                _push(node, place[node], heads, following, before)
                top = max(top, place[node])


@njit(**SERIAL)
def _place(n_out, n_in, most):
    if n_out == 0:
        return 0
    if n_in == 0:
        return 2 * most + 2
    return n_out - n_in + most + 1


@njit(**SERIAL)
def _push(node, place, heads, following, before):
    following[node], before[node] = heads[place], -1
    if heads[place] >= 0:
        before[heads[place]] = node
    heads[place] = node


@njit(**SERIAL)
def _remove(node, place, heads, following, before):
    if before[node] >= 0:
        following[before[node]] = following[node]
    else:
        heads[place] = following[node]
    if following[node] >= 0:
        before[following[node]] = before[node]
