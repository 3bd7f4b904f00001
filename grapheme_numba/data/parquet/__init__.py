"""Parquet files that can be trusted, and their columns."""
