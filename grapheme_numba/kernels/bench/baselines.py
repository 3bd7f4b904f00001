"""Loops to compare with, not used by the engine: edge gradients by dot products, and the ceilings of the machine.

Sparse-from-scratch trainers on SciPy and Numba take, for every edge, the dot product of two whole
columns of the batch (Curci, Mocanu and Pechenizkiy 2021, "Truly sparse neural networks at scale"). What
SciPy returns lies in memory node by node, so the columns are contiguous and the loop is vectorised here
as their fast-math compiler flag would.

Activation functions one scalar at a time through the C library, for comparison only.
"""

import math

from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine import activations
from grapheme_numba.kernels.engine.simd import FOUR, ONE, TWO, at, vadd, vfma, vlanes, vload, vsplat, vstore

CHUNK = 1024


@njit(**PARALLEL)
def edge_gradients(values, deltas, senders, receivers, gradients_out):
    """`gradients_out[e] = dot(values[senders[e]], deltas[receivers[e]])`, rows of (n_node, batch) arrays."""
    batch, lanes = values.shape[1], vlanes(values)
    whole = batch // lanes * lanes
    flat_values, flat_deltas = values.reshape(-1), deltas.reshape(-1)
    for chunk in prange((senders.size + CHUNK - 1) // CHUNK):
        sums = values[0, :1].repeat(lanes)
        for edge in range(chunk * CHUNK, min(senders.size, (chunk + 1) * CHUNK)):
            left, right = int(senders[edge]) * batch, int(receivers[edge]) * batch
            total = vsplat(values.dtype.type(0), ONE)
            for example in range(0, whole, lanes):
                total = vfma(vload(flat_values, left + example, ONE), vload(flat_deltas, right + example, ONE), total)
            vstore(sums, 0, total)
            dot = sums.sum()
            for example in range(whole, batch):
                dot += flat_values[left + example] * flat_deltas[right + example]
            gradients_out[edge] = dot


@njit(**SERIAL)
def scalar_function(kind, values, values_out):
    """`values_out = function(values)` for tanh, sigmoid and gelu by `math.tanh`, `math.exp` and `math.erf`."""
    one, half, root = values.dtype.type(1), values.dtype.type(0.5), values.dtype.type(math.sqrt(0.5))
    for k in range(values.size):
        x = values[k]
        if kind == activations.TANH:
            values_out[k] = math.tanh(x)
        elif kind == activations.SIGMOID:
            values_out[k] = one / (one + math.exp(-x))
        else:
            values_out[k] = half * x * (one + math.erf(x * root))


@njit(**SERIAL)
def vector_function(kind, values, values_out):
    """The same by the engine's vectors; the size is a multiple of the lanes of a register."""
    values_out[:] = values
    activations.apply(kind, 0, values.size, values_out)


@njit(**SERIAL)
def _two_rows(rows, order, width, n_sweep, sums_out, token):
    weight = vsplat(rows.dtype.type(0.5), token)
    a, b = vsplat(rows.dtype.type(0), token), vsplat(rows.dtype.type(0), token)
    for _ in range(n_sweep):
        for k in range(0, order.size, 2):
            a = vfma(weight, vload(rows, int(at(order, k)) * width, token), a)
            b = vfma(weight, vload(rows, int(at(order, k + 1)) * width, token), b)
    vstore(sums_out, 0, vadd(a, b))


@njit(**SERIAL)
def _eight_rows(rows, order, width, n_sweep, sums_out, token):
    weight, a = vsplat(rows.dtype.type(0.5), token), vsplat(rows.dtype.type(0), token)
    b, c, d, e, f, g, h = a, a, a, a, a, a, a
    for _ in range(n_sweep):
        for k in range(0, order.size, 8):
            a = vfma(weight, vload(rows, int(at(order, k)) * width, token), a)
            b = vfma(weight, vload(rows, int(at(order, k + 1)) * width, token), b)
            c = vfma(weight, vload(rows, int(at(order, k + 2)) * width, token), c)
            d = vfma(weight, vload(rows, int(at(order, k + 3)) * width, token), d)
            e = vfma(weight, vload(rows, int(at(order, k + 4)) * width, token), e)
            f = vfma(weight, vload(rows, int(at(order, k + 5)) * width, token), f)
            g = vfma(weight, vload(rows, int(at(order, k + 6)) * width, token), g)
            h = vfma(weight, vload(rows, int(at(order, k + 7)) * width, token), h)
    vstore(sums_out, 0, vadd(vadd(vadd(a, b), vadd(c, d)), vadd(vadd(e, f), vadd(g, h))))


@njit(**PARALLEL)
def gather_rows(rows, order, n_sweep, sums_out):
    """Each thread sums the rows named by `order`, `n_sweep` times over, its own rows only.

    `rows` (n_thread, n_row, width), `order` int32 (n_thread, n_step) with n_step a multiple of 8,
    `sums_out` (n_thread, width).
    """
    width, lanes = rows.shape[2], vlanes(rows)
    for thread in prange(rows.shape[0]):
        mine = rows[thread].reshape(-1)
        if width == 4 * lanes:
            _two_rows(mine, order[thread], width, n_sweep, sums_out[thread], FOUR)
        elif width == 2 * lanes:
            _eight_rows(mine, order[thread], width, n_sweep, sums_out[thread], TWO)
        else:
            _eight_rows(mine, order[thread], width, n_sweep, sums_out[thread], ONE)
