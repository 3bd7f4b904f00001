"""Measurements: rates of the passes against this machine's ceilings, and against other programs."""
