"""Optimiser steps and norms: each one pass over the flat vectors, in fixed chunks.

A chunk belongs to one thread and chunk sums are added in order, so no bit depends on the thread count.
`scale` multiplies the gradient before use: it holds the mean over examples and the clipping, which
saves two passes over the vector.

Loops run over slices from 0 on: with `parameters_out[i]` from `chunk * CHUNK` on Numba's test for
negative positions kept LLVM from vectorising, which cost adam six times as much (2.3 against 0.4 ns).
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SUMS

CHUNK = 8192  # 32 kB of float32: a chunk of two vectors fits L1, and 100 k parameters still feed 12 threads


class StepRates(NamedTuple):
    """The numbers of one optimiser step; each rule reads those it needs. All float64.

    scale : factor of the gradient; lr : learning rate; l2 : decay added to the gradient;
    decay : decoupled decay, already times lr; beta1, beta2, eps : the averages' and the guard's constants;
    correction1, correction2 : 1/(1-beta1**t) and 1/sqrt(1-beta2**t), which undo the averages' zero start.
    """

    scale: float = 1.0
    lr: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0
    correction1: float = 1.0
    correction2: float = 1.0


@njit(**PARALLEL)
def sgd(gradient, rates, parameters_out):
    """parameters -= lr * (scale * gradient + l2 * parameters).

    gradient, parameters_out : (n,) of one float dtype; parameters_out is overwritten.
    """
    number = parameters_out.dtype.type
    scale, lr, l2 = number(rates.scale), number(rates.lr), number(rates.l2)
    n = parameters_out.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        here = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, n))
        g, p = gradient[here], parameters_out[here]
        for i in range(p.size):
            p[i] -= lr * (scale * g[i] + l2 * p[i])


@njit(**PARALLEL)
def momentum(gradient, rates, parameters_out, mu_out):
    """mu = beta1 * mu + scale * gradient + l2 * parameters; parameters -= lr * mu.

    gradient, parameters_out, mu_out : (n,) of one float dtype; the last two are overwritten.
    """
    number = parameters_out.dtype.type
    scale, lr, l2, beta1 = number(rates.scale), number(rates.lr), number(rates.l2), number(rates.beta1)
    n = parameters_out.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        here = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, n))
        g, p, mu = gradient[here], parameters_out[here], mu_out[here]
        for i in range(p.size):
            average = beta1 * mu[i] + (scale * g[i] + l2 * p[i])
            mu[i] = average
            p[i] -= lr * average


@njit(**PARALLEL)
def adam(gradient, rates, parameters_out, mu_out, nu_out):
    """Adam (Kingma and Ba 2015, algorithm 1), with decoupled decay (Loshchilov and Hutter 2019).

    gradient, parameters_out, mu_out, nu_out : (n,) of one float dtype; the last three are overwritten.
    """
    number = parameters_out.dtype.type
    one = number(1.0)
    scale, l2, decay, eps = number(rates.scale), number(rates.l2), number(rates.decay), number(rates.eps)
    beta1, beta2 = number(rates.beta1), number(rates.beta2)
    rate, root = number(rates.lr * rates.correction1), number(rates.correction2)
    n = parameters_out.size
    for chunk in prange((n + CHUNK - 1) // CHUNK):
        here = slice(chunk * CHUNK, min((chunk + 1) * CHUNK, n))
        g, p, mu, nu = gradient[here], parameters_out[here], mu_out[here], nu_out[here]
        for i in range(p.size):
            slope = scale * g[i] + l2 * p[i]
            first = beta1 * mu[i] + (one - beta1) * slope
            second = beta2 * nu[i] + (one - beta2) * slope * slope
            mu[i], nu[i] = first, second
            p[i] = p[i] - decay * p[i] - rate * first / (np.sqrt(second) * root + eps)


@njit(**PARALLEL)
def sum_of_squares(vector):
    """Sum of vector[i]**2 in float64; NaN or infinite as soon as one element is.

    vector : (n,) float32 or float64. float32 cannot overflow here (3.4e38 squared is 1.2e77).
    """
    n = vector.size
    n_chunk = (n + CHUNK - 1) // CHUNK
    partial = np.zeros(n_chunk, dtype=np.float64)
    for chunk in prange(n_chunk):
        partial[chunk] = squares(vector[chunk * CHUNK : min((chunk + 1) * CHUNK, n)])
    total = 0.0
    for chunk in range(n_chunk):
        total += partial[chunk]
    return total


@njit(**SUMS)
def squares(values):
    """Sum of squares of one chunk (n,) in float64."""
    total = 0.0
    for i in range(values.size):
        value = np.float64(values[i])
        total += value * value
    return total
