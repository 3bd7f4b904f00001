"""JSON lines: read, parsed, converted, validated, written back."""
