"""Gradients against central differences, against the plain-Python twin, and one example worked by hand."""

import math

import naive
import numpy as np
import pytest
import strategies

import grapheme_numba as gn

BATCHES = [1, 15, 16, 17, 64, 100]


def build(arguments, dtype="float64"):
    return gn.DagNN.from_edges(**arguments, dtype=dtype)


def run(dag, x, gy):
    """Outputs and all three gradients of one forward and backward pass, as float64."""
    dag.zero_grad()
    y = dag.forward(x)
    gx = dag.backward_accumulate(gy)
    return [np.array(a, dtype=np.float64) for a in (y, dag.edge_grads, dag.bias_grads, gx)]


def twin_run(arguments, x, gy):
    graph = strategies.twin(arguments)
    y = naive.forward(graph, x.tolist())
    return [np.asarray(a, dtype=np.float64) for a in (y, *naive.backward(graph, x.tolist(), gy.tolist()))]


def draw(arguments, batch, rng, dtype=np.float64):
    x = rng.normal(size=(batch, len(arguments["inputs"]))).astype(dtype)
    gy = rng.normal(size=(batch, len(arguments["outputs"]))).astype(dtype)
    return x, gy


def assert_same(ours, theirs, rtol=1e-9, atol=1e-11):
    for name, a, b in zip(("y", "edge_grads", "bias_grads", "gx"), ours, theirs, strict=True):
        np.testing.assert_allclose(
            a, b.reshape(a.shape), rtol=rtol, atol=atol * (1 + np.abs(b).max(initial=0)), err_msg=name
        )


def assert_differences_agree(dag, inputs, x, gy, rng, n_direction=3, h=1e-5):
    """Along random directions of (weights, biases, x): the slope of sum(gy * y) is the gradient's projection."""
    weights, biases = dag.weights.copy(), dag.biases.copy()
    _, edge_grads, bias_grads, gx = run(dag, x, gy)
    free = np.ones(dag.n_node, dtype=bool)
    free[inputs] = False
    norm = math.sqrt(sum(float(np.sum(g * g)) for g in (edge_grads, bias_grads, gx)))
    for _ in range(n_direction):
        dw, db, dx = rng.normal(size=weights.shape), rng.normal(size=biases.shape) * free, rng.normal(size=x.shape)
        length = math.sqrt(np.sum(dw**2) + np.sum(db**2) + np.sum(dx**2))
        dw, db, dx = dw / length, db / length, dx / length
        ends = []
        for sign in (1, -1):
            dag.weights, dag.biases = weights + sign * h * dw, biases + sign * h * db
            ends.append(float(np.sum(gy * dag.forward(x + sign * h * dx))))
        slope = (ends[0] - ends[1]) / (2 * h)
        projected = float(np.sum(edge_grads * dw) + np.sum(bias_grads * db) + np.sum(gx * dx))
        assert abs(slope - projected) <= 1e-6 * max(abs(slope), abs(projected), 1e-2 * norm)
    dag.weights, dag.biases = weights, biases


@pytest.mark.parametrize("seed", range(100))
def test_random_dags_agree_with_the_twin_and_with_differences(seed):
    arguments = strategies.random_dag(seed)
    rng = np.random.default_rng([1, seed])
    x, gy = draw(arguments, BATCHES[seed % len(BATCHES)], rng)
    dag = build(arguments)
    assert_same(run(dag, x, gy), twin_run(arguments, x, gy))
    assert_differences_agree(dag, arguments["inputs"], x, gy, rng)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", strategies.ODD)
def test_odd_networks_agree_with_the_twin(name, batch):
    arguments = strategies.odd(name)
    x, gy = draw(arguments, batch, np.random.default_rng([2, batch]))
    assert_same(run(build(arguments), x, gy), twin_run(arguments, x, gy))


@pytest.mark.parametrize("name", strategies.ODD)
def test_odd_networks_agree_with_differences(name):
    arguments = strategies.odd(name)
    rng = np.random.default_rng([3, len(name)])
    x, gy = draw(arguments, 17, rng)
    assert_differences_agree(build(arguments), arguments["inputs"], x, gy, rng)


@pytest.mark.parametrize("activation", strategies.ACTIVATIONS)
def test_each_activation_agrees_with_the_twin_and_with_differences(activation):
    for seed in range(5):
        arguments = strategies.random_dag(1000 + seed, activation=activation)
        rng = np.random.default_rng([4, seed])
        x, gy = draw(arguments, 33, rng)
        dag = build(arguments)
        assert_same(run(dag, x, gy), twin_run(arguments, x, gy))
        assert_differences_agree(dag, arguments["inputs"], x, gy, rng)


@pytest.mark.parametrize("seed", range(30))
def test_float32_agrees_with_float64(seed):
    arguments = strategies.random_dag(seed)
    x, gy = draw(arguments, BATCHES[seed % len(BATCHES)], np.random.default_rng([5, seed]), np.float32)
    arguments["weights"] = arguments["weights"].astype(np.float32)
    arguments["biases"] = arguments["biases"].astype(np.float32)
    single = run(build(arguments, "float32"), x, gy)
    double = run(build(arguments, "float64"), x.astype(np.float64), gy.astype(np.float64))
    for name, a, b in zip(("y", "edge_grads", "bias_grads", "gx"), single, double, strict=True):
        assert np.abs(a - b).max(initial=0) <= 1e-4 * (np.abs(b).max(initial=0) + 1e-3), name


def test_a_small_network_worked_by_hand():
    """x=2 -> h = tanh(0.5*2 + 0.1), y = 3*h - 1*x + 0.2: the skip edge and both chain rules by pen and paper."""
    dag = gn.DagNN.from_edges(
        [0, 1, 0],
        [1, 2, 2],
        inputs=[0],
        outputs=[2],
        weights=[0.5, 3.0, -1.0],
        biases=[0.0, 0.1, 0.2],
        activation=["linear", "tanh", "linear"],
        dtype="float64",
    )
    h = math.tanh(1.1)
    assert dag.forward(np.array([[2.0]]))[0, 0] == pytest.approx(3 * h - 2 + 0.2, rel=1e-13)
    gx = dag.backward_accumulate(np.array([[10.0]]))
    slope = 1 - h * h
    np.testing.assert_allclose(dag.edge_grads, [10 * 3 * slope * 2, 10 * h, 10 * 2], rtol=1e-12)
    np.testing.assert_allclose(dag.bias_grads, [0, 10 * 3 * slope, 10], rtol=1e-12)
    assert gx[0, 0] == pytest.approx(10 * (3 * slope * 0.5 - 1), rel=1e-12)


@pytest.mark.parametrize("activation", strategies.ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_far_from_zero(activation, dtype):
    """One node fed with pre-activations from -30 to 30 and at exactly 0: value and derivative, never NaN."""
    x = np.concatenate([np.linspace(-30, 30, 241), [-1e-3, 1e-3, 0.0]]).astype(dtype)
    dag = gn.DagNN.from_edges(
        [0], [1], inputs=[0], outputs=[1], weights=[1.0], biases=[0.0, 0.0], activation=activation, dtype=dtype
    )
    y = dag.forward(x[:, None])[:, 0]
    gx = dag.backward_accumulate(np.ones((len(x), 1), dtype=dtype))[:, 0]
    function, derivative = naive.ACTIVATIONS[activation]
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    for ours, twin in ((y, function), (gx, derivative)):
        wanted = np.array([twin(float(value)) for value in x])
        assert np.all(np.abs(ours - wanted) <= tolerance * np.maximum(1, np.abs(wanted)))


def test_gradients_pass_through_mse():
    """The slope of gn.mse(dag.forward(x), t) over the weights is what backward_accumulate of its gradient gives."""
    arguments = strategies.random_dag(3, activation="tanh")
    rng = np.random.default_rng(6)
    x, target = draw(arguments, 20, rng)
    dag = build(arguments)
    weights = dag.weights.copy()
    _, grad = gn.mse(dag.forward(x), target)
    edge_grads = run(dag, x, grad)[1]
    direction = rng.normal(size=weights.shape)
    losses = []
    for sign in (1, -1):
        dag.weights = weights + sign * 1e-5 * direction
        losses.append(gn.mse(dag.forward(x), target)[0])
    assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(float(edge_grads @ direction), rel=1e-6)
