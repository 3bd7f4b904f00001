"""Optimisers: the compiled pass equals the plain-Python twin, converges, and gives the same bits on any threads."""

import math

import naive
import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.errors import CheckpointError, ShapeError, UsageError
from grapheme_numba.kernels.engine import updates
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.optim.optimizers import Factored

NAMES = list(optimizers.MOMENTS)
DTYPES = [("float32", 2e-5), ("float64", 1e-12)]


def twin(name, parameters, gradients, lr, decay):
    """The parameters after one step per gradient, by plain Python."""
    parameters = parameters.tolist()
    mu, nu = [0.0] * len(parameters), [0.0] * len(parameters)
    for count, gradient in enumerate(gradients, 1):
        gradient = gradient.tolist()
        if name == "rmsprop":
            parameters, nu = naive.rmsprop(parameters, gradient, nu, lr, weight_decay=decay)
        elif name == "sgd":
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
        state = optimizer.step(ours, gradient * 4, state, 0.01, scale=0.25)
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
    for at in range(12_000):
        # The steps of RMSprop do not shrink by themselves: its mean square forgets what was large.
        rate = lr * (1 - at / 12_000) if name == "rmsprop" else lr
        state = optimizer.step(p, function(p)[1], state, rate)
    assert function(p)[0] < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_a_step_that_clears_is_a_step(rng, name):
    """It says whether all parameters are finite, also where one stops being so in that very step."""
    first, gradient = rng.normal(size=(2, updates.CHUNK + 9)).astype(np.float32)
    optimizer = optimizers.build(name, 0.01)
    plain, cleared = first.copy(), first.copy()
    states = optimizer.init(plain), optimizer.init(plain)
    wanted = optimizer.step(plain, gradient, states[0], 0.1, 0.5)
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
            state = optimizer.step(ours, gradient, state, 0.1, 0.5)
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


@pytest.mark.parametrize("name", NAMES)
def test_update_is_pure(rng, name):
    """It gives what `step` writes, for an array of any shape, and leaves what it was given as it was."""
    optimizer = optimizers.build(name, 0.05)
    p, g = rng.normal(size=(2, 3, 4)).astype(np.float32)
    state = optimizer.init(p)
    kept = p.copy(), g.copy(), {key: moment.copy() for key, moment in state.moments.items()}
    new, after = optimizer.update(p, g, state, 0.1)
    newer, last = optimizer.update(new, g, after)
    flat = p.ravel().copy()
    in_place = optimizer.step(flat, g.ravel(), optimizer.init(flat), 0.1)
    np.testing.assert_array_equal(new.ravel(), flat)
    in_place = optimizer.step(flat, g.ravel(), in_place, optimizer.lr)
    np.testing.assert_array_equal(newer.ravel(), flat)
    assert (state.count, after.count, last.count) == (0, 1, 2)
    np.testing.assert_array_equal(p, kept[0])
    np.testing.assert_array_equal(g, kept[1])
    for key, moment in kept[2].items():
        np.testing.assert_array_equal(state.moments[key], moment)
        np.testing.assert_array_equal(last.moments[key].ravel(), in_place.moments[key])
    with pytest.raises(ShapeError, match=r"parameters are float32\(3, 4\) and gradients float32\(4, 3\)"):
        optimizer.update(p, g.reshape(4, 3), state)


@pytest.mark.parametrize("user", NAMES)
@pytest.mark.parametrize("maker", NAMES)
def test_a_state_is_used_only_with_the_optimizer_that_made_it(rng, maker, user):
    p, g = rng.normal(size=(2, 8))
    state, optimizer = optimizers.build(maker).init(p), optimizers.build(user)
    if maker == user:
        assert optimizer.update(p, g, state, 0.1)[1].count == 1
        return
    ways = (
        lambda: optimizer.update(p, g, state, 0.1),
        lambda: optimizer.step(p, g, state, 0.1),
        lambda: optimizer.update_and_clear(p, g, state, 0.1, 1.0),
    )
    before = p.copy()
    for way in ways:
        with pytest.raises(UsageError, match=f"made by {maker}, but the optimizer is {user}"):
            way()
    np.testing.assert_array_equal(p, before)


def test_a_state_of_other_parameters_is_refused(rng):
    state = gn.optim.Adam().init(np.zeros(3))
    with pytest.raises(UsageError, match=r"mu of the state is float64\(3,\), but the parameters are float64\(4,\)"):
        gn.optim.Adam().update(np.zeros(4), np.zeros(4), state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gn.optim.SGD(lr=-1), "lr of SGD is -1"),
        (lambda: gn.optim.SGD(lr=math.nan), "lr of SGD is nan"),
        (lambda: gn.optim.AdamW(weight_decay=-0.1), "weight_decay of AdamW is -0.1"),
        (lambda: gn.optim.Momentum(momentum=1.0), "momentum of Momentum is 1.0"),
        (lambda: gn.optim.Adam(betas=(0.9, 1.0)), r"betas of Adam is \(0.9, 1.0\)"),
        (lambda: gn.optim.Adam(eps=0), "eps of Adam is 0"),
        (lambda: gn.optim.RMSprop(rho=2), "rho of RMSprop is 2"),
        (lambda: gn.optim.RMSprop(eps=-1), "eps of RMSprop is -1"),
        (lambda: gn.optim.cosine(warmup=1.0), "warmup is 1.0"),
        (lambda: gn.optim.Schedule("poly"), "unknown lr schedule 'poly'"),
    ],
)
def test_hyperparameters_that_cannot_be_meant_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        (gn.optim.SGD(lr=0.1, weight_decay=0.01), lambda torch, p: torch.SGD([p], lr=0.1, weight_decay=0.01)),
        (gn.optim.Momentum(lr=0.1, momentum=0.8), lambda torch, p: torch.SGD([p], lr=0.1, momentum=0.8)),
        (gn.optim.Adam(lr=0.1, betas=(0.8, 0.95)), lambda torch, p: torch.Adam([p], lr=0.1, betas=(0.8, 0.95))),
        (gn.optim.AdamW(lr=0.1, eps=1e-3), lambda torch, p: torch.AdamW([p], lr=0.1, eps=1e-3, weight_decay=0.01)),
        (gn.optim.RMSprop(lr=0.1, rho=0.7), lambda torch, p: torch.RMSprop([p], lr=0.1, alpha=0.7)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_hyperparameters_mean_what_they_mean_in_pytorch(rng, optimizer, theirs, dtype):
    import torch

    p = rng.normal(size=20).astype(dtype)
    own, other = p.copy(), torch.nn.Parameter(torch.from_numpy(p.copy()))
    state, peer = optimizer.init(own), theirs(torch.optim, other)
    for _ in range(5):
        g = rng.normal(size=20).astype(dtype)
        own, state = optimizer.update(own, g, state)
        other.grad = torch.from_numpy(g)
        peer.step()
    np.testing.assert_allclose(own, other.detach().numpy(), rtol=1e-12 if dtype == "float64" else 2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["constant", "cosine", "step"])
@pytest.mark.parametrize("n_step", [1, 19, 20, 100, 140, 1000])
def test_public_schedules_are_those_of_the_trainers(name, n_step):
    """With the trainers' own warm-up, a twentieth of the steps."""
    schedule = getattr(gn.optim, name)(warmup=schedules.WARMUP)
    rate = schedules.build(name, 3.0, n_step)
    factors = [schedule(at, n_step) for at in range(n_step)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert [3 * factor for factor in factors] == pytest.approx([rate(at) for at in range(n_step)], rel=1e-15)
    assert getattr(gn.optim, name)()(0, n_step) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_factor_scales_the_step_of_its_parameter(rng, name):
    """Each parameter moves as under a rate of its own, and one with the factor 0 keeps its bits."""
    factors = np.array([0.0, 0.5, 1.0, 3.0])
    p = rng.normal(size=4)
    ours, inner = p.copy(), optimizers.build(name)
    optimizer = Factored(inner, factors)
    state, others = optimizer.init(ours), [p.copy() for _ in factors]
    states = [inner.init(other) for other in others]
    for _ in range(3):
        g = rng.normal(size=4)
        own = g.copy()
        state, finite = optimizer.update_and_clear(ours, own, state, 0.1, 0.5)
        assert finite and not own.any()
        states = [inner.step(o, g, s, 0.1 * f, 0.5) for o, s, f in zip(others, states, factors, strict=True)]
    np.testing.assert_allclose(ours, [others[i][i] for i in range(4)], rtol=1e-12)
    assert ours[0] == p[0]
