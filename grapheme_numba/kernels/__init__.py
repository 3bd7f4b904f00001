"""Compiled loops: arrays in, arrays written. No checks, no errors, no strings; the callers do those."""

from grapheme_numba import jit  # noqa: F401, before any kernel imports Numba, which then knows its cache folder
