"""Elementary functions of one float64 whose bits depend on no processor and no C library.

A C library chooses among several versions of `exp`, `log`, `sin` by the processor it finds, with and without fused
multiply-adds, and they differ in the last bit. These are made of additions, multiplications and divisions, which
IEEE 754 rounds alike everywhere. Errors are at most 2 units in the last place (`expm1`: 4) on the ranges stated.

Reductions to small ranges as in Cody and Waite, "Software Manual for the Elementary Functions" (1980).
"""

import math
from decimal import Decimal

import numpy as np
from numba import njit

from grapheme_numba.jit import INLINE, SERIAL

# ln(2) / 32, ln(2) and pi/2 in parts: multiples of the first ones by whole numbers below 2**20 are exact.
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
HALF_PI = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
PER_HALF_PI = 0.6366197723675814
STEPS = 32  # of exp's table; a series of 14 terms without a table took 72 instead of 9 ns
STEPS_PER_LN2 = STEPS / math.log(2.0)
LEAST_NORMAL, MANTISSA, HALF = 2.0**-1022, (1 << 52) - 1, 1022 << 52
HIGHEST_EXP, LOWEST_EXP = 709.782712893384, -745.2
# 2 ** (j / 32), and logarithms of 0.5 to 1.5 in 64ths: rounded from 28 digits, not from a C library.
ROOTS = np.array([float(Decimal(2) ** (Decimal(j) / STEPS)) for j in range(STEPS)])
LOGS = np.array([float((Decimal(j) / 64).ln()) if j else 0.0 for j in range(97)])
EXPM1 = tuple(1.0 / math.factorial(k + 1) for k in range(14))
S3, S5, S7, S9, S11, S13, S15, S17 = ((-1.0) ** k / math.factorial(2 * k + 1) for k in range(1, 9))
C2, C4, C6, C8, C10, C12, C14, C16 = ((-1.0) ** k / math.factorial(2 * k) for k in range(1, 9))


@njit(**INLINE)
def _small_expm1(r):
    """`exp(r) - 1` of |r| <= ln(2) / 64 by its Taylor series."""
    return r + r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720)))))


@njit(**INLINE)
def _power2(k):
    """`2 ** k` of a whole k from -1022 to 1023; `math.ldexp` takes 10 ns."""
    return np.int64((k + 1023) << 52).view(np.float64)


@njit(**INLINE)
def exp(x):
    """`e ** x`; 0 below -745.2, infinite above 709.78."""
    if not x > LOWEST_EXP:  # NaN as well
        return 0.0 if x == x else x
    if x > HIGHEST_EXP:
        return math.inf
    n = math.floor(x * STEPS_PER_LN2 + 0.5)
    r = (x - n * (LN2_HIGH / STEPS)) - n * (LN2_LOW / STEPS)
    root = ROOTS[int(n) % STEPS]
    k = int(n) // STEPS  # in two factors, since 2 ** -1074 has no normal exponent
    return (root + root * _small_expm1(r)) * _power2(k // 2) * _power2(k - k // 2)


@njit(**INLINE)
def expm1(x):
    """`exp(x) - 1`, accurate where x is small."""
    if not -0.35 < x < 0.35:
        return exp(x) - 1.0
    total = EXPM1[-1]
    for k in range(len(EXPM1) - 2, -1, -1):
        total = total * x + EXPM1[k]
    return total * x


@njit(**INLINE)
def _twice_atanh(s):
    """`log((1 + s) / (1 - s))` of |s| <= 1 / 90."""
    z = s * s
    return 2.0 * s + s * z * (2 / 3 + z * (2 / 5 + z * (2 / 7 + z * (2 / 9))))


@njit(**INLINE)
def log(x):
    """The natural logarithm of x > 0; minus infinity of 0, NaN below."""
    if not 0.0 < x < math.inf:
        return -math.inf if x == 0.0 else math.nan if x < 0.0 else x
    below = 0
    if x < LEAST_NORMAL:
        x, below = x * 2.0**54, 54
    bits = np.float64(x).view(np.int64)  # `math.frexp` takes 70 ns
    e = (bits >> 52) - 1022 - below
    m = np.int64((bits & MANTISSA) | HALF).view(np.float64)  # in [0.5, 1)
    if m < 0.7109375:
        m, e = 2.0 * m, e - 1
    near = math.floor(m * 64.0 + 0.5)
    middle = near / 64.0
    return e * LN2_HIGH + (LOGS[int(near)] + (_twice_atanh((m - middle) / (m + middle)) + e * LN2_LOW))


@njit(**INLINE)
def log1p(x):
    """`log(1 + x)`, accurate where x is small."""
    if -0.01 < x < 0.01:
        return _twice_atanh(x / (2.0 + x))
    whole = 1.0 + x
    if not 0.0 < whole < math.inf:
        return log(whole)
    return log(whole) + (x - (whole - 1.0)) / whole


@njit(**INLINE)
def _sin_cos(x):
    """(n modulo 4, sin(r), cos(r)): x = n * pi / 2 + r with |r| <= pi / 4, for |x| up to a million."""
    n = math.floor(x * PER_HALF_PI + 0.5)
    r = ((x - n * HALF_PI[0]) - n * HALF_PI[1]) - n * HALF_PI[2]
    z = r * r
    w = z * z
    odd = (S3 + z * S5) + w * ((S7 + z * S9) + w * ((S11 + z * S13) + w * (S15 + z * S17)))
    even = (C2 + z * C4) + w * ((C6 + z * C8) + w * ((C10 + z * C12) + w * (C14 + z * C16)))
    return int(n) & 3, r + r * z * odd, 1.0 + z * even


@njit(**INLINE)
def sin(x):
    """The sine of |x| up to a million radians: within 2 units in the last place, or 1e-16 near its zeros."""
    quarter, sine, cosine = _sin_cos(x)
    y = sine if quarter % 2 == 0 else cosine
    return -y if quarter >= 2 else y


@njit(**INLINE)
def cos(x):
    """The cosine of |x| up to a million radians: within 2 units in the last place, or 1e-16 near its zeros."""
    quarter, sine, cosine = _sin_cos(x)
    y = cosine if quarter % 2 == 0 else sine
    return -y if quarter == 1 or quarter == 2 else y


@njit(**SERIAL)
def exp_each(values):
    """`exp` of each element; values : (n, m) float64, returned as another array."""
    result = np.empty_like(values)
    for i in range(values.shape[0]):
        for k in range(values.shape[1]):
            result[i, k] = exp(values[i, k])
    return result


@njit(**SERIAL)
def log_each(values):
    """`log` of each element; values : (n,) float64, returned as another array."""
    result = np.empty_like(values)
    for i in range(values.shape[0]):
        result[i] = log(values[i])
    return result
