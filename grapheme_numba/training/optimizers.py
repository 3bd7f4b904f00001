"""Optimisers as values: `init` makes the state, `update` takes one step over the flat vectors.

    sgd       p -= lr g
    momentum  mu = 0.9 mu + g;                                p -= lr mu
    adam      mu = 0.9 mu + 0.1 g; nu = 0.999 nu + 0.001 g^2; p -= lr mu^ / (sqrt(nu^) + eps)
    adamw     adam, with p -= lr decay p instead of g += decay p

where g is the mean gradient, clipped, and ^ undoes the zero start of the averages.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import CheckpointError, UsageError
from grapheme_numba.kernels import updates

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
    """A rule: `init(parameters) -> state`; `update(parameters, gradient, state, lr, scale) -> state`.

    `update` overwrites `parameters` and the moments; `scale` multiplies the gradient first.
    """

    name: str
    init: Callable[[np.ndarray], OptimizerState]
    update: Callable[..., OptimizerState]


def build(name: str, weight_decay: float = 0.0) -> Optimizer:
    """The optimiser called `name`. Raises UsageError for an unknown name."""
    if name not in MOMENTS:
        raise UsageError(f"unknown optimizer {name!r}; choose one of {', '.join(MOMENTS)}")
    names = MOMENTS[name]

    def init(parameters):
        return OptimizerState(0, {moment: np.zeros_like(parameters) for moment in names})

    def update(parameters, gradient, state, lr, scale=1.0):
        count = state.count + 1
        decoupled = name == "adamw"
        rates = updates.StepRates(
            scale=float(scale),
            lr=float(lr),
            l2=0.0 if decoupled else float(weight_decay),
            decay=float(lr * weight_decay) if decoupled else 0.0,
            beta1=MOMENTUM if name == "momentum" else BETA1,
            beta2=BETA2,
            eps=EPS,
            correction1=1.0 / (1.0 - BETA1**count),
            correction2=1.0 / math.sqrt(1.0 - BETA2**count),
        )
        KERNELS[name](gradient, rates, parameters, *(state.moments[moment] for moment in names))
        return OptimizerState(count, state.moments)

    return Optimizer(name, init, update)


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
KERNELS = {"sgd": updates.sgd, "momentum": updates.momentum, "adam": updates.adam, "adamw": updates.adam}
