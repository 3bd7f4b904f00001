"""Every message of the embedding and the loss: what was wrong, what came, what was wanted, what to do."""

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.errors import GraphemeError


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: gn.Embedding(0, 4), "vocab_size is 0; give a whole number of at least 1"),
        (lambda e: gn.Embedding(4, True), "dim is True; give a whole number of at least 1"),
        (lambda e: gn.Embedding(4, 4, init="he"), "unknown init 'he'; choose one of xavier"),
        (lambda e: gn.Embedding(4, 4, dtype="int32"), "dtype is 'int32'; choose 'float32' or 'float64'"),
        (lambda e: e.forward(np.array([[0, 4], [5, 1]])), r"ids\[0, 1\] is 4; ids run from 0 to 3"),
        (lambda e: e.forward(np.array([[0, 1], [-1, 1]])), r"ids\[1, 0\] is -1; ids run from 0 to 3"),
        (lambda e: e.forward(np.array([1, 2])), r"ids has shape \(2,\); wanted \(batch, length\)"),
        (lambda e: e.forward(np.zeros((1, 2))), "ids has dtype float64; ids are whole numbers"),
        (
            lambda e: e.backward_accumulate([[1, 2]], np.zeros((1, 2, 4))),
            r"grad has shape \(1, 2, 4\); wanted \(1, 2, 3\)",
        ),
        (lambda e: e.backward_accumulate([[1]], np.full((1, 1, 3), np.nan)), r"grad\[0, 0\] is nan"),
        (lambda e: setattr(e, "weights", np.zeros((3, 3))), r"weights has shape \(3, 3\); wanted \(4, 3\)"),
        (lambda e: e.step(float("inf")), "lr is inf; give a finite learning rate"),
    ],
)
def test_embeddings_that_cannot_be_meant(make, message):
    with pytest.raises(GraphemeError, match=message):
        make(gn.Embedding(4, 3))


@pytest.mark.parametrize(
    ("y", "target", "mask", "message"),
    [
        (np.zeros(3), np.zeros(3), None, r"y has dtype float64 and shape \(3,\); mse wants .* \(batch, n_output\)"),
        (np.zeros((2, 3), int), np.zeros((2, 3)), None, "y has dtype int64"),
        (
            np.zeros((2, 3)),
            np.zeros((3, 2)),
            None,
            r"target has dtype float64 and shape \(3, 2\), y has shape \(2, 3\)",
        ),
        (np.zeros((2, 3)), np.full((2, 3), np.nan), None, "target holds NaN or infinity; mask those outputs"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.full((2, 3), 0.5), "mask has dtype float64; give booleans"),
        (np.zeros((2, 3)), np.zeros((2, 3)), np.ones(2, bool), r"mask has shape \(2,\), which does not broadcast"),
    ],
)
def test_losses_that_cannot_be_meant(y, target, mask, message):
    with pytest.raises(gn.ShapeError, match=message):
        gn.mse(y, target, mask)
