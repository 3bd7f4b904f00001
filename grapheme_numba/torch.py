"""`DagLayer`: a network as a PyTorch module with the engine's kernels. Only this module imports PyTorch."""

import copy
from typing import Any

import numpy as np

from grapheme_numba.errors import ShapeError, UsageError
from grapheme_numba.network.dagnn import DagNN

try:
    import torch
    from torch.autograd.function import once_differentiable
except ModuleNotFoundError as error:
    raise UsageError(
        f"gn.torch needs PyTorch, and there is no module {error.name!r}; install it with: pip install torch"
    ) from None


class _Pass(torch.autograd.Function):
    """A forward pass on a tape, and its backward pass. Gradients of parameters go to PyTorch, not to the network."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor, dag: DagNN) -> torch.Tensor:
        y, ctx.tape = dag.record(x.detach().numpy())
        ctx.dag = dag
        # Not for their values: PyTorch then refuses a backward pass after they were written in place.
        ctx.save_for_backward(weights, biases)
        return torch.from_numpy(y)

    @staticmethod
    @once_differentiable  # type: ignore[misc, untyped-decorator, unused-ignore]  # PyTorch gives it no type
    def backward(ctx: Any, gy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        _ = ctx.saved_tensors  # raises where they have changed
        dag, learns = ctx.dag, ctx.needs_input_grad[1] or ctx.needs_input_grad[2]
        gradients = np.zeros_like(dag.parameters) if learns else dag.parameters[:0]
        gx = ctx.tape.backward_into(gy.detach().numpy(), gradients)
        if not learns:
            return torch.from_numpy(gx), None, None, None
        both = torch.from_numpy(gradients)
        return torch.from_numpy(gx), both[: dag.n_edge], both[dag.n_edge :], None


class DagLayer(torch.nn.Module):
    """A `DagNN` inside PyTorch: `layer(x)` is `dag.forward(x)`, differentiable in `x`, weights and biases.

    The parameters ARE the network's memory: what an optimiser of PyTorch writes, `dag` computes with. They
    stand in the network's internal order; `state_dict` holds them in the caller's order, as `dag.weights` and
    `dag.biases` show them, so that it fits every layer on the same graph.

    Parameters
    ----------
    dag : DagNN

    Attributes
    ----------
    dag : DagNN
        The network, not a copy.
    weights : torch.nn.Parameter (n_edge,)
    biases : torch.nn.Parameter (n_node,)
        Those of input nodes are 0, have the gradient 0, and become 0 again before each pass.
    """

    weights: torch.nn.Parameter
    biases: torch.nn.Parameter

    def __init__(self, dag: DagNN) -> None:
        super().__init__()
        if not isinstance(dag, DagNN):
            raise UsageError(f"dag is a {type(dag).__name__}; give a DagNN")
        self.dag = dag
        dag.receiver_weights.live = True  # PyTorch writes the parameters and tells nobody
        self.weights, self.biases = (torch.nn.Parameter(part) for part in self._memory())
        self._own = self.weights, self.biases

    def _memory(self) -> tuple[torch.Tensor, torch.Tensor]:
        flat, n_edge = self.dag.parameters, self.dag.n_edge
        return torch.from_numpy(flat[:n_edge]), torch.from_numpy(flat[n_edge:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (..., n_output) for `x` (..., n_input), a CPU tensor of the network's dtype. Raises ShapeError."""
        dag = self.dag
        wanted = self.dag.dtype.name
        if not isinstance(x, torch.Tensor) or x.device.type != "cpu" or str(x.dtype) != f"torch.{wanted}":
            came = f"{x.dtype} on {x.device}" if isinstance(x, torch.Tensor) else type(x).__name__
            raise ShapeError(f"x is {came}; give a CPU tensor of {wanted}, or build the network with another dtype")
        if not x.ndim or x.shape[-1] != dag.n_input:
            raise ShapeError(f"x has shape {tuple(x.shape)}; wanted (..., {dag.n_input})")
        if self.weights is self._own[0] and self.biases is self._own[1]:
            self._share()
        else:  # torch.func.functional_call put other tensors in their place
            dag = copy.copy(dag)
            dag.parameters[: dag.n_edge] = self.weights.detach().numpy()
            dag.parameters[dag.n_edge :] = self.biases.detach().numpy()
            dag.parameters_changed()
        # PyTorch gives `apply` no type.
        y: torch.Tensor = _Pass.apply(x.reshape(-1, dag.n_input), self.weights, self.biases, dag)  # type: ignore[no-untyped-call, unused-ignore]
        return y.reshape(*x.shape[:-1], dag.n_output)

    def _share(self) -> None:
        """Keep parameters and network in one memory, whatever was assigned to `.data`; inputs have no bias."""
        for parameter, memory in zip(self._own, self._memory(), strict=True):
            if parameter.data_ptr() != memory.data_ptr():
                if parameter.dtype != memory.dtype or parameter.shape != memory.shape or parameter.device.type != "cpu":
                    raise UsageError(
                        f"a DagLayer computes on the CPU in {self.dag.dtype.name}, but its parameters were made "
                        f"{parameter.dtype} on {parameter.device}; build the network with the dtype you want"
                    )
                memory.copy_(parameter.detach())
                parameter.data = memory
        self.dag.clear_input_biases()

    def extra_repr(self) -> str:
        """The network in one line."""
        return repr(self.dag)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or a pickle has a network of its own, whose memory its parameters share."""
        flags = self.training, self.weights.requires_grad, self.biases.requires_grad
        return _rebuild, (type(self), self.dag, *flags)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        self._share()
        for name in ("weights", "biases"):
            destination[prefix + name] = torch.from_numpy(np.array(getattr(self.dag, name), subok=False))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        for name in ("weights", "biases"):
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            try:
                setattr(self.dag, name, state_dict[key].detach().cpu().numpy())
            except ValueError as error:
                error_msgs.append(f"{key}: {error}")
        with torch.no_grad():
            for parameter in self._own:
                parameter.add_(0)  # a graph from before must see that its parameters have changed
        unexpected_keys += [
            key
            for key in state_dict
            if strict and key.startswith(prefix) and key[len(prefix) :] not in ("weights", "biases")
        ]


def _rebuild(cls: type[DagLayer], dag: DagNN, training: bool, *learns: bool) -> DagLayer:
    layer = cls(dag)
    layer.train(training)
    for parameter, flag in zip((layer.weights, layer.biases), learns, strict=True):
        parameter.requires_grad_(flag)
    return layer
