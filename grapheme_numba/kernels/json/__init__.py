"""JSONL to columns: a compiled scanner over the bytes of lines."""
