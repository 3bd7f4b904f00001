"""Fewer edges and better ones: pruning and drop-and-grow."""
