"""Activation functions: the engine's vectors beside a compiled scalar loop through the C library."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.bench import timing
from grapheme_numba.errors import GraphemeError
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.kernels.bench.baselines import scalar_function, vector_function

NAMES = ("tanh", "sigmoid", "gelu")
SIZE = 4096
TOLERANCE = 2e-6


class FunctionRate(NamedTuple):
    """10^9 values a second of one function, ours and the scalar loop's, and how many times faster ours is."""

    name: str
    rate: float
    scalar_rate: float
    ratio: float
    low: float
    high: float
    error: float


def function_rates(repeat: int = timing.MIN_REPEAT, clock: str = "wall") -> list[FunctionRate]:
    """The `FunctionRate` of each of `NAMES` on 4,096 values in level 1. Raises GraphemeError where they differ."""
    values = np.random.default_rng(0).normal(0, 2, SIZE).astype(np.float32)
    return [_rate(name, values, repeat, clock) for name in NAMES]


def _rate(name: str, values: npt.NDArray[np.float32], repeat: int, clock: str) -> FunctionRate:
    kind, ours, theirs = ACTIVATIONS[name], np.empty_like(values), np.empty_like(values)
    calls = {
        "ours": lambda: vector_function(kind, values, ours),
        "scalar": lambda: scalar_function(kind, values, theirs),
    }
    measured = timing.interleave(calls, repeat, clock)
    error = float(np.abs(ours - theirs).max())
    if error > TOLERANCE:
        raise GraphemeError(f"{name} differs from the C library's by {error:.1e}, more than {TOLERANCE}")
    rate, scalar_rate = (SIZE / measured[side][0].median / 1e9 for side in ("ours", "scalar"))
    ratio, low, high = timing.ratio_of(measured["ours"][1], measured["scalar"][1])
    return FunctionRate(name, rate, scalar_rate, ratio, low, high, error)
