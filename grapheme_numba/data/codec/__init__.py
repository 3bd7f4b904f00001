"""Inputs and answers as numbers, and numbers back to answers."""
