"""Activation functions one scalar at a time through the C library, for comparison only."""

import math

from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels import activations


@njit(**SERIAL)
def scalar_function(kind, values, values_out):
    """`values_out = function(values)` for tanh, sigmoid and gelu by `math.tanh`, `math.exp` and `math.erf`."""
    one, half, root = values.dtype.type(1), values.dtype.type(0.5), values.dtype.type(math.sqrt(0.5))
    for k in range(values.size):
        x = values[k]
        if kind == activations.TANH:
            values_out[k] = math.tanh(x)
        elif kind == activations.SIGMOID:
            values_out[k] = one / (one + math.exp(-x))
        else:
            values_out[k] = half * x * (one + math.erf(x * root))


@njit(**SERIAL)
def vector_function(kind, values, values_out):
    """The same by the engine's vectors; the size is a multiple of the lanes of a register."""
    values_out[:] = values
    activations.apply(kind, 0, values.size, values_out)
