"""Squared errors: the masked one against the plain twin, the sliced one against the masked one."""

import naive
import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.kernels.engine.losses import CHUNK, chunked_sum, gather_slices, sliced_loss, sliced_loss_grad


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 2, 100])
def test_mse_against_the_twin(rng, dtype, batch):
    y, target = rng.normal(size=(2, batch, 7)).astype(dtype)
    mask = rng.random((batch, 7)) < 0.6
    mask[0] = False  # an example with no active output costs nothing
    for chosen in (None, mask):
        loss, grad = gn.mse(y, target, chosen)
        expected_loss, expected_grad = naive.mse(
            y.tolist(), target.tolist(), None if chosen is None else chosen.tolist()
        )
        assert loss == pytest.approx(expected_loss, rel=1e-6 if dtype == "float32" else 1e-13)
        np.testing.assert_allclose(grad, expected_grad, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-12)
        assert grad.dtype == y.dtype


def test_a_mask_of_one_row_serves_all(rng):
    y, target = rng.normal(size=(2, 5, 3))
    mask = np.array([True, False, True])
    assert gn.mse(y, target, mask)[0] == gn.mse(y, target, np.tile(mask, (5, 1)))[0]


def test_views_are_read_in_their_own_order(rng):
    y, target = rng.normal(size=(2, 6, 8))
    assert gn.mse(y[::2, ::2], target.T.copy().T[::2, ::2])[0] == gn.mse(y[::2, ::2].copy(), target[::2, ::2].copy())[0]


@pytest.mark.parametrize(
    ("y", "target", "mask", "message"),
    [
        (np.ones((2, 3), int), np.ones((2, 3)), None, "y has dtype int64"),
        (np.ones(3), np.ones(3), None, r"shape \(3,\); mse wants float32 or float64"),
        (np.ones((0, 3)), np.ones((0, 3)), None, "at least one example"),
        (np.ones((2, 3)), np.ones((2, 4)), None, r"target has dtype float64 and shape \(2, 4\), y has shape \(2, 3\)"),
        (np.ones((2, 3)), np.full((2, 3), np.inf), None, "target holds NaN or infinity"),
        (np.ones((2, 3)), np.ones((2, 3)), np.full((2, 3), 0.5), "mask has dtype float64; give booleans"),
        (np.ones((2, 3)), np.ones((2, 3)), np.ones((3, 3), bool), r"mask has shape \(3, 3\), which does not broadcast"),
    ],
)
def test_mse_refuses(y, target, mask, message):
    with pytest.raises(gn.ShapeError, match=message):
        gn.mse(y, target, mask)


def slices_of_a_mixed_batch(rng, batch):
    start = rng.choice([0, 4, 9], batch).astype(np.int32)
    width = np.array([{0: 4, 4: 5, 9: 3}[first] for first in start.tolist()], np.int32)
    n_active = np.where(rng.random(batch) < 0.1, 0, width).astype(np.int32)
    return start, width, n_active


@pytest.mark.parametrize("batch", [1, 63, 64, 65, 300])
def test_the_sliced_loss_is_the_masked_one_on_each_examples_slice(rng, batch):
    y = rng.normal(size=(batch, 12))
    packed_target = rng.normal(size=(batch, 5))
    start, width, n_active = slices_of_a_mixed_batch(rng, batch)
    weight = rng.random(batch)
    loss, grad, packed = np.empty(batch), np.full_like(y, np.nan), np.full((batch, 5), np.nan)
    squares = np.zeros(batch, bool)
    sliced_loss(y, packed_target, start, n_active, squares, loss)
    sliced_loss_grad(y, packed_target, start, n_active, squares, weight, grad)
    gather_slices(y, start, width, packed)
    for i in range(batch):
        mask = [[start[i] <= k < start[i] + n_active[i] for k in range(12)]]
        whole = [[packed_target[i, k - start[i]] if inside else 0.0 for k, inside in enumerate(mask[0])]]
        expected_loss, expected_grad = naive.mse([y[i].tolist()], whole, mask)
        assert loss[i] == pytest.approx(expected_loss, rel=1e-13)
        np.testing.assert_allclose(grad[i], weight[i] * np.array(expected_grad[0]), rtol=1e-13)
        assert packed[i].tolist() == [*y[i, start[i] : start[i] + width[i]], *[0.0] * (5 - width[i])]


@pytest.mark.parametrize("batch", [1, 65])
def test_the_sliced_loss_of_labels_against_the_twin(rng, batch):
    y = rng.normal(size=(batch, 12)) * 4
    start, width, n_active = slices_of_a_mixed_batch(rng, batch)
    softmax, weight = rng.random(batch) < 0.7, rng.random(batch)
    targets = np.zeros((batch, 5))
    targets[np.arange(batch), rng.integers(0, width)] = 1.0
    loss, grad = np.empty(batch), np.full_like(y, np.nan)
    sliced_loss(y, targets, start, n_active, softmax, loss)
    sliced_loss_grad(y, targets, start, n_active, softmax, weight, grad)
    for i in range(batch):
        own = slice(start[i], start[i] + n_active[i])
        expected, expected_grad = 0.0, []
        if n_active[i] and softmax[i]:
            expected, expected_grad = naive.label_loss(y[i, own].tolist(), targets[i, : width[i]].tolist())
        elif n_active[i]:
            expected, (expected_grad,) = naive.mse([y[i, own].tolist()], [targets[i, : width[i]].tolist()])
        assert loss[i] == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(grad[i, own], weight[i] * np.array(expected_grad), rtol=1e-12, atol=1e-15)
        assert not np.delete(grad[i], np.r_[own]).any()


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_the_loss_of_labels_is_a_quarter_where_nothing_is_known_and_its_gradient_that_of_differences(rng, n):
    start, n_active, softmax, weight = np.zeros(1, int), np.full(1, n), np.ones(1, bool), np.ones(1)
    targets = np.zeros((1, n))
    targets[0, rng.integers(n)] = 1.0

    def loss_at(y):
        loss = np.empty(1)
        sliced_loss(y, targets, start, n_active, softmax, loss)
        return loss[0]

    assert loss_at(np.full((1, n), 3.0)) == pytest.approx(0.0 if n == 1 else 0.25)
    y, direction, grad = rng.normal(size=(1, n)), rng.normal(size=(1, n)), np.empty((1, n))
    sliced_loss_grad(y, targets, start, n_active, softmax, weight, grad)
    difference = (loss_at(y + 1e-6 * direction) - loss_at(y - 1e-6 * direction)) / 2e-6
    assert float((grad * direction).sum()) == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_the_loss_of_labels_takes_extreme_logits():
    y = np.array([[1e4, -1e4, 0.0], [-np.inf, 0.0, 0.0]], np.float32)
    targets = np.array([[0, 1, 0], [0, 1, 0]], np.float32)
    loss, grad = np.empty(2), np.empty_like(y)
    common = np.zeros(2, int), np.full(2, 3), np.ones(2, bool)
    sliced_loss(y, targets, *common, loss)
    sliced_loss_grad(y, targets, *common, np.ones(2), grad)
    assert loss.tolist() == pytest.approx([0.5e4 / np.log(3), 0.25 * np.log(2) / np.log(3)])
    np.testing.assert_allclose(grad * 4 * np.log(3), [[1, -1, 0], [0, -0.5, 0.5]], rtol=1e-6)


def test_sums_have_a_fixed_order_and_lose_little(rng):
    values = rng.normal(size=10 * CHUNK + 3).astype(np.float32) * 1e4
    expected = sum(float(sum(values[i : i + CHUNK].astype(np.float64))) for i in range(0, len(values), CHUNK))
    assert chunked_sum(values) == pytest.approx(expected, rel=1e-15)
    assert chunked_sum(values[:0]) == 0.0


def test_a_mask_of_zeros_and_ones_is_a_mask(rng):
    y, target = rng.standard_normal((2, 4, 3))
    mask = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 1], [0, 0, 0]])
    loss, grad = gn.mse(y, target, mask.astype(bool))
    for numbers in (mask, mask.astype(np.float32), mask.astype(np.uint8)):
        other_loss, other_grad = gn.mse(y, target, numbers)
        assert other_loss == loss
        np.testing.assert_array_equal(other_grad, grad)
