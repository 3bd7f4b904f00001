"""Data in other layouts, and generated data."""
