"""JSONL and tables -> Parquet -> batches of arrays: everything between files of examples and the kernels."""
