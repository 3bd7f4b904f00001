"""Training on many ranks: communication, shared memory, gradients in shards."""
