"""Every vector operation against its plain-Python meaning, and the activations against SciPy in float64."""

import numpy as np
import pytest
from numba import njit
from scipy.special import expit, ndtr

from grapheme_numba.kernels.engine import activations, simd, simd_reference
from grapheme_numba.kernels.engine.simd import FOUR, LANES, ONE, TWO

TERMS_32, TERMS_64 = (0.5, -1.25, 0.75), (0.5, -1.25, 0.75, 0.1)
DTYPES = (np.float32, np.float64)


def make_probe(at, vload, vstore, vlanes, operations):
    """One function that applies every elementwise operation; compiled or plain, as its arguments are."""
    vsplat, vconst, vadd, vsub, vmul, vdiv, vfma, vabs, vround, vgreater, vpower2, vpolynomial = operations

    def probe(x, y, z, start, token, out):
        a, b, c = vload(x, start, token), vload(y, start, token), vload(z, start, token)
        n = len(token) * vlanes(x)
        vstore(out, 0, vadd(a, b))
        vstore(out, n, vsub(a, b))
        vstore(out, 2 * n, vmul(a, b))
        vstore(out, 3 * n, vdiv(a, b))
        vstore(out, 4 * n, vfma(a, b, c))
        vstore(out, 5 * n, vabs(a))
        vstore(out, 6 * n, vround(a))
        vstore(out, 7 * n, vgreater(a, b, b, c))
        vstore(out, 8 * n, vpower2(vround(a)))
        vstore(out, 9 * n, vpolynomial(a, TERMS_32, TERMS_64))
        vstore(out, 10 * n, vsplat(at(x, start), token))
        vstore(out, 11 * n, vconst(0.1, a))

    return probe


ELEMENTWISE = (
    "vsplat", "vconst", "vadd", "vsub", "vmul", "vdiv", "vfma", "vabs", "vround", "vgreater", "vpower2", "vpolynomial",
)  # fmt: skip


def probe_of(module):
    return make_probe(
        module.at, module.vload, module.vstore, module.vlanes, [getattr(module, name) for name in ELEMENTWISE]
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_operations_mean_what_they_say(dtype):
    rng = np.random.default_rng(1)
    compiled, plain = njit(probe_of(simd)), probe_of(simd_reference)
    for token in (ONE, TWO, FOUR):
        n = LANES[np.dtype(dtype)] * len(token)
        x, y, z = (rng.standard_normal(n + 5).astype(dtype) * 3 for _ in range(3))
        x[7], y[6], x[5] = np.nan, np.nan, 2.5
        got, wanted = np.zeros((2, 12 * n), dtype)
        compiled(x, y, z, 3, token, got)
        plain(x, y, z, 3, token, wanted)
        finite = np.isfinite(wanted)
        # The power of two of NaN is whatever bits come out; everything else has the same holes.
        kept = np.r_[0 : 8 * n, 9 * n : 12 * n]
        np.testing.assert_array_equal(np.isnan(got[kept]), np.isnan(wanted[kept]))
        np.testing.assert_array_max_ulp(got[finite], wanted[finite], 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_operations_across_lanes(dtype):
    rng = np.random.default_rng(2)
    lanes = LANES[np.dtype(dtype)]

    @njit
    def compiled(rows, start, out, turned):
        simd.vstore(out, 0, simd.vrow_sums(rows, start))
        long = simd.vload(rows, start, FOUR)
        simd.vstore(out, lanes, simd.vdot(long, long))
        simd.vtranspose(rows, start, lanes + 3, turned, 1)

    rows = rng.standard_normal(lanes * (lanes + 3) + 2).astype(dtype)
    got, turned = np.zeros(2 * lanes, dtype), np.zeros(lanes * lanes + 1, dtype)
    compiled(rows, 2, got, turned)
    np.testing.assert_array_equal(got[:lanes], simd_reference.vrow_sums(rows, 2))
    long = simd_reference.vload(rows, 2, FOUR)
    np.testing.assert_array_max_ulp(got[lanes:], simd_reference.vdot(long, long), 1)
    wanted = np.zeros_like(turned)
    simd_reference.vtranspose(rows, 2, lanes + 3, wanted, 1)
    np.testing.assert_array_equal(turned, wanted)


def test_a_rows_sum_does_not_depend_on_its_place():
    rows = np.random.default_rng(3).standard_normal((16, 16)).astype(np.float32)
    sums = simd_reference.vrow_sums(rows, 0)
    for shift in range(16):
        np.testing.assert_array_equal(simd_reference.vrow_sums(np.roll(rows, shift, axis=0), 0), np.roll(sums, shift))


def test_every_operation_has_a_meaning():
    assert simd.OPERATIONS
    for name in simd.OPERATIONS:
        assert callable(getattr(simd_reference, name)), name


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


# name: (function, derivative), both in float64
WANTED = {
    "LINEAR": (lambda x: x, np.ones_like),
    "RELU": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "LEAKY_RELU": (lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1.0, 0.01)),
    "SIGMOID": (expit, lambda x: expit(x) * expit(-x)),
    "TANH": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "SOFTPLUS": (lambda x: np.logaddexp(0, x), expit),
    "ELU": (lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), lambda x: np.exp(np.minimum(x, 0))),
    "GELU": (lambda x: x * ndtr(x), lambda x: ndtr(x) + x * density(x)),
    "SILU": (lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x))),
    "SIN": (np.sin, np.cos),
    "GAUSSIAN": (lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WANTED)
def test_activations_are_accurate(name, dtype):
    kind, (function, derivative) = getattr(activations, name), WANTED[name]
    x = np.linspace(-20, 20, 1 << 14).astype(dtype)
    values, slopes = x.copy(), np.ones_like(x)
    activations.apply(kind, 0, len(x), values)
    activations.apply_derivative(kind, 0, len(x), values, x, 0, 0, slopes)
    bound = 1e-6 if dtype is np.float32 else 1e-13
    exact = x.astype(np.float64)
    for got, wanted in ((values, function(exact)), (slopes, derivative(exact))):
        error = np.abs(got - wanted) / np.maximum(1, np.abs(wanted))
        assert error.max() <= bound, (name, error.max(), exact[error.argmax()])


@pytest.mark.parametrize("name", WANTED)
def test_activations_keep_nan_and_survive_infinity(name):
    x = np.full(16, 0.5, np.float32)
    x[3], x[4], x[5] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        activations.apply(getattr(activations, name), 0, 16, x)
    assert np.isnan(x[3])
    assert np.isfinite(np.delete(x, [3, 4, 5])).all()
