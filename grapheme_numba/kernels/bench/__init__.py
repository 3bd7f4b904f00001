"""Kernels that are measured against: ceilings of the machine and plain loops. The engine uses none."""
