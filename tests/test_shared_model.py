"""SharedAGIModel: slices, gradients against differences, steps, and every error."""

import numpy as np
import pytest

import grapheme_numba as gn

REQUESTS = [("math", 6, 4), ("text", 12, 8), ("timeseries", 3, 2), ("vision", 9, 3)]


def shared(dtype="float64", weight="sqrt1p", **options):
    return gn.SharedAGIModel(
        REQUESTS,
        **{"hidden": [14, 10], "fan_in": 5, "seed": 3, "embedding_dim": 3, "activation": "tanh"} | options,
        dtype=dtype,
        structural_weight=weight,
    )


def flat(model):
    return np.concatenate([model.dag.weights, model.dag.biases, model.embedding.weights.ravel()])


def gradient(model):
    return np.concatenate([model.dag.edge_grads, model.dag.bias_grads, model.embedding.grads.ravel()])


def put(model, values):
    n_edge, n_node = model.dag.n_edge, model.dag.n_node
    model.dag.weights, model.dag.biases = values[:n_edge], values[n_edge : n_edge + n_node]
    model.embedding.weights[:] = values[n_edge + n_node :].reshape(model.embedding.weights.shape)


def inputs_of(rng, name, batch=7):
    if name == "text":
        return rng.integers(0, 257, (batch, 4))
    return rng.normal(size=(batch, {one: n for one, n, _ in REQUESTS}[name]))


@pytest.mark.parametrize("kind", ["sqrt1p", "sqrt", "none"])
def test_gradients_of_all_brains_together(rng, kind):
    model = shared(weight=kind)
    given = {name: inputs_of(rng, name) for name, *_ in REQUESTS}
    targets = {name: rng.normal(size=(7, n)) for name, _, n in REQUESTS}
    structural = {name: rng.integers(0, 5, 7).astype(float) for name, *_ in REQUESTS}
    factor = {"sqrt1p": lambda loss: np.sqrt(1 + loss), "sqrt": np.sqrt, "none": np.ones_like}[kind]

    def loss():
        total = 0.0
        for name in given:
            error = model.forward(name, given[name]) - targets[name]
            total += float((factor(structural[name]) * (error**2).mean(axis=1)).sum())
        return total

    for name in given:
        y = model.forward(name, given[name])
        told = model.accumulate_gradients(name, structural[name], targets[name])
        assert told == pytest.approx(((y - targets[name]) ** 2).mean(axis=1).sum(), rel=1e-12)
    assert model.n_accumulated == 28
    found, start = gradient(model), flat(model)
    inputs = np.zeros(model.dag.n_node, bool)
    inputs[: model.dag.n_input] = True
    for _ in range(10):
        direction = rng.normal(size=start.size)
        direction[model.dag.n_edge : model.dag.n_edge + model.dag.n_node][inputs] = 0.0
        eps = 1e-6 / np.linalg.norm(direction)
        put(model, start + eps * direction)
        above = loss()
        put(model, start - eps * direction)
        assert found @ direction == pytest.approx(
            (above - loss()) / (2 * eps), rel=1e-6, abs=1e-6 * np.linalg.norm(found)
        )


def test_a_brain_is_its_slice_of_one_network(rng):
    model = shared()
    x = inputs_of(rng, "vision")
    whole = np.zeros((7, 30))
    whole[:, 21:30] = x
    assert model.slices["vision"].input_range == range(21, 30)
    np.testing.assert_array_equal(model.forward("vision", x), model.dag.forward(whole)[:, 14:17])


def test_ids_go_through_the_shared_embedding(rng):
    model = shared()
    ids = inputs_of(rng, "text")
    vectors = model.embedding.weights[ids].reshape(7, 12)
    np.testing.assert_array_equal(model.forward("text", ids), model.forward("text", vectors))


def test_only_sqrt_stops_at_the_right_length(rng):
    for kind, moves in (("sqrt", False), ("sqrt1p", True), ("none", True)):
        model = shared(weight=kind)
        model.forward("math", inputs_of(rng, "math"))
        model.accumulate_gradients("math", 0.0, np.ones((7, 4)))
        assert bool(gradient(model).any()) == moves


def test_a_step_is_plain_descent_and_keeps_the_gradients(rng):
    model = shared()
    model.forward("text", inputs_of(rng, "text"))
    model.accumulate_gradients("text", 1.0, np.zeros((7, 8)))
    before, slope = flat(model), gradient(model)
    model.apply_gradients(0.1)
    np.testing.assert_allclose(flat(model), before - 0.1 * slope, rtol=1e-12)
    np.testing.assert_array_equal(gradient(model), slope)
    model.zero_grad()
    assert not gradient(model).any()
    assert model.n_accumulated == 0


def test_epochs_of_accumulated_steps_learn_every_brain(rng):
    model = shared("float32", hidden=[40, 30], fan_in=12)
    given = {name: inputs_of(rng, name, 8) for name, *_ in REQUESTS}
    targets = {name: rng.normal(size=(8, n)).astype(np.float32) for name, _, n in REQUESTS}
    history = []
    for _ in range(60):
        model.zero_grad()
        losses = []
        for name in given:
            model.forward(name, given[name])
            losses.append(model.accumulate_gradients(name, 0.0, targets[name]))
        model.apply_gradients(0.5 / model.n_accumulated)
        history.append(losses)
    assert np.all(np.array(history[-1]) < 0.8 * np.array(history[0]))


def test_the_seed_decides_and_sharing_is_told():
    assert flat(shared()).tobytes() == flat(shared()).tobytes() != flat(shared(seed=4)).tobytes()
    found = shared().sharing()
    assert (found.n_hidden, found.n_shared, found.unreached) == (24, 10, [])
    assert gn.SharedAGIModel(REQUESTS, hidden=5, seed=0).sharing().n_shared == 5


def test_errors(rng):
    model = shared()
    with pytest.raises(gn.UsageError, match="no brain is called 'music'; the brains are math, text"):
        model.forward("music", np.zeros((1, 3)))
    with pytest.raises(
        gn.ShapeError, match=r"x for brain 'math' has dtype float64 and shape \(7, 5\); give numbers of"
    ):
        model.forward("math", np.zeros((7, 5)))
    with pytest.raises(gn.ShapeError, match=r"or whole ids of shape \(batch, n\) with n \* 3 = 12"):
        model.forward("text", np.zeros((7, 12), int))
    with pytest.raises(gn.UsageError, match="need its forward pass first; the latest was none"):
        model.accumulate_gradients("math", 0.0, np.zeros((7, 4)))
    model.forward("math", inputs_of(rng, "math"))
    with pytest.raises(gn.UsageError, match="need its forward pass first; the latest was of 'math'"):
        model.accumulate_gradients("vision", 0.0, np.zeros((7, 3)))
    with pytest.raises(gn.ShapeError, match=r"structural has shape \(3,\); give one number or 7"):
        model.accumulate_gradients("math", np.zeros(3), np.zeros((7, 4)))
    with pytest.raises(gn.ShapeError, match=r"target has dtype float64 and shape \(7, 3\)"):
        model.accumulate_gradients("math", 0.0, np.zeros((7, 3)))
    with pytest.raises(gn.UsageError, match="structural weight 'cube' is unknown"):
        shared(weight="cube")
