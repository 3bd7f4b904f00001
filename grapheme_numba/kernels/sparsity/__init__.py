"""Loops that prune edges and grow new ones."""
