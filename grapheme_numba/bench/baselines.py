"""What every baseline offers, and the baselines that need no torch: SciPy's CSR product and neat-python.

A baseline is built from a network's graph and a batch, and holds everything in its own best layout before
the clock starts. `forward()` and, where it trains, `step()` do the timed work; `y()` and `gradients()`
give what came out, in our order, to be compared with ours.

A network's graph for baselines: nodes numbered level by level, edges as CSR by receiver, both maps kept.
"""

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from grapheme_numba.kernels.bench.baselines import edge_gradients

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN


class Baseline(Protocol):
    """What is timed beside ours: its name, the package it needs, and which passes it has."""

    name: ClassVar[str]
    package: ClassVar[str]
    passes: ClassVar[tuple[str, ...]]
    n_example: int

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None: ...

    def forward(self) -> None:
        """The forward pass."""

    def y(self) -> npt.NDArray[Any]:
        """Outputs (n_example, n_output)."""


@runtime_checkable
class Trains(Protocol):
    """A baseline whose passes are `forward` and `step`."""

    def step(self) -> None:
        """A whole training step."""

    def gradients(self) -> npt.NDArray[Any]:
        """Edge gradients (n_edge,) in the caller's order."""


class Ordered(NamedTuple):
    """What every baseline is built from.

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

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    biases: npt.NDArray[np.float32]
    levels: list[tuple[int, int]]
    inputs: npt.NDArray[np.int64]
    outputs: npt.NDArray[np.int64]
    position: npt.NDArray[np.intp]

    @property
    def is_layered(self) -> bool:
        """Does every edge come from the level just before?"""
        return all(
            first == 0 or self.indices[self.indptr[first] : self.indptr[last]].min() >= before[0]
            for before, (first, last) in zip([(0, 0), *self.levels], self.levels)
        )

    def level_edges(self, level: int) -> slice:
        """The slice of the edges that enter a level."""
        first, last = self.levels[level]
        return slice(int(self.indptr[first]), int(self.indptr[last]))


def ordered(network: "DagNN") -> Ordered:
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


LEAK = np.float32(0.01)
RATE = np.float32(1e-6)


class ScipyCsr:
    """`matrix @ dense` per level on (node, batch) arrays: SciPy's compiled loop, one thread."""

    name: ClassVar[str] = "scipy-csr"
    package: ClassVar[str] = "scipy"
    passes: ClassVar[tuple[str, ...]] = ("forward",)

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        from scipy.sparse import csr_array

        self.graph = graph = ordered(network)
        self.n_example = len(x)
        self.values = np.zeros((network.n_node, len(x)), np.float32)
        self.values[graph.inputs] = x.T
        self.biases = graph.biases[:, None]
        self.matrices = []
        for level, (first, last) in enumerate(graph.levels):
            edges = graph.level_edges(level)
            indptr = graph.indptr[first : last + 1] - graph.indptr[first]
            parts = (graph.weights[edges], graph.indices[edges], indptr)
            self.matrices.append(csr_array(parts, shape=(last - first, network.n_node)))

    def forward(self) -> None:
        """All levels, in place."""
        for (first, last), matrix in zip(self.graph.levels[1:], self.matrices[1:]):
            pre = matrix @ self.values
            pre += self.biases[first:last]
            np.maximum(pre, LEAK * pre, out=self.values[first:last])

    def y(self) -> npt.NDArray[Any]:
        """Outputs (batch, n_output)."""
        return self.values[self.graph.outputs].T


class BatchMajor(ScipyCsr):
    """SciPy products both ways and one dot product per edge: how truly sparse trainers do it."""

    name: ClassVar[str] = "scipy-dots"
    passes: ClassVar[tuple[str, ...]] = ("forward", "step")

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        super().__init__(network, x, gy)
        graph = self.graph
        self.transposed = [matrix.T.tocsr() for matrix in self.matrices]
        self.receivers = np.repeat(np.arange(network.n_node, dtype=np.int32), np.diff(graph.indptr))
        self.deltas = np.zeros_like(self.values)
        self.gy = np.ascontiguousarray(gy.T)
        self.edge_grads = np.empty_like(graph.weights)

    def step(self) -> None:
        """Forward, deltas level by level, edge gradients, plain SGD."""
        self.forward()
        deltas = self.deltas
        deltas[:] = 0
        deltas[self.graph.outputs] = self.gy
        for (first, last), matrix in zip(self.graph.levels[:0:-1], self.transposed[:0:-1]):
            deltas[first:last] *= np.where(self.values[first:last] > 0, np.float32(1), LEAK)
            deltas += matrix @ deltas[first:last]
        edge_gradients(self.values, deltas, self.graph.indices, self.receivers, self.edge_grads)
        self.graph.weights[:] -= RATE * self.edge_grads

    def gradients(self) -> npt.NDArray[np.float32]:
        """Edge gradients in the caller's order."""
        result = np.empty_like(self.edge_grads)
        result[self.graph.position] = self.edge_grads
        return result


class NeatPython:
    """`FeedForwardNetwork.activate`: interpreted Python, one example at a time."""

    name: ClassVar[str] = "neat-python"
    package: ClassVar[str] = "neat"
    passes: ClassVar[tuple[str, ...]] = ("forward",)

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        from neat.nn import FeedForwardNetwork

        graph = ordered(network)
        weights, senders = graph.weights.tolist(), graph.indices.tolist()
        evaluations = []
        for node in range(graph.levels[1][0], network.n_node):
            edges = slice(graph.indptr[node], graph.indptr[node + 1])
            links = list(zip(senders[edges], weights[edges]))
            evaluations.append((node, _leaky_relu, sum, float(graph.biases[node]), 1.0, links))
        self.rows = x[:1].tolist()
        self.n_example = len(self.rows)
        self.net = FeedForwardNetwork(graph.inputs.tolist(), graph.outputs.tolist(), evaluations)

    def forward(self) -> None:
        """The first example of the batch."""
        self.out = [self.net.activate(row) for row in self.rows]

    def y(self) -> npt.NDArray[Any]:
        """Outputs (1, n_output)."""
        return np.array(self.out)


def _leaky_relu(value: float) -> float:
    return value if value > 0.0 else 0.01 * value
