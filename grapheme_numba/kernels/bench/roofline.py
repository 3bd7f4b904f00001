"""The ceilings of this machine for what a pass does: load a random row of lanes, one fused multiply-add each.

Nothing else is in these loops: the weight stays in a register, results are stored once at the end, so no
real pass over rows of the same size in the same cache can be faster. Eight chains (registers times rows
in flight) hide the latency of a multiply-add.
"""

from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.engine.simd import FOUR, ONE, TWO, at, vadd, vfma, vlanes, vload, vsplat, vstore


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
