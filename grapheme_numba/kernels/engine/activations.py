"""Activation functions and their derivatives on vectors of pre-activations.

Each function stands beside its derivative. A derivative is written in terms of the output where the
output decides it; `gelu`, `silu`, `sin` and `gaussian` need the pre-activation, which the forward pass
keeps only for graphs that use one of them. Polynomials are Taylor series on reduced ranges and
Chebyshev fits, of the length each dtype needs: error below 1e-6 in float32, 1e-14 in float64.

Coefficients of the series that the activations sum: float32 and float64, ascending.
"""

import math

from numba import njit

from grapheme_numba.jit import INLINE, SERIAL
from grapheme_numba.kernels.engine import rare_activations
from grapheme_numba.kernels.engine.simd import (
    ONE,
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

# expm1(r) = r * EXP(r) for |r| <= ln(2)/2.
EXP_32 = tuple(1.0 / math.factorial(k + 1) for k in range(7))
EXP_64 = tuple(1.0 / math.factorial(k + 1) for k in range(14))
# ln(2) and pi in parts whose multiples by small whole numbers are exact (Cody and Waite 1980).
LN2_HIGH_32, LN2_LOW_32 = (0.693359375,), (-2.12194440054690583e-4,)
LN2_HIGH_64, LN2_LOW_64 = (0.693147180369123816,), (1.90821492927058770e-10,)
PI_A_32, PI_B_32, PI_C_32 = (3.140625,), (9.67502593994140625e-4,), (1.509957990978376e-7,)
PI_A_64, PI_B_64, PI_C_64 = (3.1415926218032837,), (3.178650954705639e-8,), (1.2246467991473532e-16,)
# exp is only ever asked for arguments <= 0; below these it is 0 to every digit that matters.
LOWEST_32, LOWEST_64 = (-87.0,), (-708.0,)
# log1p(z) = s * LOG(s * s), s = z / (2 + z), for 0 <= z <= 1.
LOG_32 = tuple(2.0 / (2 * k + 1) for k in range(8))
LOG_64 = tuple(2.0 / (2 * k + 1) for k in range(18))
# sin(r) = r * SIN(r * r) for |r| <= pi/2, and cos likewise.
SIN_32 = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(7))
SIN_64 = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(12))
COS_32 = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(8))
COS_64 = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(13))
# P of erfc, in 2*t - 1: Chebyshev interpolation in 50 digits (error 1e-7 and 2e-13), as monomials.
ERFC_32 = (
    -0.6717940840566923,
    0.6726421700203656,
    0.04734352764480228,
    -0.04687426827537231,
    -0.009877244404501013,
    0.00870160086940129,
    0.0017864968614057434,
    -0.002045805983772733,
    -0.0002194269295292926,
    0.0003324406793463703,
    4.657887164145196e-06,
)
ERFC_64 = (
    -0.6717940840566904,
    0.6726432239776566,
    0.047343306841364084,
    -0.046895610231150006,
    -0.009872689340543384,
    0.008824938555754742,
    0.001758933072243798,
    -0.0023458124747861285,
    -0.0001462421348721442,
    0.0006736785324964487,
    -9.376232012772882e-05,
    -0.00017430132503980795,
    7.150146166277945e-05,
    3.173863807379521e-05,
    -3.043344016092418e-05,
    1.5583893420488803e-07,
    8.968543656785549e-06,
    -2.9832998459680812e-06,
    -1.7254725976359863e-06,
    1.298741041241224e-06,
    1.6538879311536932e-07,
    -2.9628961807750225e-07,
    -2.8505072554256435e-10,
    3.1078806830375284e-08,
)
# tanh(x) = x * TANH_OVER(x * x) / TANH_UNDER(x * x) for |x| <= 9: our own fit, weighted least squares with
# Lawson's weights, error 6e-8 in exact arithmetic and 3e-7 in float32. It takes 12 operations where the
# expm1 form takes 21 (1.5 times the rate, error 1.5e-7). For sigmoid and gelu a rational loses the tails.
TANH_OVER = (
    0.9999999417571687, 0.12919271101336657, 0.0029208064131398346, 9.267801995950385e-06, -1.2781466607016446e-08,
    1.8257514361235647e-11,
)  # fmt: skip
TANH_UNDER = (1.0, 0.4625255516948927, 0.023763354498068004, 0.0002281061942216583)


LINEAR, RELU, LEAKY_RELU, SIGMOID, TANH, SOFTPLUS, ELU, GELU, SILU, SIN, GAUSSIAN = range(11)
# From here on the derivative needs the pre-activation.
FIRST_OF_PRE = GELU
LEAK = 0.01


@njit(**INLINE)
def _exp_parts(x):
    """(2**n, expm1(r)) with exp(x) = 2**n * (1 + expm1(r)), for x <= 0."""
    lowest = vpolynomial(x, LOWEST_32, LOWEST_64)
    x = vgreater(lowest, x, lowest, x)
    n = vround(vmul(x, vconst(1.4426950408889634, x)))
    negative = vsub(vconst(0.0, x), n)
    r = vfma(negative, vpolynomial(x, LN2_HIGH_32, LN2_HIGH_64), x)
    r = vfma(negative, vpolynomial(x, LN2_LOW_32, LN2_LOW_64), r)
    return vpower2(n), vmul(r, vpolynomial(r, EXP_32, EXP_64))


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
        over = vpolynomial(u, TANH_OVER, TANH_OVER)
        return vdiv(vmul(x, over), vpolynomial(u, TANH_UNDER, TANH_UNDER))
    u = _expm1(vmul(vconst(2.0, x), _negative_abs(x)))
    positive = vdiv(vsub(vconst(0.0, x), u), vadd(vconst(2.0, x), u))
    return vgreater(x, vconst(0.0, x), positive, vsub(vconst(0.0, x), positive))


@njit(**INLINE)
def _softplus(x):
    z = _exp(_negative_abs(x))
    s = vdiv(z, vadd(vconst(2.0, x), z))
    zero = vconst(0.0, x)
    positive = vgreater(x, zero, x, vgreater(zero, x, zero, x))
    return vfma(s, vpolynomial(vmul(s, s), LOG_32, LOG_64), positive)


@njit(**INLINE)
def _half_turns(x):
    """(r, sign): x = n*pi + r with |r| <= pi/2, and sign = (-1)**n."""
    n = vround(vmul(x, vconst(1.0 / math.pi, x)))
    negative = vsub(vconst(0.0, x), n)
    r = vfma(negative, vpolynomial(x, PI_A_32, PI_A_64), x)
    r = vfma(negative, vpolynomial(x, PI_B_32, PI_B_64), r)
    r = vfma(negative, vpolynomial(x, PI_C_32, PI_C_64), r)
    half = vmul(n, vconst(0.5, x))
    odd = vabs(vsub(half, vround(half)))
    return r, vfma(vconst(-4.0, x), odd, vconst(1.0, x))


@njit(**INLINE)
def _sin(x):
    r, sign = _half_turns(x)
    return vmul(vmul(sign, r), vpolynomial(vmul(r, r), SIN_32, SIN_64))


@njit(**INLINE)
def _cos(x):
    r, sign = _half_turns(x)
    return vmul(sign, vpolynomial(vmul(r, r), COS_32, COS_64))


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
    p = vpolynomial(vfma(vconst(2.0, x), t, vconst(-1.0, x)), ERFC_32, ERFC_64)
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
