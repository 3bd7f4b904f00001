"""Vector operations for kernels: memory and arithmetic.

Every operation has a plain-Python meaning of the same name in `vector_meanings.py`. Positions are flat,
in C-contiguous arrays, without bounds or wrap-around. `simd_blocks.py` holds those across lanes.
"""

from llvmlite import ir
from numba.core import types
from numba.np import arrayobj

from grapheme_numba.kernels.simd_types import (
    I32,
    I64,
    bytes_of,
    call,
    emit,
    emit_memory,
    fma,
    operation,
    register_of,
    splat,
    suffix,
)


@operation
def at(typing, array, index):
    """One element."""
    return array.dtype(array, types.intp), lambda context, builder, signature, values: builder.load(
        builder.gep(arrayobj.make_array(signature.args[0])(context, builder, values[0]).data, [values[1]])
    )


@operation
def vload(typing, array, index, token):
    """The vector that starts at `index`."""
    vector = register_of(array.dtype, token)

    def write(builder, pointer, _array, index, _token):
        loaded = builder.load(pointer(0, index, vector.llvm))
        loaded.align = bytes_of(array.dtype)
        return loaded

    return emit_memory(vector, (array, types.intp, token), write)


@operation
def vstore(typing, array, index, vector):
    """Write a vector from `index` on."""

    def write(builder, pointer, _array, index, value):
        builder.store(value, pointer(0, index, vector.llvm)).align = bytes_of(array.dtype)

    return emit_memory(types.void, (array, types.intp, vector), write)


@operation
def vstream(typing, array, index, vector):
    """`vstore` past the caches, for what another core reads next; `index` starts a register's worth of bytes."""

    def write(builder, pointer, _array, index, value):
        store = builder.store(value, pointer(0, index, vector.llvm))
        store.align = vector.width * bytes_of(array.dtype)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(I32, 1)]))

    return emit_memory(types.void, (array, types.intp, vector), write)


@operation
def fence(typing, array):
    """Nothing written later, by this thread, is seen before what it has written until now."""

    def write(builder, pointer, _array):
        builder.fence("seq_cst")

    return emit_memory(types.void, (array,), write)


@operation
def prefetch(typing, array, index):
    """Ask for the cache line of `index`; never faults, changes nothing."""

    def write(builder, pointer, _array, index):
        hints = [ir.Constant(I32, hint) for hint in (0, 3, 1)]
        call(builder, "llvm.prefetch.p0", ir.VoidType(), [pointer(0, index, ir.IntType(8)), *hints])

    return emit_memory(types.void, (array, types.intp), write)


@operation
def vlanes(typing, array):
    """Elements per register for the array's dtype, known when a kernel is compiled."""
    return emit(types.intp, (array,), lambda builder, _: ir.Constant(I64, register_of(array.dtype).width))


@operation
def vsingle(typing, x):
    """Whether a vector holds float32, known when a kernel is compiled."""
    single = x.dtype == types.float32
    return emit(types.boolean, (x,), lambda builder, _: ir.Constant(ir.IntType(1), int(single)))


# --- arithmetic ---------------------------------------------------------------------------------


@operation
def vsplat(typing, x, token):
    """A vector with the scalar `x` in every lane."""
    vector = register_of(x, token)
    return emit(vector, (x, token), lambda builder, x, _: splat(builder, x, vector.llvm))


@operation
def vconst(typing, value, like):
    """A vector of the type of `like` with the float `value` in every lane."""
    return emit(like, (types.float64, like), lambda builder, value, _: splat(builder, value, like.llvm))


@operation
def vadd(typing, x, y):
    """`x + y`."""
    return emit(x, (x, x), lambda builder, x, y: builder.fadd(x, y))


@operation
def vsub(typing, x, y):
    """`x - y`."""
    return emit(x, (x, x), lambda builder, x, y: builder.fsub(x, y))


@operation
def vmul(typing, x, y):
    """`x * y`."""
    return emit(x, (x, x), lambda builder, x, y: builder.fmul(x, y))


@operation
def vdiv(typing, x, y):
    """`x / y`."""
    return emit(x, (x, x), lambda builder, x, y: builder.fdiv(x, y))


@operation
def vfma(typing, x, y, z):
    """`x * y + z` in one rounding."""
    return emit(x, (x, x, x), fma)


@operation
def vabs(typing, x):
    """`|x|`."""
    return emit(x, (x,), lambda builder, v: call(builder, f"llvm.fabs.{suffix(v.type)}", v.type, [v]))


@operation
def vround(typing, x):
    """The nearest whole number, halves to even."""
    return emit(x, (x,), lambda builder, v: call(builder, f"llvm.rint.{suffix(v.type)}", v.type, [v]))


@operation
def vgreater(typing, x, y, yes, no):
    """`yes` in the lanes where `x > y`, else `no` (also where either is NaN)."""
    return emit(x, (x,) * 4, lambda builder, x, y, *both: builder.select(builder.fcmp_ordered(">", x, y), *both))


@operation
def vpower2(typing, n):
    """`2 ** n` for whole numbers `n` in the range of the normal exponents."""
    bits, mantissa, bias = (32, 23, 127) if n.dtype == types.float32 else (64, 52, 1023)
    integer = ir.VectorType(ir.IntType(bits), n.width)

    def write(builder, n):
        # Adding 1.5 * 2**mantissa leaves the whole number in the low bits, without a conversion
        # that is undefined for NaN; the bias rides along.
        low = builder.fadd(n, ir.Constant(n.type, [1.5 * 2.0**mantissa + bias] * n.type.count))
        shift = ir.Constant(integer, [mantissa] * n.type.count)
        return builder.bitcast(builder.shl(builder.bitcast(low, integer), shift), n.type)

    return emit(n, (n,), write)


@operation
def vpolynomial(typing, x, single, double):
    """The polynomial in `x` with ascending coefficients `single` (float32) or `double` (float64)."""
    is_single = x.dtype == types.float32

    def write(builder, x, single_values, double_values):
        chosen = single_values if is_single else double_values
        last = len(single if is_single else double) - 1
        result = splat(builder, builder.extract_value(chosen, last), x.type)
        for k in range(last - 1, -1, -1):
            result = fma(builder, result, x, splat(builder, builder.extract_value(chosen, k), x.type))
        return result

    return emit(x, (x, single, double), write)
