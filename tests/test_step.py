"""One training step against the same written out in NumPy, and what it does with a gradient that is not finite."""

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.optim import optimizers
from grapheme_numba.training import step


@pytest.fixture
def dag():
    return gn.DagNN.layered([5, 7, 3], 3, seed=2, dtype="float64")


def squared(target):
    """`gn.mse` with its target, as `accumulate` takes it."""
    return lambda y: gn.mse(y, target)


@pytest.mark.parametrize("max_norm", [0.0, 0.05, 1e9])
def test_a_step_is_the_clipped_mean_gradient_of_all_that_was_accumulated(rng, dag, max_norm):
    x, target = rng.normal(size=(10, 5)), rng.normal(size=(10, 3))
    twin = gn.DagNN.layered([5, 7, 3], 3, seed=2, dtype="float64")
    loss = step.accumulate(dag, x[:4], squared(target[:4])) + step.accumulate(dag, x[4:], squared(target[4:]))
    y = twin.forward(x)
    assert loss == pytest.approx(((y - target) ** 2).mean(axis=1).sum(), rel=1e-12)
    twin.backward_accumulate(2 * (y - target) / 3)
    mean = np.concatenate([twin.edge_grads, twin.bias_grads]) / 10
    norm = np.sqrt((mean**2).sum())
    factor = max_norm / norm if 0 < max_norm < norm else 1.0
    before = np.concatenate([dag.weights, dag.biases])
    rule = optimizers.build("sgd")
    done = step.apply(dag, 10, rule, rule.init(dag.parameters), 0.1, max_norm)
    assert done.grad_norm == pytest.approx(norm, rel=1e-12)
    assert (done.applied, done.finite, done.state.count) == (True, True, 1)
    np.testing.assert_allclose(np.concatenate([dag.weights, dag.biases]), before - 0.1 * factor * mean, rtol=1e-11)
    assert not dag.gradients.any()
    np.testing.assert_allclose(dag.forward(x), forward_again(dag, x), rtol=1e-12)


def forward_again(dag, x):
    """The outputs of a network newly built with the same weights: the step has told the engine of its writing."""
    fresh = gn.DagNN.layered([5, 7, 3], 3, seed=2, dtype="float64")
    fresh.weights, fresh.biases = dag.weights, dag.biases
    return fresh.forward(x)


def test_a_gradient_that_is_not_finite_is_not_applied(rng, dag):
    step.accumulate(dag, rng.normal(size=(2, 5)), squared(np.zeros((2, 3))))
    dag.gradients[3] = np.inf
    rule = optimizers.build("adam")
    state, before = rule.init(dag.parameters), dag.parameters.copy()
    done = step.apply(dag, 2, rule, state, 0.1)
    assert (done.applied, done.finite, done.state) == (False, True, state)
    np.testing.assert_array_equal(dag.parameters, before)
    assert np.isinf(dag.gradients[3])


def test_parameters_that_overflow_are_told(rng, dag):
    step.accumulate(dag, rng.normal(size=(2, 5)), squared(np.ones((2, 3))))
    rule = optimizers.build("sgd")
    done = step.apply(dag, 2, rule, rule.init(dag.parameters), np.inf)
    assert (done.applied, done.finite) == (True, False)
