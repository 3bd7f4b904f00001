"""Compiled loops: arrays in, arrays written. No checks, no errors, no strings; the callers do those."""

# Before any kernel imports Numba, which then knows its cache folder, and compiles: it rounds in one way.
from grapheme_numba import jit  # noqa: F401
from grapheme_numba.kernels import float_mode  # noqa: F401
