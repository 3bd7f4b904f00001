"""Batches in a seeded order, made ahead of their use."""
