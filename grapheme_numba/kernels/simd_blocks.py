"""Vector operations across lanes: dot products, sums of many rows at once, transposes."""

from llvmlite import ir
from numba.core import types

from grapheme_numba.kernels.simd_types import I64, bytes_of, emit, emit_memory, fma, operation, register_of, shuffle


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
