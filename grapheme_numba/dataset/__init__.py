"""JSONL -> Parquet -> batches of arrays: everything between a file of examples and the kernels."""
