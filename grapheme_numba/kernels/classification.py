"""Losses of classes and of robust regression, with their gradients: one example per owner, sums in float64."""

import math

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL


@njit(**PARALLEL)
def softmax(y, probabilities_out):
    """`exp(y) / sum(exp(y))` of each row of y (batch, n_class), the largest taken out first."""
    for i in prange(y.shape[0]):
        most = y[i, 0]
        for k in range(1, y.shape[1]):
            most = max(most, y[i, k])
        total = 0.0
        for k in range(y.shape[1]):
            value = math.exp(np.float64(y[i, k]) - np.float64(most))
            probabilities_out[i, k] = value
            total += value
        for k in range(y.shape[1]):
            probabilities_out[i, k] /= total


@njit(**PARALLEL)
def softmax_cross_entropy(y, labels, weight, loss_out, grad_out):
    """`-log(softmax(y)[label])` of each example and its gradient, `softmax(y) - onehot(label)`.

    Parameters
    ----------
    y : (batch, n_class) float
        Logits.
    labels : (batch,) int64
        In 0 .. n_class - 1.
    weight : (batch,) float64
        Factor of each example's loss and gradient.
    loss_out : (batch,) float64
        Overwritten.
    grad_out : (batch, n_class), dtype of `y`
        Overwritten.
    """
    for i in prange(y.shape[0]):
        most = y[i, 0]
        for k in range(1, y.shape[1]):
            most = max(most, y[i, k])
        total = 0.0
        for k in range(y.shape[1]):
            total += math.exp(np.float64(y[i, k]) - np.float64(most))
        log_total = math.log(total)
        loss_out[i] = weight[i] * (log_total - (np.float64(y[i, labels[i]]) - np.float64(most)))
        for k in range(y.shape[1]):
            p = math.exp(np.float64(y[i, k]) - np.float64(most) - log_total)
            grad_out[i, k] = weight[i] * (p - 1.0) if k == labels[i] else weight[i] * p


@njit(**PARALLEL)
def sigmoid_cross_entropy(y, target, weight, loss_out, grad_out):
    """Mean over the outputs of `log(1 + exp(y)) - t y` and its gradient, `(sigmoid(y) - t) / n`.

    y, target : (batch, n_output), targets in [0, 1]; the others as in `softmax_cross_entropy`.
    """
    n = y.shape[1]
    for i in prange(y.shape[0]):
        total = 0.0
        for k in range(n):
            logit, t = np.float64(y[i, k]), np.float64(target[i, k])
            small = math.exp(-abs(logit))
            total += max(logit, 0.0) + math.log1p(small) - t * logit
            p = 1.0 / (1.0 + small) if logit >= 0 else small / (1.0 + small)
            grad_out[i, k] = weight[i] * (p - t) / n
        loss_out[i] = weight[i] * total / n


@njit(**PARALLEL)
def huber_error(y, target, weight, delta, loss_out, grad_out):
    """Mean over the outputs of Huber's loss (1964) and its gradient, the error cut to [-delta, delta] / n.

    `e * e / 2` where |e| <= delta, else `delta * (|e| - delta / 2)`; with an infinite delta, half the
    squared error. y, target : (batch, n_output); delta : float64; the others as in `softmax_cross_entropy`.
    """
    n = y.shape[1]
    for i in prange(y.shape[0]):
        total = 0.0
        for k in range(n):
            error = np.float64(y[i, k]) - np.float64(target[i, k])
            cut = min(max(error, -delta), delta)
            total += cut * (error - 0.5 * cut)
            grad_out[i, k] = weight[i] * cut / n
        loss_out[i] = weight[i] * total / n
