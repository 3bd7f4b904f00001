"""Activation functions and their derivatives on vectors of pre-activations.

Each function stands beside its derivative. A derivative is written in terms of the output where the
output decides it; `gelu`, `silu`, `sin` and `gaussian` need the pre-activation, which the forward pass
keeps only for graphs that use one of them. Polynomials are Taylor series on reduced ranges and
Chebyshev fits, of the length each dtype needs: error below 1e-6 in float32, 1e-14 in float64.
"""

import math

from numba import njit

from grapheme_numba.jit import INLINE, SERIAL
from grapheme_numba.kernels import rare_activations, series
from grapheme_numba.kernels.simd import (
    vabs,
    vadd,
    vconst,
    vdiv,
    vfma,
    vgreater,
    vlanes,
    vload,
    vmul,
    vpolynomial,
    vpower2,
    vround,
    vsingle,
    vstore,
    vsub,
)
from grapheme_numba.kernels.simd_types import ONE

LINEAR, RELU, LEAKY_RELU, SIGMOID, TANH, SOFTPLUS, ELU, GELU, SILU, SIN, GAUSSIAN = range(11)
# From here on the derivative needs the pre-activation.
FIRST_OF_PRE = GELU
LEAK = 0.01


@njit(**INLINE)
def _exp_parts(x):
    """(2**n, expm1(r)) with exp(x) = 2**n * (1 + expm1(r)), for x <= 0."""
    lowest = vpolynomial(x, series.LOWEST_32, series.LOWEST_64)
    x = vgreater(lowest, x, lowest, x)
    n = vround(vmul(x, vconst(1.4426950408889634, x)))
    negative = vsub(vconst(0.0, x), n)
    r = vfma(negative, vpolynomial(x, series.LN2_HIGH_32, series.LN2_HIGH_64), x)
    r = vfma(negative, vpolynomial(x, series.LN2_LOW_32, series.LN2_LOW_64), r)
    return vpower2(n), vmul(r, vpolynomial(r, series.EXP_32, series.EXP_64))


@njit(**INLINE)
def _exp(x):
    scale, m = _exp_parts(x)
    return vfma(scale, m, scale)


@njit(**INLINE)
def _expm1(x):
    scale, m = _exp_parts(x)
    return vfma(scale, m, vsub(scale, vconst(1.0, x)))


@njit(**INLINE)
def _negative_abs(x):
    return vsub(vconst(0.0, x), vabs(x))


@njit(**INLINE)
def _sigmoid(x):
    one = vconst(1.0, x)
    e = _exp(_negative_abs(x))
    return vdiv(vgreater(x, vconst(0.0, x), one, e), vadd(one, e))


@njit(**INLINE)
def _tanh(x):
    if vsingle(x):
        low, high = vconst(-9.0, x), vconst(9.0, x)
        x = vgreater(x, high, high, vgreater(low, x, low, x))
        u = vmul(x, x)
        over = vpolynomial(u, series.TANH_OVER, series.TANH_OVER)
        return vdiv(vmul(x, over), vpolynomial(u, series.TANH_UNDER, series.TANH_UNDER))
    u = _expm1(vmul(vconst(2.0, x), _negative_abs(x)))
    positive = vdiv(vsub(vconst(0.0, x), u), vadd(vconst(2.0, x), u))
    return vgreater(x, vconst(0.0, x), positive, vsub(vconst(0.0, x), positive))


@njit(**INLINE)
def _softplus(x):
    z = _exp(_negative_abs(x))
    s = vdiv(z, vadd(vconst(2.0, x), z))
    zero = vconst(0.0, x)
    positive = vgreater(x, zero, x, vgreater(zero, x, zero, x))
    return vfma(s, vpolynomial(vmul(s, s), series.LOG_32, series.LOG_64), positive)


@njit(**INLINE)
def _half_turns(x):
    """(r, sign): x = n*pi + r with |r| <= pi/2, and sign = (-1)**n."""
    n = vround(vmul(x, vconst(1.0 / math.pi, x)))
    negative = vsub(vconst(0.0, x), n)
    r = vfma(negative, vpolynomial(x, series.PI_A_32, series.PI_A_64), x)
    r = vfma(negative, vpolynomial(x, series.PI_B_32, series.PI_B_64), r)
    r = vfma(negative, vpolynomial(x, series.PI_C_32, series.PI_C_64), r)
    half = vmul(n, vconst(0.5, x))
    odd = vabs(vsub(half, vround(half)))
    return r, vfma(vconst(-4.0, x), odd, vconst(1.0, x))


@njit(**INLINE)
def _sin(x):
    r, sign = _half_turns(x)
    return vmul(vmul(sign, r), vpolynomial(vmul(r, r), series.SIN_32, series.SIN_64))


@njit(**INLINE)
def _cos(x):
    r, sign = _half_turns(x)
    return vmul(sign, vpolynomial(vmul(r, r), series.COS_32, series.COS_64))


@njit(**INLINE)
def _density(x):
    """exp(-x*x/2) / sqrt(2*pi)."""
    return vmul(vconst(1.0 / math.sqrt(2.0 * math.pi), x), _exp(vmul(vmul(x, x), vconst(-0.5, x))))


@njit(**INLINE)
def _normal(x):
    """The standard normal distribution function, erfc(-x/sqrt(2)) / 2.

    erfc(z) = t * exp(-z*z + P(t)) with t = 2 / (2 + z), the form of W. J. Cody's and Press's fits; P is our
    own Chebyshev fit. The tail keeps its relative accuracy; x*x is taken exactly as high and low part.
    """
    zero = vconst(0.0, x)
    z = vmul(vabs(x), vconst(math.sqrt(0.5), x))
    t = vdiv(vconst(2.0, x), vadd(vconst(2.0, x), z))
    p = vpolynomial(vfma(vconst(2.0, x), t, vconst(-1.0, x)), series.ERFC_32, series.ERFC_64)
    half = vmul(x, vconst(0.5, x))
    exponent = vfma(vsub(zero, half), x, p)
    tail = vmul(vmul(vconst(0.5, x), t), _exp(exponent))
    return vgreater(x, zero, vsub(vconst(1.0, x), tail), tail)


@njit(**INLINE)
def function(kind, x):
    """The activation function `kind` of the vector `x`."""
    zero = vconst(0.0, x)
    if kind == LINEAR:
        return x
    if kind == RELU:
        return vgreater(zero, x, zero, x)
    if kind == LEAKY_RELU:
        return vgreater(zero, x, vmul(x, vconst(LEAK, x)), x)
    if kind == SIGMOID:
        return _sigmoid(x)
    if kind == TANH:
        return _tanh(x)
    if kind == SOFTPLUS:
        return _softplus(x)
    if kind == ELU:
        return vgreater(x, zero, x, _expm1(vgreater(x, zero, zero, x)))
    if kind == GELU:
        return vmul(x, _normal(x))
    if kind == SILU:
        return vmul(x, _sigmoid(x))
    if kind == SIN:
        return _sin(x)
    return _exp(vmul(vsub(zero, x), x))


@njit(**INLINE)
def derivative(kind, output, x):
    """The derivative of `kind` where it gave `output`; `x`, the pre-activation, from FIRST_OF_PRE on."""
    zero, one = vconst(0.0, output), vconst(1.0, output)
    if kind == LINEAR:
        return one
    if kind == RELU:
        return vgreater(output, zero, one, zero)
    if kind == LEAKY_RELU:
        return vgreater(output, zero, one, vconst(LEAK, output))
    if kind == SIGMOID:
        return vmul(output, vsub(one, output))
    if kind == TANH:
        return vsub(one, vmul(output, output))
    if kind == SOFTPLUS:
        return vsub(zero, _expm1(vsub(zero, output)))
    if kind == ELU:
        return vgreater(output, zero, one, vadd(output, one))
    if kind == GELU:
        return vfma(x, _density(x), _normal(x))
    if kind == SILU:
        s = _sigmoid(x)
        return vfma(vmul(s, vsub(one, s)), x, s)
    if kind == SIN:
        return _cos(x)
    return vmul(vmul(vconst(-2.0, x), x), output)


@njit(**SERIAL)
def apply(kind, row, width, values_out):
    """Replace the pre-activations in `values_out[row : row + width]` by the outputs of `kind`."""
    if kind >= rare_activations.FIRST:
        rare_activations.apply(kind, row, width, values_out)
        return
    for start in range(row, row + width, vlanes(values_out)):
        vstore(values_out, start, function(kind, vload(values_out, start, ONE)))


@njit(**SERIAL)
def apply_derivative(kind, row, width, outputs, pre, pre_row, delta_row, deltas_out):
    """Multiply `deltas_out[delta_row : delta_row + width]` by the derivative of `kind` at `outputs[row ...]`."""
    if kind >= rare_activations.FIRST:
        rare_activations.apply_derivative(kind, delta_row, width, pre, pre_row, deltas_out)
        return
    for start in range(0, width, vlanes(outputs)):
        output = vload(outputs, row + start, ONE)
        x = vload(pre, pre_row + start, ONE) if kind >= FIRST_OF_PRE else output
        place = delta_row + start
        vstore(deltas_out, place, vmul(vload(deltas_out, place, ONE), derivative(kind, output, x)))
