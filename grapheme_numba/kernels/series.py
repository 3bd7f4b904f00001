"""Coefficients of the series that the activations sum: float32 and float64, ascending."""

import math

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
