"""Elementary functions against those of the C library, and compiled against plain Python, bit for bit."""

import math

import numpy as np
import pytest

from grapheme_numba.kernels.engine import elementary
from grapheme_numba.optim.optimizers import power

RNG = np.random.default_rng(4)
POINTS = {
    "exp": [*RNG.uniform(-745, 709, 2000), *RNG.uniform(-1, 1, 1000), 0.0, 709.78, -745.1, 1e-300],
    "expm1": [*RNG.uniform(-40, 40, 1000), *RNG.uniform(-1, 1, 2000), 0.0, 1e-300],
    "log": [*10.0 ** RNG.uniform(-300, 300, 2000), *RNG.uniform(0.5, 1.5, 2000), 1.0, 5e-324, 1.7e308],
    "log1p": [*RNG.uniform(-0.999, 3, 2000), *RNG.uniform(-0.02, 0.02, 1000), 0.0, 1e300, -1e-300],
    "sin": [*RNG.uniform(-100, 100, 3000), *RNG.uniform(-1e6, 1e6, 500), 0.0, 1e-300],
    "cos": [*RNG.uniform(-100, 100, 3000), *RNG.uniform(-1e6, 1e6, 500), 0.0, math.pi],
}
LIMITS = {
    "exp": [-math.inf, math.inf, math.nan, 710.0, -746.0],
    "expm1": [-math.inf, math.nan, -800.0],
    "log": [0.0, math.inf, math.nan],
    "log1p": [-1.0, math.inf, math.nan],
}


@pytest.mark.parametrize("name", POINTS)
def test_values_are_those_of_the_c_library_to_the_last_bits(name):
    ours, theirs = getattr(elementary, name), getattr(math, name)
    for x in map(float, POINTS[name]):
        value = theirs(x)
        assert abs(ours(x) - value) <= max(4 * math.ulp(value), 2e-16 if name in ("sin", "cos") else 0.0), x


@pytest.mark.parametrize("name", POINTS)
def test_plain_python_gives_the_bits_of_the_compiler(name):
    ours = getattr(elementary, name)
    plain = getattr(ours, "py_func", ours)
    assert [ours(float(x)) for x in POINTS[name]] == [plain(float(x)) for x in POINTS[name]]


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name):
    for x in LIMITS[name]:
        value = getattr(elementary, name)(x)
        try:
            expected = getattr(math, name)(x)
        except OverflowError:
            expected = math.inf
        except ValueError:  # log of 0, log1p of -1
            expected = -math.inf
        assert value == expected or (math.isnan(value) and math.isnan(expected)), x
    assert math.isnan(elementary.log(-1.0))


def test_arrays_element_by_element():
    values = RNG.uniform(-5, 5, (7, 3))
    assert np.array_equal(elementary.exp_each(values), [[elementary.exp(x) for x in row] for row in values])
    values = RNG.uniform(0, 5, 9)
    assert np.array_equal(elementary.log_each(values), [elementary.log(x) for x in values])


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 1000, 123_457])
def test_powers(exponent):
    assert power(0.999, exponent) == pytest.approx(0.999**exponent, rel=1e-12)
