"""Networks are built once per case; every benchmark warms its call before the clock starts."""

from functools import cache

import numpy as np
import pytest

from grapheme_numba import jit
from grapheme_numba.bench.cases import find_case, network_of


@cache
def _network(name):
    return network_of(find_case(name))


@pytest.fixture
def network():
    """A function from a case's name to its network."""
    return _network


@pytest.fixture
def batch_of():
    """A function (network, batch) to (x, gy)."""

    def make(network, batch):
        generator = np.random.default_rng(0)
        shapes = (batch, network.n_input), (batch, network.n_output)
        return tuple(generator.standard_normal(shape).astype(np.float32) for shape in shapes)

    return make


@pytest.fixture
def threads():
    """Set the number of kernel threads for one benchmark."""
    before = jit.n_threads()
    yield jit.set_threads
    jit.set_threads(before)
