"""A learning-rate factor for every parameter: frozen edges, edges that learn slowly."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.optim.optimizers import Optimizer, OptimizerState


@dataclass(frozen=True)
class Factored:
    """An optimiser whose change of each parameter is multiplied by that parameter's factor.

    Every rule's change is proportional to the learning rate (decoupled decay too), so this is a rate of its
    own for each parameter. A parameter with the factor 0 keeps its bits.

    Parameters
    ----------
    inner : Optimizer
    factors : (n,) array
        In the order of the parameters.
    """

    inner: Optimizer
    factors: npt.NDArray[Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.inner.name

    def init(self, parameters: npt.NDArray[Any]) -> OptimizerState:
        """The state before the first step."""
        return self.inner.init(parameters)

    def update_and_clear(
        self,
        parameters: npt.NDArray[Any],
        gradient: npt.NDArray[Any],
        state: OptimizerState,
        lr: float,
        scale: float,
    ) -> tuple[OptimizerState, bool]:
        """One step in place; `gradient` becomes 0. The state, and whether all parameters are finite."""
        before = parameters.copy()
        state, finite = self.inner.update_and_clear(parameters, gradient, state, lr, scale)
        parameters -= before
        parameters *= self.factors.astype(parameters.dtype)
        parameters += before
        np.copyto(parameters, before, where=self.factors == 0)
        return state, finite
