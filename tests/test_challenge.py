"""Sparse DNN inference against SciPy in float64, with rows that die at every depth."""

import importlib.util

import numpy as np
import pytest

from grapheme_numba import errors
from grapheme_numba.bench import challenge
from grapheme_numba.graph import topologies
from grapheme_numba.kernels.bench.challenge import Layers


@pytest.fixture(scope="module")
def layers():
    return challenge.challenge_layers(256, 12)


@pytest.mark.parametrize("n_row", [1, 15, 64, 65, 333])
def test_categories_and_outputs_equal_the_reference(layers, n_row):
    x = challenge.images(n_row, 256, (0.3, 0.15), seed=n_row)
    expected = challenge.reference(layers, x)
    rows, outputs = challenge.infer(layers, x)
    assert rows.tolist() == np.flatnonzero(expected.any(axis=1)).tolist()
    np.testing.assert_allclose(outputs, expected[rows], atol=1e-3)
    assert challenge.check(layers, x) < 1e-3


def test_some_rows_die_and_some_live(layers):
    x = challenge.images(300, 256, (0.3, 0.15))
    rows, _ = challenge.infer(layers, x)
    assert 30 < len(rows) < 270


def test_no_row_dies_of_dark_images(layers):
    x = challenge.images(100, 256, challenge.INK_ALL_LIVE)
    assert len(challenge.infer(layers, x)[0]) == 100


def test_all_rows_may_die(layers):
    rows, outputs = challenge.infer(layers, np.zeros((40, 256), np.float32))
    assert rows.tolist() == []
    assert outputs.shape == (0, 256)


def test_the_csr_is_opaque(rng):
    """Any weights, any fan-in from none to odd, positive biases: nothing relies on RadiX-Net's pattern."""
    n_neuron, n_layer = 32, 5
    counts = rng.integers(0, 8, n_layer * n_neuron)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate([np.sort(rng.choice(n_neuron, count, replace=False)) for count in counts]).astype(np.int32)
    weights = rng.normal(0.2, 0.6, len(indices)).astype(np.float32)
    layers = Layers(indptr, indices, weights, np.array([0.3, -0.1, 0.2, -0.2, 0.1], np.float32))
    x = (rng.random((90, n_neuron)) * (rng.random((90, 1)) < 0.7)).astype(np.float32)
    expected = challenge.reference(layers, x)
    rows, outputs = challenge.infer(layers, x)
    assert rows.tolist() == np.flatnonzero(expected.any(axis=1)).tolist()
    assert 0 < len(rows) < 90
    np.testing.assert_allclose(outputs, expected[rows], rtol=1e-4, atol=1e-5)


def test_outputs_are_clamped_at_32():
    senders = topologies.layers(256, 4).ravel()
    layers = Layers(
        np.arange(0, len(senders) + 1, 32, dtype=np.int64), senders, np.ones(len(senders), np.float32),
        np.full(4, -0.3, np.float32),
    )  # fmt: skip
    _, outputs = challenge.infer(layers, np.ones((3, 256), np.float32))
    assert (outputs == 32).all()


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_threads_gives_the_same_bits(layers, threads, count):
    x = challenge.images(200, 256, (0.3, 0.15))
    threads(1)
    rows, outputs = challenge.infer(layers, x)
    threads(count)
    again = challenge.infer(layers, x)
    assert rows.tolist() == again[0].tolist()
    assert outputs.tobytes() == again[1].tobytes()


def test_images_have_the_ink_they_are_asked_for():
    x = challenge.images(400, 1024, (0.2, 0.05))
    assert set(np.unique(x)) == {0.0, 1.0}
    assert x.mean() == pytest.approx(0.2, abs=0.02)
    assert x.mean(axis=1).std() == pytest.approx(0.05, abs=0.015)


def test_rows_of_another_width_are_refused(layers):
    with pytest.raises(errors.ShapeError, match=r"x has shape \(3, 5\); the layers take \(rows, 256\)"):
        challenge.infer(layers, np.zeros((3, 5), np.float32))


def test_a_wrong_category_is_refused(layers, monkeypatch):
    x = challenge.images(50, 256, (0.3, 0.15))
    truth = challenge.reference(layers, x)
    truth[np.flatnonzero(truth.any(axis=1))[0]] = 0
    monkeypatch.setattr(challenge, "reference", lambda *_: truth)
    with pytest.raises(errors.ShapeError, match="categories differ from the float64 reference's in rows"):
        challenge.check(layers, x)


def test_measure_yields_both_input_sets():
    found = list(challenge.measure(64, 6, 40, [1], n_checked=20))
    assert [row.inputs for row in found] == ["digits-like", "no row dies"]
    assert found[1].survivors == 40 > found[0].survivors
    assert all(row.rate > 0 and row.difference < 1e-4 and row.checked == 20 for row in found)


def test_graphblas_finds_the_same_categories(layers):
    if not importlib.util.find_spec(challenge.PACKAGE):
        return
    x = challenge.images(60, 256, (0.3, 0.15))
    rows = challenge.GraphBlas(layers, x).infer()
    assert rows.tolist() == challenge.infer(layers, x)[0].tolist()
    found = list(challenge.measure(64, 6, 40, [1], n_checked=20, graphblas=True))
    assert all(row.peer_rate > 0 and 0 < row.low <= row.ratio <= row.high for row in found)
