"""Losses over each example's own outputs, their gradients, and sums whose bits no thread count changes.

Losses of classes and of robust regression, with their gradients: one example per owner, sums in float64.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine.elementary import exp, log, log1p

# Loss of a label of which nothing is known. Chosen on validation examples of the shipped data: the share of exact
# answers in the last four validations, mean of seeds 0 to 3. With 0.25 math 38.7 % and timeseries 43.7 %; with 0.1
# math 39.3 % and timeseries 42.0 %; before, with the squared error of bits and labels, 44.3 % and 41.1 %. Texts and
# vision are at 100 % with each. Seeds differ by more: with 0.25, math lies between 31.8 and 43.8 %.
BLIND = 0.25
CHUNK = 64  # examples per partial sum: a constant, so that the order of additions is one


@njit(**SERIAL)
def log_normaliser(y, row, start, n):
    """(largest logit, log of the sum of exp(logit - largest)) of `y[row, start : start + n]`, in float64."""
    most = np.float64(y[row, start])
    for k in range(1, n):
        most = max(most, np.float64(y[row, start + k]))
    total = 0.0
    for k in range(n):
        total += exp(np.float64(y[row, start + k]) - most)
    return most, log(total)


@njit(**PARALLEL)
def sliced_loss(y, targets, start, n_active, softmax, loss_out):
    """The loss of each example over its n active outputs.

    `sum((y - t)^2) / n` of numbers and texts; of labels the cross-entropy in quarters of what a blind guess has:
    `-0.25 sum(t log softmax(y)) / log(n)`, which is 0.25 where all classes are as likely, as the bits of a text are
    at 0.25 where all are (the mean of a number's exact code is at about 0.4, of a standardised one at 1). So losses
    of all kinds lie on one scale, and the gradient is as large with a thousand classes as with two. Without the
    quarter, labels drew the shared nodes away from numbers: 27 instead of 35 % of math were exact on the shipped
    data (means of two seeds, validation examples).

    Parameters
    ----------
    y : (batch, n_output) float
        Outputs of the whole network.
    targets : (batch, n_target) float
        An example's targets from column 0; of a label 1 for its class.
    start, n_active : (batch,) int
        First output column of the example's slice and number of active outputs; 0 active means no loss.
    softmax : (batch,) bool
        Whether the example's outputs are the logits of classes.
    loss_out : (batch,) float64
        Overwritten.
    """
    for i in prange(y.shape[0]):
        total = 0.0
        n = n_active[i]
        if softmax[i] and n > 0:
            most, log_total = log_normaliser(y, i, start[i], n)
            for k in range(n):
                if targets[i, k] != 0.0:  # an infinite logit of another class costs nothing
                    total -= np.float64(targets[i, k]) * (np.float64(y[i, start[i] + k]) - most - log_total)
            loss_out[i] = BLIND * total / log(max(n, 2))
            continue
        for k in range(n):
            error = np.float64(y[i, start[i] + k]) - np.float64(targets[i, k])
            total += error * error
        loss_out[i] = total / max(n, 1)


@njit(**PARALLEL)
def sliced_loss_grad(y, targets, start, n_active, softmax, weight, grad_out):
    """`weight` times the gradient of `sliced_loss` over each example's active outputs, 0 on every other output.

    `2 (y - t) / n`, or `0.25 (softmax(y) - t) / log(n)` of labels.

    Parameters
    ----------
    y, targets, start, n_active, softmax
        As in `sliced_loss`.
    weight : (batch,) float64
        Factor of each example's gradient.
    grad_out : (batch, n_output) float
        Overwritten whole.
    """
    for i in prange(y.shape[0]):
        grad_out[i, :] = 0.0
        n = n_active[i]
        if softmax[i] and n > 0:
            most, log_total = log_normaliser(y, i, start[i], n)
            share = BLIND * weight[i] / log(max(n, 2))
            for k in range(n):
                p = exp(np.float64(y[i, start[i] + k]) - most - log_total)
                grad_out[i, start[i] + k] = share * (p - np.float64(targets[i, k]))
            continue
        scale = 2.0 * weight[i] / max(n, 1)
        for k in range(n):
            error = np.float64(y[i, start[i] + k]) - np.float64(targets[i, k])
            grad_out[i, start[i] + k] = scale * error


@njit(**PARALLEL)
def masked_mse(y, target, mask, loss_out, grad_out):
    """Squared error over the outputs a mask keeps, and its gradient.

    Parameters
    ----------
    y, target : (batch, n_output) float
    mask : (batch, n_output) bool
    loss_out : (batch,) float64
        `sum((y - t)^2) / n` over the n kept outputs, 0 where none is kept. Overwritten.
    grad_out : (batch, n_output) float
        `2 (y - t) / n` where kept, else 0. Overwritten.
    """
    for i in prange(y.shape[0]):
        n = 0
        for k in range(y.shape[1]):
            n += mask[i, k]
        total = 0.0
        for k in range(y.shape[1]):
            grad_out[i, k] = 0.0
            if mask[i, k]:
                error = np.float64(y[i, k]) - np.float64(target[i, k])
                total += error * error
                grad_out[i, k] = 2.0 * error / n
        loss_out[i] = total / max(n, 1)


@njit(**PARALLEL)
def gather_slices(y, start, width, packed_out):
    """Move each example's own output slice to column 0.

    Parameters
    ----------
    y : (batch, n_output) float
    start, width : (batch,) int
        The slice of each example.
    packed_out : (batch, n_target) float
        Overwritten; 0 right of the slice.
    """
    for i in prange(y.shape[0]):
        for k in range(packed_out.shape[1]):
            packed_out[i, k] = y[i, start[i] + k] if k < width[i] else 0.0


@njit(**SERIAL)
def chunked_sum(values):
    """The sum of `values` (n,) in float64: chunks of `CHUNK` first, then the chunks in order."""
    total = 0.0
    for first in range(0, values.shape[0], CHUNK):
        part = 0.0
        for i in range(first, min(first + CHUNK, values.shape[0])):
            part += np.float64(values[i])
        total += part
    return total


@njit(**PARALLEL)
def softmax(y, probabilities_out):
    """`exp(y) / sum(exp(y))` of each row of y (batch, n_class), the largest taken out first."""
    for i in prange(y.shape[0]):
        most = y[i, 0]
        for k in range(1, y.shape[1]):
            most = max(most, y[i, k])
        total = 0.0
        for k in range(y.shape[1]):
            value = exp(np.float64(y[i, k]) - np.float64(most))
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
            total += exp(np.float64(y[i, k]) - np.float64(most))
        log_total = log(total)
        loss_out[i] = weight[i] * (log_total - (np.float64(y[i, labels[i]]) - np.float64(most)))
        for k in range(y.shape[1]):
            p = exp(np.float64(y[i, k]) - np.float64(most) - log_total)
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
            small = exp(-abs(logit))
            total += max(logit, 0.0) + log1p(small) - t * logit
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
