"""Compiled loops: arrays in, arrays written. No checks, no errors, no strings; the callers do those."""

# Before any kernel imports Numba, which then knows its cache folder, and compiles: it rounds in one way.
from grapheme_numba import float_mode, jit  # noqa: F401
