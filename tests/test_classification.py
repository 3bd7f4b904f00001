"""Cross-entropies and Huber's loss: worked numbers, scikit-learn as the oracle, differences for gradients."""

import numpy as np
import pytest
import sklearn.metrics

import grapheme_numba as gn
from grapheme_numba.errors import ShapeError
from grapheme_numba.kernels.engine.losses import softmax


def difference(function, y, direction, step=1e-6):
    """Central difference of the loss along one direction."""
    return (function(y + step * direction)[0] - function(y - step * direction)[0]) / (2 * step)


CASES = {
    "cross_entropy": lambda rng, n, k: (gn.cross_entropy, rng.integers(k, size=n)),
    "binary": lambda rng, n, k: (gn.binary_cross_entropy, rng.random((n, k))),
    "huber": lambda rng, n, k: (gn.huber, rng.normal(size=(n, k)) * 2),
    "narrow huber": lambda rng, n, k: (lambda y, t, w: gn.huber(y, t, w, delta=0.1), rng.normal(size=(n, k))),
    "mse": lambda rng, n, k: (lambda y, t, w: gn.mse(y, t), rng.normal(size=(n, k))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 3), (130, 10)])
def test_gradients_are_differences(rng, name, shape):
    function, target = CASES[name](rng, *shape)
    y, weight, direction = rng.normal(size=shape) * 3, rng.random(shape[0]) + 0.1, rng.normal(size=shape)
    loss, grad = function(y, target, weight)
    expected = difference(lambda moved: function(moved, target, weight), y, direction)
    np.testing.assert_allclose((grad * direction).sum(), expected, rtol=1e-6, atol=1e-8)
    single = function(y.astype(np.float32), target, weight)
    assert single[1].dtype == np.float32
    np.testing.assert_allclose(single[0], loss, rtol=1e-5, atol=1e-6)


def test_cross_entropy_is_scikit_learns(rng):
    y, labels, weight = rng.normal(size=(50, 4)) * 5, np.arange(50) % 4, rng.random(50)
    p = np.empty_like(y)
    softmax(y, p)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    expected = sklearn.metrics.log_loss(labels, p, sample_weight=weight, normalize=False)
    np.testing.assert_allclose(gn.cross_entropy(y, labels, weight)[0], expected)


def test_worked_numbers():
    loss, grad = gn.cross_entropy(np.zeros((1, 4)), [2])
    assert np.isclose(loss, np.log(4))
    np.testing.assert_allclose(grad, [[0.25, 0.25, -0.75, 0.25]])
    loss, grad = gn.binary_cross_entropy(np.zeros((1, 2)), [[0.0, 1.0]])
    assert np.isclose(loss, np.log(2))
    np.testing.assert_allclose(grad, [[0.25, -0.25]])
    loss, grad = gn.huber(np.array([[0.5, 3.0]]), [[0.0, 0.0]])
    assert np.isclose(loss, (0.125 + 2.5) / 2)
    np.testing.assert_allclose(grad, [[0.25, 0.5]])


def test_large_logits_stay_finite():
    y = np.array([[1000.0, -1000.0, 0.0]])
    assert gn.cross_entropy(y, [1])[0] == 2000.0
    assert gn.binary_cross_entropy(y, [[0.0, 1.0, 0.5]])[0] == pytest.approx((2000.0 + np.log(2)) / 3)
    for _, grad in (gn.cross_entropy(y, [1]), gn.binary_cross_entropy(y, [[0.0, 1.0, 0.5]])):
        assert np.isfinite(grad).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y: gn.cross_entropy(y, [0, 3]), r"labels\[1\] is 3; the classes run from 0 to 2"),
        (lambda y: gn.cross_entropy(y, [0.0, 1.0]), "labels has dtype float64"),
        (lambda y: gn.cross_entropy(y, [0]), r"one whole number per example, \(2,\)"),
        (lambda y: gn.cross_entropy(y[0], [0]), r"shape \(3,\); cross_entropy wants float32 or float64"),
        (lambda y: gn.cross_entropy(y, [0, 1], [1.0]), r"weight has dtype float64 and shape \(1,\)"),
        (lambda y: gn.binary_cross_entropy(y, y + 2), "target runs from 2.0 to 2.0; give numbers from 0 to 1"),
        (lambda y: gn.huber(y, y, delta=0), "delta is 0; give a number above 0"),
        (lambda y: gn.huber(y, y[:1]), r"target has dtype float64 and shape \(1, 3\)"),
        (lambda y: gn.huber(y, y * np.nan), "target holds NaN or infinity"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ShapeError, match=message):
        call(np.zeros((2, 3)))
