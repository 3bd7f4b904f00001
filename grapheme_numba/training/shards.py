"""Virtual shards: a batch is cut into V parts, and their gradients are added in one fixed binary tree.

The cut and the tree depend on V alone. Ranks own runs of neighbouring shards, add what they can of the tree
by themselves, and the rest piece by piece together, so that the bits do not depend on the number of ranks:

    shards   0   1   2   3          V = 4
              \\ /     \\ /
               +       +            on 2 ranks each adds one of these by itself
                \\     /
                   +                and each adds one half of the vector's elements here
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

CHUNK = 1 << 20  # elements exchanged at once, so that memory stays flat however many parameters there are


class Node(NamedTuple):
    """The shards first <= v < stop, added together."""

    first: int
    stop: int

    @property
    def halves(self) -> tuple["Node", "Node"]:
        """The two nodes whose sum this one is."""
        middle = (self.first + self.stop) // 2
        return Node(self.first, middle), Node(middle, self.stop)


def own_shards(rank: int, size: int, n_shard: int) -> range:
    """The shards of a rank."""
    return range(rank * n_shard // size, (rank + 1) * n_shard // size)


def whole_nodes(own: range, node: Node) -> list[Node]:
    """The highest nodes below `node` that hold only shards of `own`, in order."""
    if own.start <= node.first and node.stop <= own.stop:
        return [node]
    if node.stop <= own.start or own.stop <= node.first:
        return []
    return [found for half in node.halves for found in whole_nodes(own, half)]


def add_up(node: Node, known: dict[Node, np.ndarray]) -> np.ndarray:
    """The sum of `node` from the sums of nodes below it."""
    if node in known:
        return known[node]
    left, right = (add_up(half, known) for half in node.halves)
    return left + right


class ShardedSum:
    """The sum over all shards of a flat gradient of `n` elements, the same bits on every rank.

    Parameters
    ----------
    comm : Serial or Ranks
    n_shard : int
    gradients : (n,) array
        Where a shard's gradient is made and where the sum ends.

    Two neighbours are added as soon as both are there, so a rank of k shards needs log2(k) more vectors.
    """

    def __init__(self, comm, n_shard: int, gradients: np.ndarray):
        self.comm, self.gradients = comm, gradients
        self.root = Node(0, n_shard)
        self.owners = [whole_nodes(own_shards(rank, comm.size, n_shard), self.root) for rank in range(comm.size)]
        self.own = own_shards(comm.rank, comm.size, n_shard)
        self._buffers: dict[object, np.ndarray] = {}

    def add_own(self, make: Callable[[int], None]) -> None:
        """Fill the nodes of this rank. `make(i)` ADDS the gradient of its i-th shard to `gradients`, then 0."""
        nodes = self.owners[self.comm.rank]
        for node in nodes:
            self._fill(node, make, 0)
            if len(nodes) > 1:
                self._buffer(node)[:] = self.gradients

    def _fill(self, node: Node, make, depth: int) -> None:
        if node.stop - node.first == 1:
            self.gradients[:] = 0
            return make(node.first - self.own.start)
        left, right = node.halves
        self._fill(left, make, depth + 1)
        waiting = self._buffer(depth)
        waiting[:] = self.gradients
        self._fill(right, make, depth + 1)
        np.add(waiting, self.gradients, out=self.gradients)

    def _buffer(self, key) -> np.ndarray:
        if key not in self._buffers:
            self._buffers[key] = np.empty_like(self.gradients)
        return self._buffers[key]

    def add_all(self) -> None:
        """Add the nodes of all ranks into `gradients`."""
        if self.comm.size == 1:
            return
        with self.comm.unbroken():
            for first in range(0, len(self.gradients), CHUNK):
                self._add_chunk(self.gradients[first : first + CHUNK], first)

    def _add_chunk(self, chunk: np.ndarray, first: int) -> None:
        """Every rank adds up its piece of the chunk, then all get all pieces."""
        comm, size = self.comm, self.comm.size
        bounds = [len(chunk) * rank // size for rank in range(size + 1)]
        counts = np.diff(bounds)
        n_node = [len(nodes) for nodes in self.owners]
        mine = self.owners[comm.rank]
        if len(mine) == 1:  # the usual case, without a copy
            send = chunk
        else:
            held = [self._buffer(node)[first : first + len(chunk)] for node in mine]
            spans = list(pairwise(bounds))
            send = np.concatenate([part[start:stop] for start, stop in spans for part in held])
        width = int(counts[comm.rank])
        received = np.empty(width * sum(n_node), chunk.dtype)
        comm.exchange(send, counts * len(mine), received, np.array(n_node) * width)
        nodes = [node for nodes in self.owners for node in nodes]
        known = dict(zip(nodes, received.reshape(len(nodes), width), strict=True))
        comm.spread(add_up(self.root, known), chunk, counts)
