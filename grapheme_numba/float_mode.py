"""One way to round in every kernel, whatever the thread that calls or works has been set to.

Code of others may have told a thread to flush subnormal numbers to zero (`torch.set_flush_denormal`, any C library
linked with -ffast-math) or to round another way (`fesetround`). A kernel would then give other bits, and with several
threads other bits again. So a function called from Python, and each thread's part of a parallel loop, looks at the
mode when it begins, sets the standard one where it is another, and puts back what it found: 5 ns when nothing is to do.

Numba has no place for such code, so the two functions that write its wrappers are replaced here, and act on kernels of
this package alone.
"""

from grapheme_numba.jit import SERIAL  # before Numba, which then knows its cache folder

# isort: split
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, njit, types
from numba.core import callwrapper
from numba.extending import intrinsic
from numba.np.ufunc import wrappers
from numba.parfors import parfor_lowering

PACKAGE = __name__.split(".", 1)[0]
# Of the register that holds the mode: the assembler's words to read and to set it, the bits that are the mode (the
# others count what has happened), and the standard: round to nearest, keep subnormal numbers, raise nothing.
REGISTERS = {
    "x86_64": ("stmxcsr", "ldmxcsr", 0xFFC0, 0x1F80),
    "aarch64": ("mrs $0, fpcr", "msr fpcr, $0", 0x07C8_9F07, 0),
}
binding.initialize_native_asmparser()
MACHINE = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())


def enter(builder: Any) -> Callable[[], None]:
    """Write code that sets the standard mode; the function that is returned writes what puts the old one back."""
    if MACHINE not in REGISTERS:
        return lambda: None
    mask, standard = REGISTERS[MACHINE][2:]
    before = _read(builder)
    differs = builder.icmp_unsigned("!=", builder.and_(before, before.type(mask)), before.type(standard))
    with builder.if_then(differs, likely=False):
        _write(builder, before.type(standard))

    def leave() -> None:
        with builder.if_then(differs, likely=False):
            _write(builder, before)

    return leave


def _read(builder: Any) -> Any:
    """The register's value. Nothing that touches memory is moved over it, nor over `_write`."""
    read = REGISTERS[MACHINE][0]
    if MACHINE == "aarch64":
        return builder.asm(ir.FunctionType(ir.IntType(64), []), read, "=r,~{memory}", [], True)
    place = _place(builder)
    builder.asm(ir.FunctionType(ir.VoidType(), [place.type]), f"{read} ($0)", "r,~{memory}", [place], True)
    return builder.load(place)


def _write(builder: Any, value: Any) -> None:
    write = REGISTERS[MACHINE][1]
    if MACHINE == "aarch64":
        builder.asm(ir.FunctionType(ir.VoidType(), [value.type]), write, "r,~{memory}", [value], True)
        return
    place = _place(builder)
    builder.store(value, place)
    builder.asm(ir.FunctionType(ir.VoidType(), [place.type]), f"{write} ($0)", "r,~{memory}", [place], True)


def _place(builder: Any) -> Any:
    """Room for 32 bits on the stack, made where the function begins."""
    with builder.goto_entry_block():
        return builder.alloca(ir.IntType(32))


# --- Numba's wrappers ---------------------------------------------------------------------------

_owner = ""  # the module of the function whose wrapper is being written; Numba's lock lets one compiler in
_build_wrapper = callwrapper.PyCallWrapper.build_wrapper
_call_parallel_gufunc = parfor_lowering.call_parallel_gufunc


@contextmanager
def _written_for(module: str | None) -> Iterator[None]:
    """Within, wrappers are written for a function of `module`."""
    global _owner
    before, _owner = _owner, module or ""
    try:
        yield
    finally:
        _owner = before


def _is_ours() -> bool:
    return _owner.split(".", 1)[0] == PACKAGE and _owner != __name__


class _StandardCall(callwrapper._GilManager):
    """Numba makes one of these just before the call of a function that releases the GIL, and cleans up just after."""

    def __init__(self, builder: Any, api: Any, manager: Any) -> None:
        super().__init__(builder, api, manager)
        self._leave = enter(builder) if _is_ours() else None

    def emit_cleanup(self) -> None:
        if self._leave is not None:
            self._leave()
        super().emit_cleanup()


class _StandardPart(wrappers._GufuncWrapper):
    """What a thread runs of a parallel loop."""

    def gen_prologue(self, builder: Any, pyapi: Any) -> None:
        super().gen_prologue(builder, pyapi)
        self._leave = enter(builder) if _is_ours() and self.is_parfors else None

    def gen_epilogue(self, builder: Any, pyapi: Any) -> None:
        if self._leave is not None:
            self._leave()
        super().gen_epilogue(builder, pyapi)


def _build_owned_wrapper(self: Any, *arguments: Any) -> None:
    with _written_for(self.fndesc.modname):
        _build_wrapper(self, *arguments)


def _call_owned_part(lowerer: Any, *arguments: Any) -> Any:
    with _written_for(lowerer.fndesc.modname):
        return _call_parallel_gufunc(lowerer, *arguments)


callwrapper._GilManager = _StandardCall
callwrapper.PyCallWrapper.build_wrapper = _build_owned_wrapper
wrappers._GufuncWrapper = _StandardPart
parfor_lowering.call_parallel_gufunc = _call_owned_part

# --- the thread that calls ----------------------------------------------------------------------


@intrinsic
def _exchange(typing_context: Any, mode: Any) -> Any:
    """Set the mode to `mode`; the one before."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if MACHINE not in REGISTERS:
            return arguments[0]
        before = _read(builder)
        _write(builder, builder.trunc(arguments[0], before.type) if before.type.width < 64 else arguments[0])
        return builder.zext(before, arguments[0].type) if before.type.width < 64 else before

    return types.uint64(types.uint64), emit


@njit(**SERIAL)
def exchange(mode):
    """Set this thread's mode to `mode` (uint64); the one before."""
    return _exchange(mode)


if config.DISABLE_JIT:  # type: ignore[attr-defined]  # kernels as plain Python: nothing to set

    def exchange(mode: Any) -> Any:
        """The mode as it was."""
        return mode


@contextmanager
def standard() -> Iterator[None]:
    """Within, this thread rounds in the standard way, in Python and NumPy too; a decorator as well."""
    before = exchange(np.uint64(REGISTERS[MACHINE][3] if MACHINE in REGISTERS else 0))
    try:
        yield
    finally:
        exchange(np.uint64(before))
