"""Activation functions beside a scalar loop: the same values first."""

import math

import numpy as np
import pytest

from grapheme_numba import errors
from grapheme_numba.bench import suite, timing
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.kernels.bench.baselines import scalar_function

EXACT = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
}


@pytest.mark.parametrize("name", suite.NAMES)
def test_the_scalar_loop_is_the_function(rng, name):
    values = rng.normal(0, 3, 50).astype(np.float32)
    found = np.empty_like(values)
    scalar_function(ACTIVATIONS[name], values, found)
    np.testing.assert_allclose(found, [EXACT[name](float(x)) for x in values], atol=1e-6)


def test_rates_of_every_function(monkeypatch):
    monkeypatch.setattr(timing, "MIN_SECONDS", 0.0)
    rows = suite.function_rates()
    assert [row.name for row in rows] == list(EXACT)
    assert all(0 < row.low <= row.ratio <= row.high and row.error < 1e-6 for row in rows)


def test_functions_that_differ_are_not_timed(monkeypatch):
    monkeypatch.setattr(suite, "TOLERANCE", 0.0)
    with pytest.raises(errors.GraphemeError, match="differs from the C library's by .*, more than 0.0"):
        suite.function_rates()
