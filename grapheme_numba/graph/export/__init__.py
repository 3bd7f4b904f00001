"""Graphs as models of other frameworks."""
