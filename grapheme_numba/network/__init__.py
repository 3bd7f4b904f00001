"""Networks on a graph: parameters, memory, passes, losses."""
