"""Numbers stored as bfloat16, the upper half of a float32: read by shift and mask, written with rounding.

The processor needs no bfloat16 for that, so AVX2, AVX-512 and NEON give the same bits. Where two registers or more
are read side by side, a cache line of 32 numbers becomes two registers with two operations, the numbers at even places
and those at odd ones, where widening 16 at a time takes four (`vpmovzxwd` and a shift each). The lanes of such a
vector thus stand in another order than in memory. `vstore` puts them back; so only what meets vectors that came
from float32 arrays has to mind (`vnatural`, `vpaired`).

A written number is rounded to the nearest, halves to even; beyond the largest it becomes infinite, NaN stays NaN,
denormal numbers are kept.
"""

from llvmlite import ir

from grapheme_numba.kernels.engine.simd_types import I32, shuffle

I16 = ir.IntType(16)
PAIR = 32  # numbers of a cache line that are read as two registers, the even and the odd ones
HIGH = 0xFFFF0000


def _constant(like, value):
    if isinstance(like.type, ir.VectorType):
        return ir.Constant(like.type, [value] * like.type.count)
    return ir.Constant(like.type, value)


def _joined(builder, parts):
    """Vectors of one type side by side."""
    while len(parts) > 1:
        lanes = list(range(2 * parts[0].type.count))
        parts = [shuffle(builder, *pair, lanes) for pair in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _words(llvm):
    """The integer type of as many bits as a float32, or a vector of them."""
    return ir.VectorType(I32, llvm.count) if isinstance(llvm, ir.VectorType) else I32


def load(builder, place, llvm):
    """Emit the float32 number, or the vector of type `llvm`, whose bfloat16 numbers start at `place` (i16*)."""
    n = llvm.count if isinstance(llvm, ir.VectorType) else 1
    if n < PAIR:
        loaded = builder.load(builder.bitcast(place, (I16 if n == 1 else ir.VectorType(I16, n)).as_pointer()))
        loaded.align = 2
        words = builder.zext(loaded, _words(llvm))
        return builder.bitcast(builder.shl(words, _constant(words, 16)), llvm)
    parts, half = [], ir.VectorType(ir.FloatType(), PAIR // 2)
    for k in range(0, n, PAIR):
        start = builder.gep(place, [ir.Constant(I32, k)])
        words = builder.load(builder.bitcast(start, _words(half).as_pointer()))
        words.align = 2
        for part in builder.shl(words, _constant(words, 16)), builder.and_(words, _constant(words, HIGH)):
            parts.append(builder.bitcast(part, half))
    return _joined(builder, parts)


def _rounded(builder, x):
    """The bits of a float32 number, or of a vector, after rounding: the upper half is the bfloat16 number."""
    bits = builder.bitcast(x, _words(x.type))
    odd = builder.and_(builder.lshr(bits, _constant(bits, 16)), _constant(bits, 1))
    nearest = builder.add(builder.add(bits, _constant(bits, 0x7FFF)), odd)
    # The sum may carry a NaN to infinity, or past the sign; made quiet it keeps a bit in the upper half.
    quiet = builder.or_(bits, _constant(bits, 0x400000))
    return builder.select(builder.fcmp_unordered("uno", x, x), quiet, nearest)


def store(builder, value, place):
    """Emit the writing of a float32 number or vector, as `load` reads it, from `place` (i16*) on."""
    n = value.type.count if isinstance(value.type, ir.VectorType) else 1
    words = _rounded(builder, value)
    if n < PAIR:
        high = builder.lshr(words, _constant(words, 16))
        narrow = builder.trunc(high, I16 if n == 1 else ir.VectorType(I16, n))
        builder.store(narrow, builder.bitcast(place, narrow.type.as_pointer())).align = 2
        return
    for k in range(0, n, PAIR):
        even, odd = (
            shuffle(builder, words, words, list(range(start, start + PAIR // 2))) for start in (k, k + PAIR // 2)
        )
        pairs = builder.or_(builder.lshr(even, _constant(even, 16)), builder.and_(odd, _constant(odd, HIGH)))
        start = builder.gep(place, [ir.Constant(I32, k)])
        builder.store(pairs, builder.bitcast(start, pairs.type.as_pointer())).align = 2


def natural(n):
    """Where lane k of memory stands in a vector of `n` lanes that `load` gave, for every k."""
    half = PAIR // 2
    return [k // PAIR * PAIR + k % 2 * half + k % PAIR // 2 if n >= PAIR else k for k in range(n)]


def paired(n):
    """The inverse of `natural`."""
    order = natural(n)
    return sorted(range(n), key=order.__getitem__)
