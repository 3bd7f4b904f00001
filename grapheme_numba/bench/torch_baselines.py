"""torch's ways to run a sparse network: CSR products, masked dense layers, gather and index_add by level."""

import numpy as np

from grapheme_numba.bench.baselines import RATE, ordered
from grapheme_numba.errors import GraphError
from grapheme_numba.jit import n_threads

LEAK = 0.01


class _Torch:
    package = "torch"

    def __init__(self, network, x, gy):
        import torch

        self.torch, self.graph = torch, ordered(network)
        self.n_example, self.n_node = len(x), network.n_node
        self.biases = torch.from_numpy(self.graph.biases)

    def _threads(self):
        self.torch.set_num_threads(n_threads())


class _Layered(_Torch):
    passes = ("forward", "step")

    def __init__(self, network, x, gy):
        super().__init__(network, x, gy)
        if not self.graph.is_layered:
            raise GraphError(f"{self.name} runs layers; this graph has edges that skip levels")
        torch, graph = self.torch, self.graph
        self.x, self.gy = self._columns(x, graph.inputs), self._columns(gy, graph.outputs - graph.levels[-1][0])
        self.weights, self.bias = [], []
        for level, (first, last) in enumerate(graph.levels[1:], 1):
            before = graph.levels[level - 1]
            edges = graph.level_edges(level)
            indptr = torch.from_numpy(graph.indptr[first : last + 1] - graph.indptr[first])
            indices = torch.from_numpy(graph.indices[edges].astype(np.int64) - before[0])
            values = torch.from_numpy(graph.weights[edges].copy())
            matrix = torch.sparse_csr_tensor(indptr, indices, values, size=(last - first, before[1] - before[0]))
            self.weights.append(self._weight(matrix))
            self.bias.append(self._bias(self.biases[first:last]))

    def forward(self):
        """Without autograd, as for inference."""
        self._threads()
        with self.torch.no_grad():
            self.out = self._layers()

    def _layers(self):
        values = self.x
        for weight, bias in zip(self.weights, self.bias):
            values = self.torch.nn.functional.leaky_relu(self._product(weight, values, bias), LEAK)
        return values

    def step(self):
        """Forward with autograd, backward, plain SGD on the weights."""
        self._threads()
        for weight in self.weights:
            weight.grad = None
        self.out = self._layers()
        self.out.backward(self.gy)
        with self.torch.no_grad():
            for weight in self.weights:
                self._descend(weight)

    def gradients(self):
        """Edge gradients in the caller's order."""
        result = np.empty(len(self.graph.position), np.float32)
        result[self.graph.position] = np.concatenate([self._edge_grads(level) for level in range(len(self.weights))])
        return result


class TorchCsr(_Layered):
    """`torch.sparse.mm` of CSR matrices on (node, batch) arrays (oneMKL)."""

    name = "torch-csr"

    def _columns(self, rows, at):
        result = np.empty(rows.shape[::-1], np.float32)
        result[at] = rows.T
        return self.torch.from_numpy(result)

    def _weight(self, matrix):
        return matrix.requires_grad_()

    def _bias(self, bias):
        return bias[:, None]

    def _product(self, weight, values, bias):
        return self.torch.sparse.mm(weight, values) + bias

    def _descend(self, weight):
        weight.values().sub_(weight.grad.values(), alpha=float(RATE))

    def _edge_grads(self, level):
        return self.weights[level].grad.values().numpy()

    def y(self):
        """Outputs (batch, n_output)."""
        return self.out.detach().numpy()[self.graph.outputs - self.graph.levels[-1][0]].T


class TorchMasked(_Layered):
    """Dense layers whose absent weights are zero; gradients are masked before the update."""

    name = "torch-masked"

    def _columns(self, rows, at):
        result = np.empty(rows.shape, np.float32)
        result[:, at] = rows
        return self.torch.from_numpy(result)

    def _weight(self, matrix):
        dense = matrix.to_dense().requires_grad_()
        self.masks = [*getattr(self, "masks", []), (dense.detach() != 0).float()]
        return dense

    def _bias(self, bias):
        return bias

    def _product(self, weight, values, bias):
        return self.torch.nn.functional.linear(values, weight, bias)

    def _descend(self, weight):
        mask = next(mask for mask, other in zip(self.masks, self.weights) if other is weight)
        weight.sub_(weight.grad.mul_(mask), alpha=float(RATE))

    def _edge_grads(self, level):
        graph, (first, last) = self.graph, self.graph.levels[level + 1]
        edges = graph.level_edges(level + 1)
        rows = np.repeat(np.arange(last - first), np.diff(graph.indptr[first : last + 1]))
        return self.weights[level].grad.numpy()[rows, graph.indices[edges] - graph.levels[level][0]]

    def y(self):
        """Outputs (batch, n_output)."""
        return self.out.detach().numpy()[:, self.graph.outputs - self.graph.levels[-1][0]]


class TorchLevels(_Torch):
    """Level by level on any graph: gather the senders' rows, scale, `index_add_` into the receivers."""

    name, passes = "torch-levels", ("forward",)

    def __init__(self, network, x, gy):
        super().__init__(network, x, gy)
        torch, graph = self.torch, self.graph
        self.values = torch.zeros((self.n_node, self.n_example))
        self.values[torch.from_numpy(graph.inputs)] = torch.from_numpy(np.ascontiguousarray(x.T))
        receivers = np.repeat(np.arange(self.n_node), np.diff(graph.indptr))
        self.levels = []
        for level, (first, last) in enumerate(graph.levels[1:], 1):
            edges = graph.level_edges(level)
            self.levels.append((
                first, last, torch.from_numpy(graph.indices[edges].astype(np.int64)),
                torch.from_numpy(receivers[edges] - first), torch.from_numpy(graph.weights[edges])[:, None],
            ))  # fmt: skip

    def forward(self):
        """All levels, in place, without autograd."""
        self._threads()
        torch, values = self.torch, self.values
        with torch.no_grad():
            for first, last, senders, receivers, weights in self.levels:
                pre = self.biases[first:last, None].repeat(1, self.n_example)
                pre.index_add_(0, receivers, values.index_select(0, senders).mul_(weights))
                torch.nn.functional.leaky_relu(pre, LEAK, inplace=True)
                values[first:last] = pre

    def y(self):
        """Outputs (batch, n_output)."""
        return self.values.numpy()[self.graph.outputs].T
