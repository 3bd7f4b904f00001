"""A network's graph for rivals: nodes numbered level by level, edges as CSR by receiver, both maps kept."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Ordered(NamedTuple):
    """What every rival is built from.

    Attributes
    ----------
    indptr, indices : int64 (n_node + 1,), int32 (n_edge,)
        CSR of incoming edges with nodes numbered by level.
    weights, biases : float32 (n_edge,), (n_node,)
        In that order.
    levels : list of (first, last)
        Node ranges; the first is the inputs.
    inputs, outputs : int (n_input,), (n_output,)
        Numbers of the inputs and outputs, in the order of the columns of x and y.
    position : int (n_edge,)
        The caller's position of each edge.
    """

    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    levels: list
    inputs: np.ndarray
    outputs: np.ndarray
    position: np.ndarray

    @property
    def is_layered(self):
        """Does every edge come from the level just before?"""
        return all(
            first == 0 or self.indices[self.indptr[first] : self.indptr[last]].min() >= before[0]
            for before, (first, last) in zip([(0, 0), *self.levels], self.levels)
        )

    def level_edges(self, level):
        """The slice of the edges that enter a level."""
        first, last = self.levels[level]
        return slice(int(self.indptr[first]), int(self.indptr[last]))


def ordered(network):
    """The `Ordered` graph of a network whose inputs have no incoming edges and whose other nodes all do."""
    graph, node_order = network.topology(), network.dag.node_order
    number = np.empty(network.n_node, np.int64)
    number[node_order] = np.arange(network.n_node)
    senders, receivers = number[graph["senders"]], number[graph["receivers"]]
    position = np.lexsort((senders, receivers))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(receivers, minlength=network.n_node))])
    start = network.dag.level_start.tolist()
    return Ordered(
        indptr, senders[position].astype(np.int32), network.weights[position].copy(), network.biases[node_order].copy(),
        list(pairwise(start)), number[graph["inputs"]], number[graph["outputs"]], position,
    )  # fmt: skip
