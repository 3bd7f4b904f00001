"""Loops that build, order and draw graphs."""
