"""`Embedding` against its plain-Python twin."""

import naive
import numpy as np
import pytest

import grapheme_numba as gn


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (3, 7), (64, 20)])
def test_forward_and_backward_agree_with_the_twin(dtype, batch, length, rng):
    embedding = gn.Embedding(11, 5, seed=1, dtype=dtype)
    ids = rng.integers(11, size=(batch, length))
    grad = rng.normal(size=(batch, length, 5)).astype(dtype)
    vectors = embedding.forward(ids)
    assert (vectors.shape, vectors.dtype) == ((batch, length, 5), dtype)
    weights = embedding.weights.tolist()
    np.testing.assert_array_equal(vectors, np.array(naive.embedding_forward(weights, ids.tolist()), dtype))
    embedding.backward_accumulate(ids, grad)
    wanted = naive.embedding_backward(weights, ids.tolist(), grad.tolist())
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(embedding.grads, wanted, rtol=tolerance, atol=tolerance)


def test_gradients_accumulate_step_and_zero(rng):
    embedding = gn.Embedding(6, 3, seed=2, dtype="float64")
    ids, grad = np.array([[1, 1, 4]]), rng.normal(size=(1, 3, 3))
    before = embedding.weights.copy()
    embedding.backward_accumulate(ids, grad)
    embedding.backward_accumulate(ids, grad)
    np.testing.assert_allclose(embedding.grads[1], 2 * (grad[0, 0] + grad[0, 1]), rtol=1e-14)
    assert not embedding.grads[[0, 2, 3, 5]].any()
    embedding.step(0.5)
    np.testing.assert_allclose(embedding.weights, before - 0.5 * embedding.grads, rtol=1e-14)
    embedding.zero_grad()
    assert not embedding.grads.any()


def test_the_gradient_is_the_slope_of_the_loss(rng):
    """Central differences of a quadratic loss through forward, along a random direction of the table."""
    embedding = gn.Embedding(9, 4, seed=3, dtype="float64")
    ids, target = rng.integers(9, size=(5, 6)), rng.normal(size=(5, 6, 4))
    embedding.backward_accumulate(ids, 2 * (embedding.forward(ids) - target))
    direction, start = rng.normal(size=(9, 4)), embedding.weights.copy()
    losses = []
    for sign in (1, -1):
        embedding.weights = start + sign * 1e-6 * direction
        losses.append(float(np.sum((embedding.forward(ids) - target) ** 2)))
    slope = float(np.sum(embedding.grads * direction))
    assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-7)


def test_seeds_and_inits():
    one, again, other = (gn.Embedding(20, 6, seed=seed).weights for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
    assert 0.8 * np.sqrt(6 / 26) < np.abs(one).max() <= np.sqrt(6 / 26)
    assert np.abs(gn.Embedding(20, 6, init="uniform").weights).max() <= 1 / np.sqrt(6)
    assert not gn.Embedding(20, 6, init="zero").weights.any()


def test_bound_rows_live_in_the_owners_vector(rng):
    embedding = gn.Embedding(4, 3, seed=4)
    rows = embedding.weights.copy()
    flat, grads = np.full(14, 7, np.float32), np.full(14, 7, np.float32)
    embedding.bind(flat[1:13], grads[1:13])
    np.testing.assert_array_equal(flat[1:13].reshape(4, 3), rows)
    flat[1:13] = 2
    assert np.all(embedding.forward(np.array([[3]])) == 2)
    embedding.backward_accumulate(np.array([[3]]), np.ones((1, 1, 3), np.float32))
    assert grads.tolist() == [7, *[0] * 9, 1, 1, 1, 7]


def test_elements_of_the_table_can_be_written():
    embedding = gn.Embedding(3, 2, init="zero")
    embedding.weights[1] = [5, 6]
    assert embedding.forward(np.array([[1]])).tolist() == [[[5, 6]]]
