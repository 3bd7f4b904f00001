"""Optimisers: the compiled pass equals the plain-Python twin, converges, and gives the same bits on any threads."""

import math

import naive
import numpy as np
import pytest

from grapheme_numba.errors import CheckpointError, UsageError
from grapheme_numba.kernels.engine import updates
from grapheme_numba.optim import optimizers, schedules

NAMES = list(optimizers.MOMENTS)
DTYPES = [("float32", 2e-5), ("float64", 1e-12)]


def twin(name, parameters, gradients, lr, decay):
    """The parameters after one step per gradient, by plain Python."""
    parameters = parameters.tolist()
    mu, nu = [0.0] * len(parameters), [0.0] * len(parameters)
    for count, gradient in enumerate(gradients, 1):
        gradient = gradient.tolist()
        if name == "sgd":
            parameters = naive.sgd(parameters, gradient, lr, decay)
        elif name == "momentum":
            parameters, mu = naive.momentum(parameters, gradient, mu, lr, weight_decay=decay)
        else:
            parameters, mu, nu = naive.adam(
                parameters, gradient, mu, nu, count, lr, weight_decay=decay, decoupled=name == "adamw"
            )
    return parameters


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", NAMES)
def test_steps_equal_the_plain_twin(rng, name, decay, dtype, tolerance):
    parameters = rng.normal(size=37).astype(dtype)
    gradients = [rng.normal(size=37).astype(dtype) for _ in range(5)]
    optimizer = optimizers.build(name, decay)
    ours, state = parameters.copy(), optimizer.init(parameters)
    for gradient in gradients:
        state = optimizer.update(ours, gradient * 4, state, 0.01, scale=0.25)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, twin(name, parameters, gradients, 0.01, decay), rtol=tolerance, atol=tolerance)
    assert state.count == 5


def parabola(p):
    return float(np.sum(np.array([1.0, 10.0]) * (p - [1.0, -2.0]) ** 2)), 2 * np.array([1.0, 10.0]) * (p - [1.0, -2.0])


def rosenbrock(p):
    x, y = p
    value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return value, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("function", "rates"), [(parabola, (0.02, 0.01, 0.1)), (rosenbrock, (1e-3, 3e-4, 0.02))])
def test_every_optimizer_converges(name, function, rates):
    optimizer = optimizers.build(name)
    p = np.zeros(2)
    state = optimizer.init(p)
    lr = rates[min(2, NAMES.index(name))]
    for _ in range(12_000):
        state = optimizer.update(p, function(p)[1], state, lr)
    assert function(p)[0] < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_clears_is_a_step(rng, name):
    """It says whether all parameters are finite, also where one stops being so in that very step."""
    first, gradient = rng.normal(size=(2, updates.CHUNK + 9)).astype(np.float32)
    optimizer = optimizers.build(name, 0.01)
    plain, cleared = first.copy(), first.copy()
    states = optimizer.init(plain), optimizer.init(plain)
    wanted = optimizer.update(plain, gradient, states[0], 0.1, 0.5)
    found, finite = optimizer.update_and_clear(cleared, gradient, states[1], 0.1, 0.5)
    assert finite and not gradient.any()
    np.testing.assert_array_equal(cleared, plain)
    assert found.count == wanted.count
    assert all(np.array_equal(found.moments[key], wanted.moments[key]) for key in wanted.moments)
    gradient[-1] = np.nan
    assert not optimizer.update_and_clear(cleared, gradient, found, 0.1, 0.5)[1]


@pytest.mark.parametrize("name", NAMES)
def test_bits_do_not_depend_on_threads(rng, threads, name):
    parameters = rng.normal(size=5 * updates.CHUNK + 17).astype(np.float32)
    gradient = rng.normal(size=parameters.size).astype(np.float32)
    optimizer = optimizers.build(name, 0.01)
    found = set()
    for n in (1, 2):
        threads(n)
        ours = parameters.copy()
        state = optimizer.init(ours)
        for _ in range(3):
            state = optimizer.update(ours, gradient, state, 0.1, 0.5)
        found.add((ours.tobytes(), optimizers.gradient_norm(gradient)))
    assert len(found) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norm_equals_the_twin_and_sees_what_is_not_finite(rng, dtype):
    vector = rng.normal(size=2 * updates.CHUNK + 5).astype(dtype)
    assert optimizers.gradient_norm(vector) == pytest.approx(naive.global_norm(vector.tolist()), rel=1e-12)
    for bad in (math.nan, math.inf, -math.inf):
        spoilt = vector.copy()
        spoilt[-3] = bad
        assert not math.isfinite(optimizers.gradient_norm(spoilt))


def test_clipping_brings_a_long_gradient_to_the_limit_and_leaves_a_short_one():
    assert optimizers.clip_scale(8.0, 2.0) == 0.25
    assert optimizers.clip_scale(1.0, 2.0) == 1.0
    assert optimizers.clip_scale(8.0, 0.0) == 1.0


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match=r"unknown optimizer 'lion'; choose one of sgd, momentum, adam, adamw"):
        optimizers.build("lion")
    with pytest.raises(UsageError, match=r"unknown lr schedule 'poly'; choose one of constant, cosine, step"):
        schedules.build("poly", 0.1, 10)


def test_moments_that_do_not_fit_are_refused():
    like = np.zeros(4, np.float32)
    with pytest.raises(CheckpointError, match=r"moments \['mu'\], but adam needs \['mu', 'nu'\]"):
        optimizers.restore("adam", 1, {"mu": like}, like)
    with pytest.raises(CheckpointError, match=r"optimizer.mu is float64\(4,\), but the parameters are float32\(4,\)"):
        optimizers.restore("momentum", 1, {"mu": np.zeros(4)}, like)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]),
        ("cosine", [0.25, 0.5, 0.75, 1.0, 0.5 + 0.5 * math.cos(math.pi / 4), 0.5, 0.5 - 0.5 * math.cos(math.pi / 4)]),
        ("step", [0.25, 0.5, 0.75, 1.0, 1.0, 0.1, 0.01]),
    ],
)
def test_schedules_rise_then_fall(name, expected):
    rate = schedules.build(name, 2.0, 7, warmup_steps=3)
    assert [rate(step) for step in range(7)] == pytest.approx([2 * value for value in expected])


def test_warmup_is_a_twentieth_of_the_run_when_not_given():
    rate = schedules.build("constant", 1.0, 100)
    assert [rate(step) < 1.0 for step in range(7)] == [True] * 5 + [False] * 2
