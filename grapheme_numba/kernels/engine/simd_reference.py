"""What each operation of `simd.py` means, in plain NumPy: the oracle of its test, and its stand-in
when Numba's compiler is switched off. A vector is a 1-D array here; arrays are C-contiguous.

An array of uint16 holds bfloat16 numbers, the upper halves of float32 ones."""

import numpy as np

LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}


BFLOAT16 = np.dtype(np.uint16)
PAIR = 32  # bfloat16 numbers of a cache line: those at even places come before those at odd ones


def lanes_of(dtype):
    """Elements of a register."""
    return LANES[np.dtype(np.float32) if dtype == BFLOAT16 else np.dtype(dtype)]


def width(dtype, token):
    """Elements of a vector of as many registers as `token` is long."""
    return lanes_of(dtype) * len(token)


def widened(halves):
    """bfloat16 numbers (n,) uint16 as float32."""
    return (halves.astype(np.uint32) << 16).view(np.float32)


def rounded(x):
    """Numbers as bfloat16 (n,) uint16: to the nearest, halves to even, NaN quiet."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    nearest = (bits.astype(np.uint64) + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(x), (bits | 0x400000) >> 16, nearest).astype(np.uint16)


def at(array, index):
    value = array.reshape(-1)[index]
    return widened(np.array([value]))[0] if array.dtype == BFLOAT16 else value


def put(array, index, value):
    array.reshape(-1)[index] = rounded(np.array([value]))[0] if array.dtype == BFLOAT16 else value


def vload(array, index, token):
    loaded = array.reshape(-1)[index : index + width(array.dtype, token)].copy()
    return vpaired(array, widened(loaded)) if array.dtype == BFLOAT16 else loaded


def vstore(array, index, vector):
    value = rounded(vnatural(array, vector)) if array.dtype == BFLOAT16 else vector
    array.reshape(-1)[index : index + len(vector)] = value


def vrounds(array):
    return array.dtype == BFLOAT16


def vnatural(array, x):
    if array.dtype != BFLOAT16 or len(x) < PAIR:
        return x
    return x.reshape(-1, 2, PAIR // 2).transpose(0, 2, 1).reshape(-1)


def vpaired(array, x):
    if array.dtype != BFLOAT16 or len(x) < PAIR:
        return x
    return x.reshape(-1, PAIR // 2, 2).transpose(0, 2, 1).reshape(-1)


def vstream(array, index, vector):
    vstore(array, index, vector)


def fence(array):
    """Nothing: one thread sees its own writes in order."""


def prefetch(array, index):
    """Nothing: a prefetch changes no value."""


def vwiden(array, index):
    return array.reshape(-1)[index : index + 16].astype(np.float64)


def vlanes(array):
    return lanes_of(array.dtype)


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
