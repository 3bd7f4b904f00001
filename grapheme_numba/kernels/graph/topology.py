"""Graph building in compiled loops: levels, sender and receiver order, reachability, one cycle.

An order of the nodes against which few edges run: what has to go to make a graph acyclic.
"""

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL


@njit(**SERIAL)
def check_edges(senders, receivers, n_node):
    """Position of the first edge with an id out of range or a self loop, or -1."""
    for edge in range(senders.size):
        sender, receiver = senders[edge], receivers[edge]
        if sender < 0 or sender >= n_node or receiver < 0 or receiver >= n_node or sender == receiver:
            return edge
    return -1


@njit(**SERIAL)
def group_by(keys, order, indptr_out, grouped_out):
    """Stable counting sort: `grouped_out` lists the edges of `order` by `keys[edge]`.

    `indptr_out` (n_key + 1,) int64 receives where each key's group begins.
    """
    indptr_out[:] = 0
    for edge in keys:
        indptr_out[edge + 1] += 1
    for key in range(indptr_out.size - 1):
        indptr_out[key + 1] += indptr_out[key]
    cursor = indptr_out[:-1].copy()
    for position in range(keys.size):
        edge = order[position]
        key = keys[edge]
        grouped_out[cursor[key]] = edge
        cursor[key] += 1


@njit(**SERIAL)
def topological_levels(receivers, t_indptr, t_edges, in_degree, level_out):
    """Levels by Kahn's algorithm (1962); returns how many nodes got one (fewer than all: a cycle).

    `t_edges` lists the edges by sender; `in_degree` is used up; `level_out` (n_node,) int32.
    """
    n_node = level_out.size
    queue = np.empty(n_node, np.int32)
    head, tail = 0, 0
    for node in range(n_node):
        level_out[node] = 0
        if in_degree[node] == 0:
            queue[tail] = node
            tail += 1
    while head < tail:
        node = queue[head]
        head += 1
        for position in range(t_indptr[node], t_indptr[node + 1]):
            receiver = receivers[t_edges[position]]
            level_out[receiver] = max(level_out[receiver], level_out[node] + 1)
            in_degree[receiver] -= 1
            if in_degree[receiver] == 0:
                queue[tail] = receiver
                tail += 1
    return tail


@njit(**SERIAL)
def find_cycle(receivers, t_indptr, t_edges, in_degree):
    """The nodes of one cycle, in order, among the nodes that Kahn's algorithm left (`in_degree` > 0)."""
    n_node = in_degree.size
    # Every node left has a sender that is left too: walking senders must come round again.
    before = np.full(n_node, -1, np.int64)
    for node in range(n_node):
        if in_degree[node] > 0:
            for position in range(t_indptr[node], t_indptr[node + 1]):
                if in_degree[receivers[t_edges[position]]] > 0:
                    before[receivers[t_edges[position]]] = node
    seen = np.full(n_node, -1, np.int64)
    node = 0
    while in_degree[node] == 0:
        node += 1
    steps = 0
    while seen[node] < 0:
        seen[node] = steps
        steps += 1
        node = before[node]
    length = steps - seen[node]
    cycle = np.empty(length, np.int64)
    for position in range(length - 1, -1, -1):
        cycle[position] = node
        node = before[node]
    return cycle


@njit(**SERIAL)
def barycentre_order(receivers, t_indptr, t_edges, level_start, is_input, order_out):
    """Sort the nodes within each level by the mean position of their senders, inputs first.

    `order_out` (n_node,) int32 comes level by level and is sorted in place; equal means keep their order.
    Nodes that share senders become neighbours, so gathers stay within a window (the barycentre heuristic
    of Sugiyama et al. 1981, one sweep).
    """
    sums, counts = np.zeros(order_out.size), np.zeros(order_out.size, np.int64)
    keys, spare_keys, spare = np.empty(order_out.size), np.empty(order_out.size), np.empty_like(order_out)
    for level in range(level_start.size - 1):
        nodes = order_out[level_start[level] : level_start[level + 1]]
        if level > 0:
            for k in range(nodes.size):
                keys[k] = -1.0 if is_input[nodes[k]] else sums[nodes[k]] / counts[nodes[k]]
            sort_by(keys, nodes, spare_keys, spare)
        for k in range(nodes.size):
            position = level_start[level] + k
            for entry in range(t_indptr[nodes[k]], t_indptr[nodes[k] + 1]):
                receiver = receivers[t_edges[entry]]
                sums[receiver] += position
                counts[receiver] += 1


@njit(**SERIAL)
def sort_by(keys_out, nodes_out, spare_keys, spare):
    """Sort `nodes_out` (n,) int32 by the first n of `keys_out` float64, both in place; equal keys keep their order.

    A merge sort from the bottom up. NumPy's `argsort` in a kernel compiles for 6 s, a tenth of a first start.
    """
    n, width = nodes_out.size, 1
    while width < n:
        for start in range(0, n, 2 * width):
            middle, end = min(start + width, n), min(start + 2 * width, n)
            left, right = start, middle
            for k in range(start, end):
                if left < middle and (right == end or keys_out[left] <= keys_out[right]):
                    source, left = left, left + 1
                else:
                    source, right = right, right + 1
                spare_keys[k], spare[k] = keys_out[source], nodes_out[source]
        for k in range(n):
            keys_out[k], nodes_out[k] = spare_keys[k], spare[k]
        width *= 2


@njit(**SERIAL)
def transpose(t_indptr, t_indices, indptr_out, indices_out):
    """CSR of incoming edges from the CSR of outgoing ones; senders come out ascending in each row."""
    indptr_out[:] = 0
    for receiver in t_indices:
        indptr_out[receiver + 1] += 1
    for node in range(indptr_out.size - 1):
        indptr_out[node + 1] += indptr_out[node]
    cursor = indptr_out[:-1].copy()
    for sender in range(t_indptr.size - 1):
        for edge in range(t_indptr[sender], t_indptr[sender + 1]):
            receiver = t_indices[edge]
            indices_out[cursor[receiver]] = sender
            cursor[receiver] += 1


@njit(**SERIAL)
def chunk_starts(indptr, t_indices, bounds, starts_out):
    """Where each receiver's edges from position `bounds[k]` on in sender order begin in CSR order.

    `bounds` (n_chunk + 1,) positions; `starts_out` (n_chunk, n_node) int32.
    """
    before = 0
    for chunk in range(bounds.size - 1):
        if chunk == 0:
            for node in range(indptr.size - 1):
                starts_out[0, node] = indptr[node]
        else:
            starts_out[chunk] = starts_out[chunk - 1]
        for edge in range(before, bounds[chunk]):
            starts_out[chunk, t_indices[edge]] += 1
        before = bounds[chunk]


@njit(**SERIAL)
def first_duplicate(t_indptr, t_indices):
    """Position in sender order of the second of two equal edges, or -1."""
    for sender in range(t_indptr.size - 1):
        for edge in range(t_indptr[sender] + 1, t_indptr[sender + 1]):
            if t_indices[edge] == t_indices[edge - 1]:
                return edge
    return -1


@njit(**SERIAL)
def mark_reached(indptr, indices, reached_out):
    """Set `reached_out` (uint8 per node, 1 at the inputs) to 1 for every node an input can reach."""
    for node in range(reached_out.size):
        for edge in range(indptr[node], indptr[node + 1]):
            reached_out[node] |= reached_out[indices[edge]]


@njit(**SERIAL)
def most_live_nodes(indptr, indices):
    """The largest number of activations that the forward pass still needs at one time.

    A node is live from its own turn to that of its last receiver; this is the working set that has
    to stay in the cache for gathers to be cheap.
    """
    n_node = indptr.size - 1
    last = np.arange(n_node)
    for node in range(n_node):
        for edge in range(indptr[node], indptr[node + 1]):
            last[indices[edge]] = node
    ends = np.zeros(n_node + 1, np.int64)
    for node in range(n_node):
        ends[last[node] + 1] += 1
    live, most = 0, 0
    for node in range(n_node):
        live += 1 - ends[node]
        most = max(most, live)
    return most


@njit(**SERIAL)
def rows_of(indptr, rows_out):
    """Write each entry's row number: the inverse of `indptr`."""
    for row in range(indptr.size - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            rows_out[entry] = row


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
