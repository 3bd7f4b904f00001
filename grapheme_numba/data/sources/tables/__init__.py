"""Tables of any writer as examples: CSV, TSV, Parquet, Arrow, JSON rows, with a mapping of their columns."""
