"""Graphs from and to files and objects of other libraries."""
