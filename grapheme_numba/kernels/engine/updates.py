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

from grapheme_numba.jit import INLINE, PARALLEL, SERIAL, SUMS
from grapheme_numba.kernels.engine.simd import at, prefetch, vadd, vmul, vtotal, vwiden

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


SIDE = 16
SQUARED = np.zeros(SIDE)  # of nothing yet

SGD, MOMENTUM, ADAM, RMSPROP = 0, 1, 2, 3


@njit(**SUMS)
def all_finite(values):
    """False if a number of `values` (n,) is not finite, and perhaps if their sum is not."""
    zero = values.dtype.type(0)
    check = zero
    for i in range(values.size):
        check += values[i] * zero
    return check == zero


@njit(**SERIAL)
def all_within(values, limit):
    """Whether no number of `values` (n,) is beyond -`limit` and `limit`, or NaN. Counted, which becomes vectors."""
    limit = values.dtype.type(limit)
    inside = 0
    for i in range(values.size):
        inside += abs(values[i]) <= limit
    return inside == values.size


@njit(**SERIAL)
def apply(rule, g, rates, p, mu, nu):
    """One step of a rule on one chunk: `p` (n,) and the moments that the rule has are overwritten.

    sgd       p -= lr * (scale * g + l2 * p)
    momentum  mu = beta1 * mu + scale * g + l2 * p; p -= lr * mu
    adam      Kingma and Ba 2015, algorithm 1, with decoupled decay (Loshchilov and Hutter 2019)
    rmsprop   nu = beta2 * nu + (1 - beta2) * g^2; p -= lr * g / (sqrt(nu) + eps) (Tieleman and Hinton 2012)

    g, p : (n,) of one float dtype; mu, nu : the same, or empty where the rule has none
    """
    if rule == SGD:
        _sgd(g, rates, p)
    elif rule == MOMENTUM:
        _momentum(g, rates, p, mu)
    elif rule == RMSPROP:
        _rmsprop(g, rates, p, nu)
    else:
        _adam(g, rates, p, mu, nu)


@njit(**SERIAL)
def _sgd(g, rates, p):
    number = p.dtype.type
    scale, lr, l2 = number(rates.scale), number(rates.lr), number(rates.l2)
    for i in range(p.size):
        p[i] -= lr * (scale * g[i] + l2 * p[i])


@njit(**SERIAL)
def _momentum(g, rates, p, mu):
    number = p.dtype.type
    scale, lr, l2, beta1 = number(rates.scale), number(rates.lr), number(rates.l2), number(rates.beta1)
    for i in range(p.size):
        average = beta1 * mu[i] + (scale * g[i] + l2 * p[i])
        mu[i] = average
        p[i] -= lr * average


@njit(**SERIAL)
def _adam(g, rates, p, mu, nu):
    number = p.dtype.type
    one = number(1.0)
    scale, l2, decay, eps = number(rates.scale), number(rates.l2), number(rates.decay), number(rates.eps)
    beta1, beta2 = number(rates.beta1), number(rates.beta2)
    rate, root = number(rates.lr * rates.correction1), number(rates.correction2)
    for i in range(p.size):
        slope = scale * g[i] + l2 * p[i]
        first = beta1 * mu[i] + (one - beta1) * slope
        second = beta2 * nu[i] + (one - beta2) * slope * slope
        mu[i], nu[i] = first, second
        p[i] = p[i] - decay * p[i] - rate * first / (np.sqrt(second) * root + eps)


@njit(**SERIAL)
def _rmsprop(g, rates, p, nu):
    number = p.dtype.type
    one = number(1.0)
    scale, lr, l2, eps = number(rates.scale), number(rates.lr), number(rates.l2), number(rates.eps)
    beta2 = number(rates.beta2)
    for i in range(p.size):
        slope = scale * g[i] + l2 * p[i]
        second = beta2 * nu[i] + (one - beta2) * slope * slope
        nu[i] = second
        p[i] -= lr * slope / (np.sqrt(second) + eps)


@njit(**SERIAL)
def bounds_of(chunk, n):
    """(first, stop) of a chunk of a vector of n elements."""
    return chunk * CHUNK, min((chunk + 1) * CHUNK, n)


@njit(**PARALLEL)
def sgd(gradient, rates, parameters_out):
    """parameters -= lr * (scale * gradient + l2 * parameters); gradient, parameters_out : (n,) of one float dtype."""
    n = parameters_out.size
    for index in prange((n + CHUNK - 1) // CHUNK):
        first, stop = bounds_of(np.int64(index), n)
        _sgd(gradient[first:stop], rates, parameters_out[first:stop])


@njit(**PARALLEL)
def step(rule, gradient, rates, moments, parameters_out):
    """One step of a rule over the whole vector.

    gradient, parameters_out : (n,) of one float dtype; moments : (mu, nu), each (n,) or empty
    parameters_out and the moments that the rule has are overwritten.
    """
    n, (mu, nu) = parameters_out.size, moments
    for index in prange((n + CHUNK - 1) // CHUNK):
        first, stop = bounds_of(np.int64(index), n)
        p = parameters_out[first:stop]
        apply(rule, gradient[first:stop], rates, p, mu[first:stop], nu[first:stop])


@njit(**PARALLEL)
def step_and_clear(rule, rates, moments, squares_out, gradient_out, parameters_out):
    """As `step`, in the same pass: the gradient becomes 0, `squares_out` (n_chunk,) the parameters' squares by chunk.

    In passes of their own the three took 0.37 ms for 1.05 M parameters of adamw on two threads, so 0.28.
    """
    n, (mu, nu) = parameters_out.size, moments
    for index in prange((n + CHUNK - 1) // CHUNK):
        chunk = np.int64(index)
        first, stop = bounds_of(chunk, n)
        p, g = parameters_out[first:stop], gradient_out[first:stop]
        apply(rule, g, rates, p, mu[first:stop], nu[first:stop])
        squares_out[chunk] = squares(p)
        g[:] = 0


@njit(**PARALLEL)
def sum_of_squares(vector):
    """Sum of vector[i]**2 in float64; NaN or infinite as soon as one element is.

    vector : (n,) float32 or float64. float32 cannot overflow here (3.4e38 squared is 1.2e77).
    """
    n_chunk = (vector.size + CHUNK - 1) // CHUNK
    partial = np.zeros(n_chunk, dtype=np.float64)
    for index in prange(n_chunk):
        first, stop = bounds_of(np.int64(index), vector.size)
        partial[np.int64(index)] = squares(vector[first:stop])
    return in_order(partial)


@njit(**SERIAL)
def in_order(values):
    """Sum of `values` (n,) float64, first to last."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@njit(**SERIAL)
def squares(values):
    """Sum of squares of one chunk (n,) in float64: sixteen sums side by side whatever registers there are, then halves.

    Left to the compiler, the sums follow the width of the registers, and so do the last bits.
    """
    whole = values.size // SIDE * SIDE
    totals = vwiden(SQUARED, 0)
    for i in range(0, whole, SIDE):
        value = vwiden(values, i)
        totals = vadd(totals, vmul(value, value))
    total = vtotal(totals)
    for i in range(whole, values.size):
        value = np.float64(values[i])
        total += value * value
    return total


MOVED = 16384  # positions a thread takes at a time
AHEAD = 128  # edges


@njit(**PARALLEL)
def receiver_order(dag, weights, bounds, starts, cursors, far, weights_out):
    """Copy the weights of the edges bounds[0] <= edge < bounds[-1] from sender into CSR order.

    Senders ascend in every CSR row, so walking the senders in order fills each row from left to right:
    a cursor per receiver replaces a stored permutation. (The permutation costs 4 bytes per edge more and
    took 1.3 to 1.6 times as long: its random writes are the same, and its own 4 bytes stream besides.)

    weights : (bounds[-1] - bounds[0],); weights_out : (n_edge,)
    bounds : (n_chunk + 1,) int64, edges in sender order; starts : (n_chunk, n_node) int32, where each chunk
    begins in every row; cursors : the same shape, overwritten
    far : bool, whether the rows being filled are more than the level-1 cache holds. Writes leave the core in
    order, so each would wait for its line; asked for AHEAD edges earlier, 1.2 M edges to 4,096 receivers a
    level took 1.3 ns an edge instead of 2.3 (64 ahead: 1.5; 256: as 128; to write instead of to read: the
    same). Where the lines are at hand the asking costs half as much again. Of no help: blocks of 128 to 1,024
    receivers; walking the receivers instead, with a cursor per sender (0.9 ns where `weights` is in this
    core's cache, but 2 to 4 where another core or the memory has it).
    """
    shift = bounds[0]
    for index in prange(bounds.size - 1):
        chunk = np.int64(index)
        cursor = cursors[chunk]
        cursor[:] = starts[chunk]
        first, last = bounds[chunk], bounds[chunk + 1]
        near = max(first, last - AHEAD) if far else first
        for edge in range(first, near):
            prefetch(weights_out, np.int64(cursor[np.uint32(at(dag.t_indices, edge + AHEAD))]))
            _put(at(weights, edge - shift), np.uint32(at(dag.t_indices, edge)), cursor, weights_out)
        for edge in range(near, last):
            _put(at(weights, edge - shift), np.uint32(at(dag.t_indices, edge)), cursor, weights_out)


@njit(**INLINE)
def _put(weight, receiver, cursor, weights_out):
    place = np.uint32(cursor[receiver])
    weights_out[place] = weight
    cursor[receiver] = place + np.uint32(1)


@njit(**PARALLEL)
def scatter(values, positions, moved_out):
    """`moved_out[positions[i]] = values[i]`; every position once, so no two threads write the same place."""
    size = positions.size
    for chunk in prange((size + MOVED - 1) // MOVED):
        for i in range(chunk * MOVED, min(size, (chunk + 1) * MOVED)):
            moved_out[positions[i]] = values[i]


@njit(**PARALLEL)
def gather(values, positions, moved_out):
    """`moved_out[i] = values[positions[i]]`."""
    size = positions.size
    for chunk in prange((size + MOVED - 1) // MOVED):
        for i in range(chunk * MOVED, min(size, (chunk + 1) * MOVED)):
            moved_out[i] = values[positions[i]]
