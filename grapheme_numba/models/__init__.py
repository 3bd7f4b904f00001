"""What turns one DAG into a model of several brains: slices, topology, losses, router, models."""
