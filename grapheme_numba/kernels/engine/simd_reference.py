"""What each operation of `simd.py` means, in plain NumPy: the oracle of its test, and its stand-in
when Numba's compiler is switched off. A vector is a 1-D array here; arrays are C-contiguous."""

import numpy as np

LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}


def width(dtype, token):
    """Elements of a vector of as many registers as `token` is long."""
    return LANES[np.dtype(dtype)] * len(token)


def at(array, index):
    return array.reshape(-1)[index]


def vload(array, index, token):
    return array.reshape(-1)[index : index + width(array.dtype, token)].copy()


def vstore(array, index, vector):
    array.reshape(-1)[index : index + len(vector)] = vector


def vstream(array, index, vector):
    vstore(array, index, vector)


def fence(array):
    """Nothing: one thread sees its own writes in order."""


def prefetch(array, index):
    """Nothing: a prefetch changes no value."""


def vwiden(array, index):
    return array.reshape(-1)[index : index + 16].astype(np.float64)


def vlanes(array):
    return LANES[array.dtype]


def vsingle(x):
    return x.dtype == np.float32


def vsplat(x, token):
    return np.full(width(x.dtype, token), x, x.dtype)


def vconst(value, like):
    return np.full(len(like), value, like.dtype)


def vadd(x, y):
    return x + y


def vsub(x, y):
    return x - y


def vmul(x, y):
    return x * y


def vdiv(x, y):
    return x / y


def vabs(x):
    return np.abs(x)


def vround(x):
    return np.rint(x)


def vgreater(x, y, yes, no):
    return np.where(x > y, yes, no)


def vfma(x, y, z):
    # The product of two float32 is exact in float64; for float64 long double leaves the last bit open.
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    return (x.astype(wide) * y.astype(wide) + z.astype(wide)).astype(x.dtype)


def vpower2(n):
    return np.exp2(n).astype(n.dtype)


def vpolynomial(x, single, double):
    coefficients = single if x.dtype == np.float32 else double
    result = vconst(coefficients[-1], x)
    for coefficient in coefficients[-2::-1]:
        result = vfma(result, x, vconst(coefficient, x))
    return result


def vdot(x, y):
    lanes = LANES[x.dtype]
    result = x[:lanes] * y[:lanes]
    for start in range(lanes, len(x), lanes):
        result = vfma(x[start : start + lanes], y[start : start + lanes], result)
    return result


def vtotal(x):
    while len(x) > 1:
        x = x[: len(x) // 2] + x[len(x) // 2 :]
    return x[0]


def vrow_sums(rows, start):
    lanes = LANES[rows.dtype]
    table = rows.reshape(-1)[start : start + lanes * lanes].reshape(lanes, lanes).copy()
    half = lanes // 2
    while half:
        table = table[:, :half] + table[:, half : 2 * half]
        half //= 2
    return table[:, 0]


def vtranspose(source, start, stride, target, target_start):
    lanes = LANES[source.dtype]
    rows = start + stride * np.arange(lanes)[:, None] + np.arange(lanes)
    target.reshape(-1)[target_start : target_start + lanes * lanes] = source.reshape(-1)[rows].T.ravel()
