"""Optimisers as values: `init` makes the state, `update` takes one step over the flat vectors.

    sgd       p -= lr g
    momentum  mu = 0.9 mu + g;                                p -= lr mu
    adam      mu = 0.9 mu + 0.1 g; nu = 0.999 nu + 0.001 g^2; p -= lr mu^ / (sqrt(nu^) + eps)
    adamw     adam, with p -= lr decay p instead of g += decay p

where g is the mean gradient, clipped, and ^ undoes the zero start of the averages.
"""

import math
from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import CheckpointError, UsageError
from grapheme_numba.kernels.engine import updates

MOMENTUM = 0.9
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class OptimizerState(NamedTuple):
    """What an optimiser remembers.

    Attributes
    ----------
    count : int
        Steps taken.
    moments : dict of str to (n,) arrays of the parameters' dtype
        `mu` (and `nu`), empty for sgd. Updated in place.
    """

    count: int
    moments: dict[str, np.ndarray]


class Optimizer(NamedTuple):
    """A rule and its constants.

    Attributes
    ----------
    name : str
    weight_decay : float
    """

    name: str
    weight_decay: float = 0.0

    @property
    def rule(self) -> int:
        """What the kernels call it."""
        return RULES[self.name]

    def init(self, parameters: np.ndarray) -> OptimizerState:
        """The state before the first step."""
        return OptimizerState(0, {moment: np.zeros_like(parameters) for moment in MOMENTS[self.name]})

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`, from 1; `scale` multiplies the gradient first."""
        decoupled = self.name == "adamw"
        return updates.StepRates(
            scale=float(scale),
            lr=float(lr),
            l2=0.0 if decoupled else float(self.weight_decay),
            decay=float(lr * self.weight_decay) if decoupled else 0.0,
            beta1=MOMENTUM if self.name == "momentum" else BETA1,
            beta2=BETA2,
            eps=EPS,
            correction1=1.0 / (1.0 - BETA1**count),
            correction2=1.0 / math.sqrt(1.0 - BETA2**count),
        )

    def update(self, parameters, gradient, state: OptimizerState, lr: float, scale: float = 1.0) -> OptimizerState:
        """One step; overwrites `parameters` and the moments."""
        count = state.count + 1
        both = both_moments(state.moments, parameters)
        updates.step(self.rule, gradient, self.rates(count, lr, scale), both, parameters)
        return OptimizerState(count, state.moments)

    def update_and_clear(
        self, parameters, gradient, state: OptimizerState, lr: float, scale: float
    ) -> tuple[OptimizerState, bool]:
        """As `update`, and `gradient` becomes 0; the state, and whether all parameters are finite."""
        count, squares = state.count + 1, np.empty(-(-parameters.size // updates.CHUNK))
        both = both_moments(state.moments, parameters)
        updates.step_and_clear(self.rule, self.rates(count, lr, scale), both, squares, gradient, parameters)
        return OptimizerState(count, state.moments), math.isfinite(updates.in_order(squares))


def both_moments(moments: dict[str, np.ndarray], like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mu, nu) as the kernels take them: empty where the rule has none."""
    return moments.get("mu", like[:0]), moments.get("nu", like[:0])


def build(name: str, weight_decay: float = 0.0) -> Optimizer:
    """The optimiser called `name`. Raises UsageError for an unknown name."""
    if name not in MOMENTS:
        raise UsageError(f"unknown optimizer {name!r}; choose one of {', '.join(MOMENTS)}")
    return Optimizer(name, weight_decay)


def restore(name: str, count: int, moments: dict[str, np.ndarray], like: np.ndarray) -> OptimizerState:
    """State from a checkpoint's arrays. Raises CheckpointError where they do not fit `name` and `like`."""
    if set(moments) != set(MOMENTS[name]):
        raise CheckpointError(
            f"the checkpoint holds optimizer moments {sorted(moments)}, but {name} needs {sorted(MOMENTS[name])}"
        )
    for moment, array in moments.items():
        if array.shape != like.shape or array.dtype != like.dtype:
            raise CheckpointError(
                f"optimizer.{moment} is {array.dtype}{array.shape}, but the parameters are {like.dtype}{like.shape}"
            )
    return OptimizerState(count, {moment: np.ascontiguousarray(moments[moment]) for moment in MOMENTS[name]})


def gradient_norm(gradient: np.ndarray) -> float:
    """L2 norm of a flat gradient; NaN or infinite as soon as one element is."""
    return math.sqrt(total) if (total := float(updates.sum_of_squares(gradient))) >= 0 else math.nan


def clip_scale(norm: float, max_norm: float) -> float:
    """Factor that brings a gradient of `norm` down to `max_norm`; 1 when it is below or `max_norm` is 0."""
    return max_norm / norm if max_norm > 0 and norm > max_norm else 1.0


MOMENTS = {"sgd": (), "momentum": ("mu",), "adam": ("mu", "nu"), "adamw": ("mu", "nu")}
RULES = {"sgd": updates.SGD, "momentum": updates.MOMENTUM, "adam": updates.ADAM, "adamw": updates.ADAM}
