"""torch's ways to run a sparse network: CSR products, masked dense layers, gather and index_add by level."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from grapheme_numba.bench.baselines import RATE, ordered
from grapheme_numba.errors import GraphError
from grapheme_numba.jit import n_threads

if TYPE_CHECKING:
    from torch import Tensor

    from grapheme_numba.network.dagnn import DagNN

LEAK = 0.01


class _Torch:
    name: ClassVar[str]
    package: ClassVar[str] = "torch"
    passes: ClassVar[tuple[str, ...]]

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        import torch

        self.torch, self.graph = torch, ordered(network)
        self.n_example, self.n_node = len(x), network.n_node
        self.biases = torch.from_numpy(self.graph.biases)

    def _threads(self) -> None:
        self.torch.set_num_threads(n_threads())


class _Layered(_Torch, ABC):
    passes: ClassVar[tuple[str, ...]] = ("forward", "step")

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        super().__init__(network, x, gy)
        if not self.graph.is_layered:
            raise GraphError(f"{self.name} runs layers; this graph has edges that skip levels")
        torch, graph = self.torch, self.graph
        self.x, self.gy = self._columns(x, graph.inputs), self._columns(gy, graph.outputs - graph.levels[-1][0])
        self.weights: list[Tensor] = []
        self.bias: list[Tensor] = []
        for level, (first, last) in enumerate(graph.levels[1:], 1):
            before = graph.levels[level - 1]
            edges = graph.level_edges(level)
            indptr = torch.from_numpy(graph.indptr[first : last + 1] - graph.indptr[first])
            indices = torch.from_numpy(graph.indices[edges].astype(np.int64) - before[0])
            values = torch.from_numpy(graph.weights[edges].copy())
            matrix = torch.sparse_csr_tensor(indptr, indices, values, size=(last - first, before[1] - before[0]))
            self.weights.append(self._weight(matrix))
            self.bias.append(self._bias(self.biases[first:last]))

    def forward(self) -> None:
        """Without autograd, as for inference."""
        self._threads()
        with self.torch.no_grad():
            self.out = self._layers()

    def _layers(self) -> "Tensor":
        values = self.x
        for weight, bias in zip(self.weights, self.bias):
            values = self.torch.nn.functional.leaky_relu(self._product(weight, values, bias), LEAK)
        return values

    def step(self) -> None:
        """Forward with autograd, backward, plain SGD on the weights."""
        self._threads()
        for weight in self.weights:
            weight.grad = None
        self.out = self._layers()
        self.out.backward(self.gy)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        with self.torch.no_grad():
            for weight in self.weights:
                self._descend(weight)

    def gradients(self) -> npt.NDArray[np.float32]:
        """Edge gradients in the caller's order."""
        result = np.empty(len(self.graph.position), np.float32)
        result[self.graph.position] = np.concatenate([self._edge_grads(level) for level in range(len(self.weights))])
        return result

    @abstractmethod
    def _columns(self, rows: npt.NDArray[np.float32], at: npt.NDArray[np.int64]) -> "Tensor":
        """Rows (batch, n) in this layout, their columns put at the numbers `at`."""

    @abstractmethod
    def _weight(self, matrix: "Tensor") -> "Tensor":
        """A layer's weights in this layout, with gradients, from its CSR matrix."""

    @abstractmethod
    def _bias(self, bias: "Tensor") -> "Tensor":
        """A layer's biases (n,) as `_product` adds them."""

    @abstractmethod
    def _product(self, weight: "Tensor", values: "Tensor", bias: "Tensor") -> "Tensor":
        """One layer before its activation."""

    @abstractmethod
    def _descend(self, weight: "Tensor") -> None:
        """Plain SGD on one layer's weights."""

    @abstractmethod
    def _edge_grads(self, level: int) -> npt.NDArray[np.float32]:
        """Gradients of one layer's edges, in the order of the graph."""


def _gradient(weight: "Tensor") -> "Tensor":
    if weight.grad is None:
        raise GraphError("a layer has no gradient; call step() before gradients()")
    return weight.grad


class TorchCsr(_Layered):
    """`torch.sparse.mm` of CSR matrices on (node, batch) arrays (oneMKL)."""

    name: ClassVar[str] = "torch-csr"

    def _columns(self, rows: npt.NDArray[np.float32], at: npt.NDArray[np.int64]) -> "Tensor":
        result = np.empty(rows.shape[::-1], np.float32)
        result[at] = rows.T
        return self.torch.from_numpy(result)

    def _weight(self, matrix: "Tensor") -> "Tensor":
        return matrix.requires_grad_()

    def _bias(self, bias: "Tensor") -> "Tensor":
        return bias[:, None]

    def _product(self, weight: "Tensor", values: "Tensor", bias: "Tensor") -> "Tensor":
        return self.torch.sparse.mm(weight, values) + bias

    def _descend(self, weight: "Tensor") -> None:
        weight.values().sub_(_gradient(weight).values(), alpha=float(RATE))

    def _edge_grads(self, level: int) -> npt.NDArray[np.float32]:
        return _gradient(self.weights[level]).values().numpy()

    def y(self) -> npt.NDArray[Any]:
        """Outputs (batch, n_output)."""
        return self.out.detach().numpy()[self.graph.outputs - self.graph.levels[-1][0]].T


class TorchMasked(_Layered):
    """Dense layers whose absent weights are zero; gradients are masked before the update."""

    name: ClassVar[str] = "torch-masked"

    def _columns(self, rows: npt.NDArray[np.float32], at: npt.NDArray[np.int64]) -> "Tensor":
        result = np.empty(rows.shape, np.float32)
        result[:, at] = rows
        return self.torch.from_numpy(result)

    def _weight(self, matrix: "Tensor") -> "Tensor":
        dense = matrix.to_dense().requires_grad_()
        self.masks: list[Tensor] = [*getattr(self, "masks", []), (dense.detach() != 0).float()]
        return dense

    def _bias(self, bias: "Tensor") -> "Tensor":
        return bias

    def _product(self, weight: "Tensor", values: "Tensor", bias: "Tensor") -> "Tensor":
        return self.torch.nn.functional.linear(values, weight, bias)

    def _descend(self, weight: "Tensor") -> None:
        mask = next(mask for mask, other in zip(self.masks, self.weights) if other is weight)
        weight.sub_(_gradient(weight).mul_(mask), alpha=float(RATE))

    def _edge_grads(self, level: int) -> npt.NDArray[np.float32]:
        graph, (first, last) = self.graph, self.graph.levels[level + 1]
        edges = graph.level_edges(level + 1)
        rows = np.repeat(np.arange(last - first), np.diff(graph.indptr[first : last + 1]))
        return _gradient(self.weights[level]).numpy()[rows, graph.indices[edges] - graph.levels[level][0]]

    def y(self) -> npt.NDArray[Any]:
        """Outputs (batch, n_output)."""
        return self.out.detach().numpy()[:, self.graph.outputs - self.graph.levels[-1][0]]


class TorchLevels(_Torch):
    """Level by level on any graph: gather the senders' rows, scale, `index_add_` into the receivers."""

    name: ClassVar[str] = "torch-levels"
    passes: ClassVar[tuple[str, ...]] = ("forward",)

    def __init__(self, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]) -> None:
        super().__init__(network, x, gy)
        torch, graph = self.torch, self.graph
        self.values = torch.zeros((self.n_node, self.n_example))
        self.values[torch.from_numpy(graph.inputs)] = torch.from_numpy(np.ascontiguousarray(x.T))
        receivers = np.repeat(np.arange(self.n_node), np.diff(graph.indptr))
        self.levels: list[tuple[int, int, Tensor, Tensor, Tensor]] = []
        for level, (first, last) in enumerate(graph.levels[1:], 1):
            edges = graph.level_edges(level)
            self.levels.append((
                first, last, torch.from_numpy(graph.indices[edges].astype(np.int64)),
                torch.from_numpy(receivers[edges] - first), torch.from_numpy(graph.weights[edges])[:, None],
            ))  # fmt: skip

    def forward(self) -> None:
        """All levels, in place, without autograd."""
        self._threads()
        torch, values = self.torch, self.values
        with torch.no_grad():
            for first, last, senders, receivers, weights in self.levels:
                pre = self.biases[first:last, None].repeat(1, self.n_example)
                pre.index_add_(0, receivers, values.index_select(0, senders).mul_(weights))
                torch.nn.functional.leaky_relu(pre, LEAK, inplace=True)
                values[first:last] = pre

    def y(self) -> npt.NDArray[Any]:
        """Outputs (batch, n_output)."""
        return self.values.numpy()[self.graph.outputs].T
