"""A graph as a `torch.nn.Module`, level by level. PyTorch is imported only here."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from grapheme_numba.graph.dag import level_plan

if TYPE_CHECKING:
    from grapheme_numba.graph.named import NamedGraph

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.01),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "elu": functional.elu,
    "gelu": lambda x: 0.5 * x * torch.erfc(-x * math.sqrt(0.5)),
    "silu": functional.silu,
    "sin": torch.sin,
    "gaussian": lambda x: torch.exp(-x * x),
    "abs": torch.abs,
    "square": torch.square,
    "cube": lambda x: x * x * x,
    "exp": lambda x: torch.exp(torch.clamp(x, -60.0, 60.0)),
    "log": lambda x: torch.log(torch.clamp(x, min=1e-7)),
    "inverse": lambda x: torch.where(x == 0, torch.zeros_like(x), 1.0 / torch.where(x == 0, torch.ones_like(x), x)),
    "clamped": lambda x: torch.clamp(x, -1.0, 1.0),
    "hat": lambda x: torch.relu(1.0 - torch.abs(x)),
    "selu": functional.selu,
    "lelu": lambda x: functional.leaky_relu(x, 0.005),
    "softplus_5": lambda x: 0.2 * functional.softplus(5.0 * torch.clamp(x, -12.0, 12.0), threshold=1e9),
    "sin_60": lambda x: torch.sin(torch.clamp(x, -60.0, 60.0)),
}

REDUCTIONS = {"mean": "mean", "product": "prod", "max": "amax", "min": "amin"}


class GraphModule(torch.nn.Module):  # type: ignore[misc, unused-ignore]  # without torch it has no type
    """The outputs of a graph for a batch; weights and biases are parameters, in the graph's order.

    The parameters are `weights` (n_edge,) and `free_biases`, those of all nodes but the inputs, which have
    none to train. `biases` (n_node,) is all of them, as a network takes them back.

    A level is one gather, one product and one `index_add`, and as much with `scatter_reduce` for each other
    aggregation (several inputs that are the largest share its gradient, where the engine gives it to the first):
    correct and trainable, at a small part of the engine's speed, and with batch * n_edge numbers in memory for the
    backward pass.
    """

    outputs: torch.Tensor  # buffers
    free: torch.Tensor
    zeros: torch.Tensor

    def __init__(self, graph: "NamedGraph") -> None:
        super().__init__()
        self.plan, outputs = level_plan(graph)
        biases = np.zeros(graph.n_node) if graph.biases is None else graph.biases
        self.weights = torch.nn.Parameter(torch.tensor(graph.weights, dtype=torch.float32))
        free = np.setdiff1d(np.arange(graph.n_node), graph.inputs)
        self.free_biases = torch.nn.Parameter(torch.tensor(biases[free], dtype=torch.float32))
        self.register_buffer("free", torch.from_numpy(free))
        self.register_buffer("zeros", torch.zeros(graph.n_node, dtype=torch.float32))
        self.names = graph.names
        self.register_buffer("outputs", torch.from_numpy(outputs))
        for number, level in enumerate(self.plan):
            for name in ("edges", "senders", "receivers", "columns", "fed", "nodes"):
                self._keep(f"{name}_{number}", getattr(level, name))
            for place, aggregate in enumerate(level.aggregates):
                for name in ("places", "edges", "senders", "receivers"):
                    self._keep(f"{name}_{number}_{place}", getattr(aggregate, name))

    def _keep(self, name: str, values: npt.NDArray[np.int64]) -> None:
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))

    def _aggregated(self, kind: str, key: str, pre: torch.Tensor, done: torch.Tensor) -> torch.Tensor:
        """`pre` with the aggregates of some nodes of a level added."""
        places, edges, senders, receivers = (
            self.get_buffer(f"{name}_{key}") for name in ("places", "edges", "senders", "receivers")
        )
        terms = done[:, senders] * self.weights[edges]
        start = pre.new_ones((len(pre), len(places)))
        total = start.scatter_reduce(1, receivers.expand(len(pre), -1), terms, REDUCTIONS[kind], include_self=False)
        return pre.index_add(1, places, total)

    @property
    def biases(self) -> torch.Tensor:
        """The bias (n_node,) of each node, 0 at inputs, differentiable in `free_biases`."""
        return self.zeros.index_copy(0, self.free, self.free_biases)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, n_output) of `x` (batch, n_input)."""
        biases = self.biases
        done = x.new_zeros((len(x), 0))
        for number, level in enumerate(self.plan):
            edges, senders, receivers, columns, fed, nodes = (
                self.get_buffer(f"{name}_{number}")
                for name in ("edges", "senders", "receivers", "columns", "fed", "nodes")
            )
            pre = biases[nodes].expand(len(x), -1)
            pre = pre.index_add(1, fed, x[:, columns])
            pre = pre.index_add(1, receivers, done[:, senders] * self.weights[edges])
            for place, aggregate in enumerate(self.plan[number].aggregates):
                pre = self._aggregated(aggregate.kind, f"{number}_{place}", pre, done)
            parts = [ACTIVATIONS[name](pre[:, start:stop]) for name, start, stop in level.groups]
            done = torch.cat([done, *parts], dim=1)
        return done[:, self.outputs]


def to_torch(graph: "NamedGraph") -> GraphModule:
    """A `GraphModule` of a graph with weights and activations, in float32."""
    return GraphModule(graph)
