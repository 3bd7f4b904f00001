"""One training step, in the order of the algorithm. Trainers, `gn.fit` and the estimators all take it.

    accumulate    y = f(x);  L, dL/dy = loss(y);  g += dL/dw          (sums over examples, any number of times)
    apply         g / n  ->  norm  ->  clip  ->  w, moments = optimiser(w, g, moments, lr)  ->  g = 0  ->  finite?

Both are free of policy: what a number that is not finite leads to is the caller's to say.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from grapheme_numba.optim.optimizers import Optimizer, OptimizerState, clip_scale, gradient_norm

Array = npt.NDArray[Any]
Result = TypeVar("Result")


class Differentiable(Protocol):
    """What `accumulate` asks of a network: `DagNN`, `BrainModel` and `SharedAGIModel` have it."""

    def forward(self, x: Any, /) -> Array:
        """Outputs (batch, n_output)."""

    def backward_accumulate(self, gy: Array, /) -> Any:
        """ADD the gradients of the latest forward pass, given dL/dy (batch, n_output)."""


class Parametrised(Protocol):
    """What `apply` asks of a network: parameters and gradients as two flat vectors (n_parameter,) of one dtype."""

    @property
    def parameters(self) -> Array:
        """Overwritten by a step."""

    @property
    def gradients(self) -> Array:
        """Sums over the accumulated examples; 0 after a step."""

    def parameters_changed(self) -> None:
        """Called with every step: `parameters` are about to be written to."""


class Reducer(Protocol):
    """Who adds up gradients and updates parameters: this process (`Local`), or several together (`Team`)."""

    def gradient_norm(self, network: Any, /) -> float:
        """L2 norm of the accumulated gradient; not finite as soon as one element is."""

    def update(
        self, network: Any, optimizer: Optimizer, state: OptimizerState, lr: float, scale: float, /
    ) -> tuple[OptimizerState, bool]:
        """Update with `scale` times the gradient, which becomes 0; the new state, whether all parameters are finite."""


class Local:
    """A `Reducer` of one process."""

    def gradient_norm(self, network: Parametrised) -> float:
        """L2 norm of `network.gradients`."""
        return gradient_norm(network.gradients)

    def update(
        self, network: Parametrised, optimizer: Optimizer, state: OptimizerState, lr: float, scale: float
    ) -> tuple[OptimizerState, bool]:
        """One pass over parameters, gradients and moments."""
        network.parameters_changed()
        return optimizer.update_and_clear(network.parameters, network.gradients, state, lr, scale)


LOCAL = Local()


class Update(NamedTuple):
    """What `apply` did.

    state : the optimiser's state after the step (before it, where nothing was applied)
    grad_norm : L2 norm of the mean gradient before clipping
    applied : False where that norm is not finite: then parameters, gradients and state are as they were
    finite : whether all parameters are finite now
    """

    state: OptimizerState
    grad_norm: float
    applied: bool
    finite: bool


def accumulate(network: Differentiable, x: Any, loss: Callable[[Array], tuple[Result, Array]]) -> Result:
    """Forward pass, loss and backward pass of some examples. ADDS to the network's gradients.

    Parameters
    ----------
    network : Differentiable
    x : (batch, n_input), or whatever the network takes
    loss : callable y -> (result, dL/dy)
        `result` is returned as it is (a number, a record per example); dL/dy (batch, n_output) is of the SUM
        over examples, since `apply` divides by their number.
    """
    y = network.forward(x)
    result, gy = loss(y)
    network.backward_accumulate(gy)
    return result


def apply(
    network: Parametrised,
    n: float,
    optimizer: Optimizer,
    state: OptimizerState,
    lr: float,
    max_norm: float = 0.0,
    reducer: Reducer = LOCAL,
) -> Update:
    """One optimiser step with the mean of the accumulated gradients, which are 0 afterwards.

    Parameters
    ----------
    network : Parametrised
    n : float
        Examples accumulated (or the sum of their weights).
    optimizer, state
        The rule, and what it remembers of this network's parameters. Moments are updated in place.
    lr : float
        Learning rate of this step.
    max_norm : float
        The mean gradient is scaled down to this L2 norm (Pascanu et al. 2013); 0 does not clip.
    reducer : Reducer
        Who adds up gradients and updates parameters.
    """
    mean = 1.0 / n
    norm = reducer.gradient_norm(network) * mean
    if not math.isfinite(norm):
        return Update(state, norm, False, bool(np.isfinite(network.parameters).all()))
    # One factor for mean and clipping: the update reads every gradient once.
    state, finite = reducer.update(network, optimizer, state, lr, mean * clip_scale(norm, max_norm))
    return Update(state, norm, True, finite)
