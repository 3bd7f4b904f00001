"""Topologies made by rule or at random."""
