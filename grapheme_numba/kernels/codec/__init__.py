"""Examples to arrays and outputs to answers, straight from Arrow's buffers."""
