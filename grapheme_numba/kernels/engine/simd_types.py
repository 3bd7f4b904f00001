"""The SIMD type of the kernels, and how an operation on it is written in LLVM: what `simd.py` is made of.

A vector holds one, two or four registers side by side. Its width follows from the array's dtype and
from a *token*, a tuple whose length is the number of registers (`ONE`, `TWO`, `FOUR`): a type that
Numba knows at compile time, so one kernel source serves every width. A register is `LANES` elements:
16 float32 or 8 float64; LLVM splits it where the machine's registers are narrower.

Numba knows no bfloat16: an array of uint16 is one here, and its vectors are float32.
"""

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

from grapheme_numba.kernels.engine import simd_reference

ONE, TWO, FOUR = (0,), (0, 0), (0, 0, 0, 0)
LANES = simd_reference.LANES
OPERATIONS = {}
I32, I64 = ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """The Numba type of `width` elements of `dtype` in registers."""

    def __init__(self, dtype, width):
        self.dtype, self.width = dtype, width
        super().__init__(name=f"Vector({dtype}, {width})")

    @property
    def llvm(self):
        """The LLVM vector type."""
        return ir.VectorType(ir.FloatType() if self.dtype == types.float32 else ir.DoubleType(), self.width)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


def operation(typing):
    """Make an intrinsic of a typing function, or its plain meaning where the compiler is off."""
    name = typing.__name__
    OPERATIONS[name] = getattr(simd_reference, name) if numba.config.DISABLE_JIT else intrinsic(typing)
    return OPERATIONS[name]


def emit(result, arguments, write):
    """A signature and its code: `write(builder, *values)`, which returns the result's value."""
    return result(*arguments), lambda context, builder, signature, values: write(builder, *values)


def emit_memory(result, arguments, write):
    """As `emit`, with a function `pointer(k, index, llvm)` into array argument k before the values."""

    def code(context, builder, signature, values):
        def pointer(k, index, llvm):
            data = arrayobj.make_array(signature.args[k])(context, builder, values[k]).data
            return builder.bitcast(builder.gep(data, [index]), llvm.as_pointer())

        written = write(builder, pointer, *values)
        return context.get_dummy_value() if result is types.void else written

    return result(*arguments), code


def register_of(dtype, token=ONE):
    """The vector type of as many registers of `dtype` as `token` is long."""
    dtype = number_of(dtype)
    return Vector(dtype, (16 if dtype == types.float32 else 8) * len(token))


def number_of(dtype):
    """What an array of `dtype` holds for the kernels: of uint16 bfloat16 numbers, which become float32."""
    return types.float32 if dtype == types.uint16 else dtype


def bytes_of(dtype):
    """Size of one element."""
    return dtype.bitwidth // 8


def call(builder, name, result, values):
    """Emit a call of the LLVM function `name`, declared on first use."""
    found = builder.module.globals.get(name)
    function = found or ir.Function(builder.module, ir.FunctionType(result, [v.type for v in values]), name)
    return builder.call(function, values)


def suffix(llvm):
    """The part of an LLVM intrinsic's name that says the vector type, as v16f32."""
    return f"v{llvm.count}f{32 if isinstance(llvm.element, ir.FloatType) else 64}"


def fma(builder, x, y, z):
    """Emit x * y + z with one rounding."""
    return call(builder, f"llvm.fma.{suffix(x.type)}", x.type, [x, y, z])


def shuffle(builder, x, y, lanes):
    """Emit the vector of the given lanes of x and y side by side."""
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, len(lanes)), lanes))


def splat(builder, scalar, llvm):
    """Emit a vector whose lanes all are `scalar`, converted to its element type."""
    if scalar.type != llvm.element:
        scalar = (builder.fptrunc if isinstance(llvm.element, ir.FloatType) else builder.fpext)(scalar, llvm.element)
    undefined = ir.Constant(llvm, ir.Undefined)
    return shuffle(builder, builder.insert_element(undefined, scalar, ir.Constant(I32, 0)), undefined, [0] * llvm.count)
