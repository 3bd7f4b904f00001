"""Graphs: from edge lists to the arrays the kernels walk."""
