"""Vectors for kernels: a SIMD type and the few operations the engine needs on it.

A vector holds one, two or four registers side by side. Its width follows from the array's dtype and
from a *token*, a tuple whose length is the number of registers (`ONE`, `TWO`, `FOUR`): a type that
Numba knows at compile time, so one kernel source serves every width. A register is `LANES` elements:
16 float32 or 8 float64; LLVM splits it where the machine's registers are narrower.

Every operation has a plain-Python meaning on NumPy arrays (`MEANINGS`), which a test compares with
the compiled one and which takes its place when Numba's compiler is switched off.
"""

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

ONE, TWO, FOUR = (0,), (0, 0), (0, 0, 0, 0)
LANES = {np.dtype(np.float32): 16, np.dtype(np.float64): 8}
MEANINGS = {}
_I32 = ir.IntType(32)


class Vector(types.Type):
    """The Numba type of `width` elements of `dtype` in registers."""

    def __init__(self, dtype, width):
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Vector({dtype}, {width})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, _llvm(vector))


def operation(meaning):
    """Make an intrinsic of a typing function, with its plain-Python meaning beside it."""

    def wrap(typing):
        MEANINGS[typing.__name__] = meaning
        return meaning if numba.config.DISABLE_JIT else intrinsic(typing)

    return wrap


def _llvm(vector):
    scalar = ir.FloatType() if vector.dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(scalar, vector.width)


def _lanes(dtype):
    return 16 if dtype == types.float32 else 8


def _width(dtype, token):
    return LANES[np.dtype(dtype)] * len(token)


def _suffix(llvm):
    return f"v{llvm.count}f{32 if isinstance(llvm.element, ir.FloatType) else 64}"


def _function(builder, name, result, arguments):
    found = builder.module.globals.get(name)
    return found or ir.Function(builder.module, ir.FunctionType(result, arguments), name)


def _element(context, builder, array_type, array, index):
    return builder.gep(arrayobj.make_array(array_type)(context, builder, array).data, [index])


def _vector_pointer(context, builder, array_type, array, index, vector):
    return builder.bitcast(_element(context, builder, array_type, array, index), _llvm(vector).as_pointer())


def _shuffle(builder, x, y, lanes):
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


def _constant(llvm, value):
    return ir.Constant(llvm, [value] * llvm.count)


def _splat(builder, scalar, llvm):
    undefined = ir.Constant(llvm, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    return _shuffle(builder, first, undefined, [0] * llvm.count)


def _fma(builder, x, y, z):
    name = f"llvm.fma.{_suffix(x.type)}"
    return builder.call(_function(builder, name, x.type, [x.type] * 3), [x, y, z])


def _vectors(*arguments):
    return all(isinstance(argument, Vector) for argument in arguments)


# --- memory -------------------------------------------------------------------------------------


@operation(lambda array, index: array.reshape(-1)[index])
def at(typing, array, index):
    """One element of a C-contiguous array, by its flat position, without bounds or wrap-around."""

    def emit(context, builder, signature, arguments):
        return builder.load(_element(context, builder, signature.args[0], *arguments))

    return array.dtype(array, types.intp), emit


@operation(lambda array, index, token: array.reshape(-1)[index : index + _width(array.dtype, token)].copy())
def vload(typing, array, index, token):
    """The vector that starts at flat position `index` of a C-contiguous array."""
    vector = Vector(array.dtype, _lanes(array.dtype) * len(token))

    def emit(context, builder, signature, arguments):
        pointer = _vector_pointer(context, builder, signature.args[0], arguments[0], arguments[1], vector)
        loaded = builder.load(pointer)
        loaded.align = array.dtype.bitwidth // 8
        return loaded

    return vector(array, types.intp, token), emit


def _store(array, index, vector):
    array.reshape(-1)[index : index + len(vector)] = vector


@operation(_store)
def vstore(typing, array, index, vector):
    """Write a vector from flat position `index` of a C-contiguous array on."""

    def emit(context, builder, signature, arguments):
        pointer = _vector_pointer(context, builder, signature.args[0], arguments[0], arguments[1], vector)
        builder.store(arguments[2], pointer).align = array.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit


@operation(lambda array, index: None)
def prefetch(typing, array, index):
    """Ask for the cache line of flat position `index`; never faults, changes nothing."""

    def emit(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        pointer = builder.bitcast(_element(context, builder, signature.args[0], *arguments), byte)
        fetch = _function(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, _I32, _I32, _I32])
        builder.call(fetch, [pointer, ir.Constant(_I32, 0), ir.Constant(_I32, 3), ir.Constant(_I32, 1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


@operation(lambda array: LANES[array.dtype])
def vlanes(typing, array):
    """Elements per register for the array's dtype, known when a kernel is compiled."""
    lanes = _lanes(array.dtype)
    return types.intp(array), lambda context, builder, signature, arguments: ir.Constant(ir.IntType(64), lanes)


# --- arithmetic ---------------------------------------------------------------------------------


@operation(lambda x, token: np.full(_width(x.dtype, token), x, x.dtype))
def vsplat(typing, x, token):
    """A vector with the scalar `x` in every lane."""
    vector = Vector(x, _lanes(x) * len(token))
    return vector(x, token), lambda context, builder, signature, arguments: _splat(builder, arguments[0], _llvm(vector))


@operation(lambda value, like: np.full(len(like), value, like.dtype))
def vconst(typing, value, like):
    """A vector of the type of `like` with the number `value` in every lane."""

    def emit(context, builder, signature, arguments):
        llvm = _llvm(like)
        scalar = arguments[0]
        if isinstance(signature.args[0], types.Integer):
            scalar = builder.sitofp(scalar, llvm.element)
        elif scalar.type != llvm.element:
            narrow = isinstance(llvm.element, ir.FloatType)
            scalar = (builder.fptrunc if narrow else builder.fpext)(scalar, llvm.element)
        return _splat(builder, scalar, llvm)

    return like(value, like), emit


def _binary(method):
    def typing_of(typing, x, y):
        if _vectors(x, y):
            return x(x, x), lambda context, builder, signature, arguments: getattr(builder, method)(*arguments)

    return typing_of


def _named(name, function):
    function.__name__ = name
    return function


vadd = operation(lambda x, y: x + y)(_named("vadd", _binary("fadd")))
vsub = operation(lambda x, y: x - y)(_named("vsub", _binary("fsub")))
vmul = operation(lambda x, y: x * y)(_named("vmul", _binary("fmul")))
vdiv = operation(lambda x, y: x / y)(_named("vdiv", _binary("fdiv")))


def _fused(x, y, z):
    """One rounding: exact in long double for float32 factors; for float64 the last bit may differ."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    return (x.astype(wide) * y.astype(wide) + z.astype(wide)).astype(x.dtype)


@operation(_fused)
def vfma(typing, x, y, z):
    """`x * y + z` in one rounding."""
    return x(x, x, x), lambda context, builder, signature, arguments: _fma(builder, *arguments)


def _intrinsic_of_one(name):
    def typing_of(typing, x):
        def emit(context, builder, signature, arguments):
            llvm = _llvm(x)
            return builder.call(_function(builder, f"{name}.{_suffix(llvm)}", llvm, [llvm]), arguments)

        return x(x), emit

    return typing_of


vabs = operation(np.abs)(_named("vabs", _intrinsic_of_one("llvm.fabs")))
vround = operation(np.rint)(_named("vround", _intrinsic_of_one("llvm.rint")))


@operation(lambda x, y, yes, no: np.where(x > y, yes, no))
def vgreater(typing, x, y, yes, no):
    """`yes` in the lanes where `x > y`, else `no` (also where either is NaN)."""

    def emit(context, builder, signature, arguments):
        return builder.select(builder.fcmp_ordered(">", arguments[0], arguments[1]), arguments[2], arguments[3])

    return x(x, x, x, x), emit


@operation(lambda n: np.exp2(n).astype(n.dtype))
def vpower2(typing, n):
    """`2 ** n` for whole numbers `n` in the range of the normal exponents."""

    def emit(context, builder, signature, arguments):
        llvm = _llvm(n)
        single = isinstance(llvm.element, ir.FloatType)
        integer = ir.VectorType(ir.IntType(32 if single else 64), llvm.count)
        mantissa, bias = (23, 127) if single else (52, 1023)
        # Adding 1.5 * 2**mantissa leaves the whole number in the low bits, without a conversion
        # that is undefined for NaN; the bias rides along.
        low = builder.fadd(arguments[0], _constant(llvm, 1.5 * 2.0**mantissa + bias))
        shifted = builder.shl(builder.bitcast(low, integer), ir.Constant(integer, [mantissa] * llvm.count))
        return builder.bitcast(shifted, llvm)

    return n(n), emit


def _horner(x, single, double):
    coefficients = single if x.dtype == np.float32 else double
    result = np.full(len(x), coefficients[-1], x.dtype)
    for coefficient in coefficients[-2::-1]:
        result = _fused(result, x, np.full(len(x), coefficient, x.dtype))
    return result


@operation(_horner)
def vpolynomial(typing, x, single, double):
    """The polynomial in `x` with ascending coefficients `single` (float32) or `double` (float64)."""

    def emit(context, builder, signature, arguments):
        llvm = _llvm(x)
        is_single = isinstance(llvm.element, ir.FloatType)
        chosen, count = (arguments[1], len(single)) if is_single else (arguments[2], len(double))
        result = None
        for position in range(count - 1, -1, -1):
            scalar = builder.extract_value(chosen, position)
            if is_single:
                scalar = builder.fptrunc(scalar, llvm.element)
            term = _splat(builder, scalar, llvm)
            result = term if result is None else _fma(builder, result, arguments[0], term)
        return result

    return x(x, single, double), emit


# --- sums across lanes --------------------------------------------------------------------------


def _fold(x, y):
    lanes = LANES[x.dtype]
    result = x[:lanes] * y[:lanes]
    for start in range(lanes, len(x), lanes):
        result = _fused(x[start : start + lanes], y[start : start + lanes], result)
    return result


@operation(_fold)
def vdot(typing, x, y):
    """One register of partial sums of `x * y`: register after register, fused."""
    register = Vector(x.dtype, _lanes(x.dtype))

    def emit(context, builder, signature, arguments):
        result = None
        for start in range(0, x.width, register.width):
            lanes = list(range(start, start + register.width))
            left, right = (_shuffle(builder, a, a, lanes) if x.width > register.width else a for a in arguments)
            result = builder.fmul(left, right) if result is None else _fma(builder, left, right, result)
        return result

    return register(x, x), emit


def _row_sums(rows, start):
    lanes = LANES[rows.dtype]
    table = rows.reshape(-1)[start : start + lanes * lanes].reshape(lanes, lanes).copy()
    half = lanes // 2
    while half:
        table = table[:, :half] + table[:, half : 2 * half]
        half //= 2
    return table[:, 0]


@operation(_row_sums)
def vrow_sums(typing, rows, start):
    """Sum each of LANES rows of LANES elements from flat position `start` on: lane k is row k's sum.

    LANES - 1 each of additions, shuffles and blends for LANES sums. Lane l is added to lane l + LANES/2
    first, then halves again, so a row's bits do not depend on where in the block it stands.
    """
    lanes = _lanes(rows.dtype)
    register = Vector(rows.dtype, lanes)

    def emit(context, builder, signature, arguments):
        stride = ir.Constant(ir.IntType(64), lanes)
        current = _load_rows(context, builder, signature, arguments[0], arguments[1], stride, register)
        half = lanes // 2
        while half:
            # Of two registers: each keeps the halves that stay in place and takes the others across.
            kept = [lane if lane % (2 * half) < half else lanes + lane for lane in range(lanes)]
            crossed = [lane + half if lane % (2 * half) < half else lanes + lane - half for lane in range(lanes)]
            pairs = list(zip(current[: len(current) // 2], current[len(current) // 2 :], strict=True))
            current = [builder.fadd(_shuffle(builder, x, y, kept), _shuffle(builder, x, y, crossed)) for x, y in pairs]
            half //= 2
        return current[0]

    return register(rows, types.intp), emit


def _transpose(source, start, stride, target, target_start):
    lanes = LANES[source.dtype]
    rows = start + stride * np.arange(lanes)[:, None] + np.arange(lanes)
    target.reshape(-1)[target_start : target_start + lanes * lanes] = source.reshape(-1)[rows].T.ravel()


@operation(_transpose)
def vtranspose(typing, source, start, stride, target, target_start):
    """Write LANES rows of LANES elements, `stride` apart in `source`, as columns of a block of `target`."""
    lanes = _lanes(source.dtype)
    register = Vector(source.dtype, lanes)

    def emit(context, builder, signature, arguments):
        array, first, step, block, offset = arguments
        current = _load_rows(context, builder, signature, array, first, step, register)
        half = lanes // 2
        while half:
            low = [lane if lane % (2 * half) < half else lanes + lane - half for lane in range(lanes)]
            high = [lane + half if lane % (2 * half) < half else lanes + lane for lane in range(lanes)]
            for row in range(lanes):
                if row % (2 * half) < half:
                    x, y = current[row], current[row + half]
                    current[row], current[row + half] = _shuffle(builder, x, y, low), _shuffle(builder, x, y, high)
            half //= 2
        for row, vector in enumerate(current):
            index = builder.add(offset, ir.Constant(ir.IntType(64), row * lanes))
            pointer = _vector_pointer(context, builder, signature.args[3], block, index, register)
            builder.store(vector, pointer).align = source.dtype.bitwidth // 8
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp), emit


def _load_rows(context, builder, signature, array, start, stride, register):
    rows = []
    for row in range(register.width):
        index = builder.add(start, builder.mul(stride, ir.Constant(ir.IntType(64), row)))
        rows.append(builder.load(_vector_pointer(context, builder, signature.args[0], array, index, register)))
        rows[-1].align = register.dtype.bitwidth // 8
    return rows
