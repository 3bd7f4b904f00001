"""Compile the engine's kernels for one dtype into the cache: `python compile_engine.py float32`.

Run once per dtype, side by side, before several test processes start: otherwise each compiles the same.
"""

import sys

import numpy as np

import grapheme_numba as gn


def main(dtype):
    """One step by whole tiles, one with shared levels, an embedding and a loss."""
    for widths, fan_in, batch in (([8, 16, 4], 4, 40), ([64, 4000, 4000, 8], 20, 2)):
        dag = gn.DagNN.layered(widths, fan_in=fan_in, seed=1, dtype=dtype)
        y = dag.forward(np.ones((batch, dag.n_input), dtype))
        dag.backward_accumulate(gn.mse(y, np.zeros_like(y))[1])
        dag.clip_grad_norm(1.0)
        dag.step(0.1)
        dag.activations()
    embedding = gn.Embedding(4, 3, dtype=dtype)
    embedding.backward_accumulate([[1, 2]], embedding.forward([[1, 2]]))
    embedding.step(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
