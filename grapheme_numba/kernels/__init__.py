"""Compiled loops: arrays in, arrays written. No checks, no errors, no strings; the callers do those."""
