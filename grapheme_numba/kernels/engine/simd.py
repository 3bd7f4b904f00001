"""Operations on the SIMD type of `simd_types.py`: memory, arithmetic, and sums and transposes across lanes.

Every operation has a meaning in plain NumPy, of the same name, in `simd_reference.py`. Positions are flat, in
C-contiguous arrays, without bounds or wrap-around. An array of uint16 holds bfloat16 numbers (`simd_bfloat16.py`):
what is read is widened to float32, what is written is rounded.

No other kernel mentions LLVM.
"""

from llvmlite import ir
from numba.core import types
from numba.np import arrayobj

from grapheme_numba.kernels.engine import simd_bfloat16 as bfloat16
from grapheme_numba.kernels.engine.simd_types import (
    FOUR,
    I32,
    I64,
    LANES,
    ONE,
    OPERATIONS,
    TWO,
    Vector,
    bytes_of,
    call,
    emit,
    emit_memory,
    fma,
    number_of,
    operation,
    register_of,
    shuffle,
    splat,
    suffix,
)

__all__ = ["FOUR", "LANES", "ONE", "OPERATIONS", "TWO"]


@operation
def at(typing, array, index):
    """One element."""

    def write(builder, pointer, _array, index):
        return bfloat16.load(builder, pointer(0, index, bfloat16.I16), ir.FloatType())

    if array.dtype == types.uint16:
        return emit_memory(types.float32, (array, types.intp), write)
    return array.dtype(array, types.intp), lambda context, builder, signature, values: builder.load(
        builder.gep(arrayobj.make_array(signature.args[0])(context, builder, values[0]).data, [values[1]])
    )


@operation
def put(typing, array, index, value):
    """Write one element; a float32 or float64 is written as it is."""

    def write(builder, pointer, _array, index, value):
        if array.dtype == types.uint16:
            bfloat16.store(builder, value, pointer(0, index, bfloat16.I16))
        else:
            builder.store(value, pointer(0, index, value.type))

    return emit_memory(types.void, (array, types.intp, number_of(array.dtype)), write)


@operation
def vload(typing, array, index, token):
    """The vector that starts at `index`."""
    vector = register_of(array.dtype, token)

    def write(builder, pointer, _array, index, _token):
        if array.dtype == types.uint16:
            return bfloat16.load(builder, pointer(0, index, bfloat16.I16), vector.llvm)
        loaded = builder.load(pointer(0, index, vector.llvm))
        loaded.align = bytes_of(array.dtype)
        return loaded

    return emit_memory(vector, (array, types.intp, token), write)


@operation
def vstore(typing, array, index, vector):
    """Write a vector from `index` on."""

    def write(builder, pointer, _array, index, value):
        if array.dtype == types.uint16:
            bfloat16.store(builder, value, pointer(0, index, bfloat16.I16))
        else:
            builder.store(value, pointer(0, index, vector.llvm)).align = bytes_of(array.dtype)

    return emit_memory(types.void, (array, types.intp, vector), write)


@operation
def vrounds(typing, array):
    """Whether numbers are rounded when they are written to the array, known when a kernel is compiled."""
    rounds = int(array.dtype == types.uint16)
    return emit(types.boolean, (array,), lambda builder, _: ir.Constant(ir.IntType(1), rounds))


@operation
def vnatural(typing, array, x):
    """What was computed of vectors of `array`, with its lanes in the order of memory."""

    def write(builder, _array, x):
        return shuffle(builder, x, x, bfloat16.natural(x.type.count)) if array.dtype == types.uint16 else x

    return emit(x, (array, x), write)


@operation
def vpaired(typing, array, x):
    """A vector in the order of memory, with its lanes in the order of vectors of `array`: undoes `vnatural`."""

    def write(builder, _array, x):
        return shuffle(builder, x, x, bfloat16.paired(x.type.count)) if array.dtype == types.uint16 else x

    return emit(x, (array, x), write)


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


@operation
def vwiden(typing, array, index):
    """The 16 elements that start at `index`, as one vector of float64."""
    wide = Vector(types.float64, 16)

    def write(builder, pointer, _array, index):
        narrow = ir.VectorType(register_of(array.dtype).llvm.element, 16)
        loaded = builder.load(pointer(0, index, narrow))
        loaded.align = bytes_of(array.dtype)
        return loaded if narrow == wide.llvm else builder.fpext(loaded, wide.llvm)

    return emit_memory(wide, (array, types.intp), write)


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


@operation
def vdot(typing, x, y):
    """One register of partial sums of `x * y`: register after register, fused."""
    register = register_of(x.dtype)

    def write(builder, *factors):
        result = None
        for start in range(0, x.width, register.width):
            lanes = list(range(start, start + register.width))
            left, right = (shuffle(builder, f, f, lanes) if x.width > register.width else f for f in factors)
            result = builder.fmul(left, right) if result is None else fma(builder, left, right, result)
        return result

    return emit(register, (x, x), write)


@operation
def vtotal(typing, x):
    """The sum of a vector's elements: the second half is added to the first, then halves again."""

    def write(builder, x):
        while x.type.count > 1:
            half = x.type.count // 2
            x = builder.fadd(*(shuffle(builder, x, x, list(range(k, k + half))) for k in (0, half)))
        return builder.extract_element(x, ir.Constant(I32, 0))

    return emit(x.dtype, (x,), write)


def _load_rows(builder, pointer, start, stride, register):
    rows = []
    for k in range(register.width):
        index = builder.add(start, builder.mul(stride, ir.Constant(I64, k)))
        rows.append(builder.load(pointer(0, index, register.llvm)))
        rows[-1].align = bytes_of(register.dtype)
    return rows


def _halves(lanes, half):
    """Shuffles of two registers, blocks of `2 * half` lanes: what stays in its lane, and what crosses over."""
    stays = [lane if lane % (2 * half) < half else lanes + lane for lane in range(lanes)]
    crosses = [lane + half if lane % (2 * half) < half else lanes + lane - half for lane in range(lanes)]
    return stays, crosses


@operation
def vrow_sums(typing, rows, start):
    """Sum each of LANES rows of LANES elements from `start` on: lane k of the result is row k's sum.

    LANES - 1 each of additions, shuffles and blends for LANES sums. Lane l is added to lane l + LANES/2
    first, then halves again, so a row's bits do not depend on where in the block it stands.
    """
    register = register_of(rows.dtype)

    def write(builder, pointer, _rows, start):
        rows = _load_rows(builder, pointer, start, ir.Constant(I64, register.width), register)

        def total(first, step):
            # Rows first, first + step, ...: a pair is added as soon as both are there, so few registers are in use.
            if step == register.width:
                return rows[first]
            pair = total(first, 2 * step), total(first + step, 2 * step)
            stays, crosses = _halves(register.width, step)
            return builder.fadd(shuffle(builder, *pair, stays), shuffle(builder, *pair, crosses))

        return total(0, 1)

    return emit_memory(register, (rows, types.intp), write)


@operation
def vtranspose(typing, source, start, stride, target, target_start):
    """Write LANES rows of LANES elements, `stride` apart in `source`, as columns of a block of `target`."""
    register = register_of(source.dtype)
    lanes = register.width

    def write(builder, pointer, _source, start, stride, _target, target_start):
        current, half = _load_rows(builder, pointer, start, stride, register), lanes // 2
        while half:
            low = [lane if lane % (2 * half) < half else lanes + lane - half for lane in range(lanes)]
            high = [lane + half if lane % (2 * half) < half else lanes + lane for lane in range(lanes)]
            for k in (k for k in range(lanes) if k % (2 * half) < half):
                pair = current[k], current[k + half]
                current[k], current[k + half] = shuffle(builder, *pair, low), shuffle(builder, *pair, high)
            half //= 2
        for k, row in enumerate(current):
            place = pointer(3, builder.add(target_start, ir.Constant(I64, k * lanes)), register.llvm)
            builder.store(row, place).align = bytes_of(source.dtype)

    return emit_memory(types.void, (source, types.intp, types.intp, target, types.intp), write)
