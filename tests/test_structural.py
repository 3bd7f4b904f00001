"""The structural loss and its weights, against the plain twin and by hand."""

import naive
import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.models.structural import STRUCTURAL_WEIGHTS, chain_loss, structural_weight


def test_against_the_twin(rng):
    counts = rng.integers(0, 40, (4, 200))
    got = gn.structural_loss(*counts, alpha=0.7, beta=1.3)
    expected = [naive.structural_loss(*column, alpha=0.7, beta=1.3) for column in counts.T.tolist()]
    np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_numbers_give_a_number_and_shapes_broadcast():
    assert gn.structural_loss(5, 4, 3, 2) == 2 * 1.0 + 2 * 0.5
    assert isinstance(gn.structural_loss(5, 4, 3, 2), float)
    assert gn.structural_loss(np.arange(3)[:, None], 0, np.arange(4), 0).shape == (3, 4)


@pytest.mark.parametrize(("pred", "true", "loss"), [(0, 0, 0.0), (1, 0, 1.0), (0, 3, 4.0), (5, 3, 3.0), (7, 7, 0.0)])
def test_a_text_is_a_chain(pred, true, loss):
    assert chain_loss(pred, true) == loss
    assert chain_loss(np.array([pred]), np.array([true])).tolist() == [loss]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((-1, 0, 0, 0), "n_nodes_pred holds a value that is not a finite number of at least 0"),
        ((0, np.nan, 0, 0), "n_edges_pred holds"),
        (([1, 2], 0, [1, 2, 3], 0), r"do not broadcast against each other: n_nodes_pred \(2,\)"),
        ((0, 0, "three", 0), "n_nodes_true is 'three'"),
    ],
)
def test_bad_counts(counts, message):
    with pytest.raises(gn.ShapeError, match=message):
        gn.structural_loss(*counts)


def test_bad_prices():
    with pytest.raises(gn.UsageError, match="alpha is -1"):
        gn.structural_loss(1, 1, 1, 1, alpha=-1)
    with pytest.raises(gn.UsageError, match="beta is nan"):
        gn.structural_loss(1, 1, 1, 1, beta=np.nan)


def test_only_sqrt_stops_learning_when_the_length_is_right():
    weights = {kind: structural_weight(kind, [0.0, 3.0]).tolist() for kind in STRUCTURAL_WEIGHTS}
    assert weights == {"none": [1.0, 1.0], "sqrt": [0.0, 3.0**0.5], "sqrt1p": [1.0, 2.0]}


def test_an_unknown_weight():
    with pytest.raises(gn.UsageError, match="structural weight 'log' is unknown; choose one of none, sqrt, sqrt1p"):
        structural_weight("log", [1.0])
