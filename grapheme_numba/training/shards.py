"""Virtual shards: a batch is cut into V parts, and their gradients are added in one fixed binary tree.

The cut and the tree depend on V alone. Ranks own runs of neighbouring shards, add what they can of the tree
by themselves, and the rest piece by piece together, so that the bits do not depend on the number of ranks:

    shards   0   1   2   3          V = 4
              \\ /     \\ /
               +       +            on 2 ranks each adds one of these by itself
                \\     /
                   +                and each adds one half of the vector's elements here
"""

from collections.abc import Collection
from typing import NamedTuple


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


def whole_nodes(own: Collection[int], node: Node) -> list[Node]:
    """The highest nodes below `node` that hold only shards of `own`, in order."""
    inside = [shard in own for shard in range(node.first, node.stop)]
    if all(inside):
        return [node]
    return [found for half in node.halves for found in whole_nodes(own, half)] if any(inside) else []


class Additions(NamedTuple):
    """How a node comes from others: rows[a] += rows[b] for each pair, in order; its sum then is in `row`."""

    row: int
    pairs: list[tuple[int, int]]


def additions(node: Node, rows: dict[Node, int]) -> Additions:
    """How `node` is added up from the nodes that lie in `rows`."""
    if node in rows:
        return Additions(rows[node], [])
    left, right = (additions(half, rows) for half in node.halves)
    return Additions(left.row, [*left.pairs, *right.pairs, (left.row, right.row)])
