"""Activation functions that evolved genomes use and trained networks seldom do, one number at a time.

They follow neat-python's definitions, limits included, and their derivatives are 0 beyond a limit. Being
rare they are not worth vector code: a call through memory per node and tile, about 5 ns a value.
"""

import math

from numba import njit

from grapheme_numba.jit import SERIAL
from grapheme_numba.kernels.engine import elementary

FIRST = 11
ABS, SQUARE, CUBE, EXP, LOG, INVERSE, CLAMPED, HAT, SELU, LELU, SOFTPLUS_5, SIN_60 = range(FIRST, FIRST + 12)
MOST_SIN = 60.0
MOST_EXP, LEAST_LOG, LELU_SLOPE, MOST_SOFTPLUS = 60.0, 1e-7, 0.005, 12.0
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


@njit(**SERIAL)
def function(kind, x):
    """The activation function `kind` of one float64."""
    if kind == ABS:
        return abs(x)
    if kind == SQUARE:
        return x * x
    if kind == CUBE:
        return x * x * x
    if kind == EXP:
        return elementary.exp(max(-MOST_EXP, min(MOST_EXP, x)))
    if kind == LOG:
        return elementary.log(max(LEAST_LOG, x))
    if kind == INVERSE:
        return 1.0 / x if x != 0.0 else 0.0
    if kind == CLAMPED:
        return max(-1.0, min(1.0, x))
    if kind == HAT:
        return max(0.0, 1.0 - abs(x))
    if kind == SELU:
        return SELU_SCALE * x if x > 0.0 else SELU_SCALE * SELU_ALPHA * elementary.expm1(x)
    if kind == LELU:
        return x if x > 0.0 else LELU_SLOPE * x
    if kind == SIN_60:
        return elementary.sin(max(-MOST_SIN, min(MOST_SIN, x)))
    x = max(-MOST_SOFTPLUS, min(MOST_SOFTPLUS, x))
    return max(x, 0.0) + 0.2 * elementary.log1p(elementary.exp(-5.0 * abs(x)))


@njit(**SERIAL)
def derivative(kind, x):
    """The derivative of `kind` at one float64; 0 where the function is cut off or has a corner."""
    if kind == ABS:
        return math.copysign(1.0, x) if x != 0.0 else 0.0
    if kind == SQUARE:
        return 2.0 * x
    if kind == CUBE:
        return 3.0 * x * x
    if kind == EXP:
        return elementary.exp(x) if abs(x) < MOST_EXP else 0.0
    if kind == LOG:
        return 1.0 / x if x > LEAST_LOG else 0.0
    if kind == INVERSE:
        return -1.0 / (x * x) if x != 0.0 else 0.0
    if kind == CLAMPED:
        return 1.0 if abs(x) < 1.0 else 0.0
    if kind == HAT:
        return -math.copysign(1.0, x) if 0.0 < abs(x) < 1.0 else 0.0
    if kind == SELU:
        return SELU_SCALE if x > 0.0 else SELU_SCALE * SELU_ALPHA * elementary.exp(x)
    if kind == LELU:
        return 1.0 if x > 0.0 else LELU_SLOPE
    if kind == SIN_60:
        return elementary.cos(x) if abs(x) < MOST_SIN else 0.0
    if abs(x) >= MOST_SOFTPLUS:
        return 0.0
    small = elementary.exp(-5.0 * abs(x))
    return 1.0 / (1.0 + small) if x >= 0.0 else small / (1.0 + small)


@njit(**SERIAL)
def apply(kind, row, width, values_out):
    """Replace the pre-activations in `values_out[row : row + width]` by the outputs of `kind`."""
    for k in range(row, row + width):
        values_out[k] = function(kind, float(values_out[k]))


@njit(**SERIAL)
def apply_derivative(kind, row, width, pre, pre_row, deltas_out):
    """Multiply `deltas_out[row : row + width]` by the derivative of `kind` at `pre[pre_row ...]`."""
    for k in range(width):
        deltas_out[row + k] *= derivative(kind, float(pre[pre_row + k]))
