"""Compile kernels into the cache of `NUMBA_CACHE_DIR`: `python compile_kernels.py PART`, trainers or a dtype.

Run side by side before several test processes start: each of those would compile the same, in its own time. What is
missing here is compiled by the tests themselves, so this decides the length of a run and nothing else.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import grapheme_numba as gn
from grapheme_numba.graph.build import ACTIVATIONS

ROOT = Path(__file__).parent.parent


def compile_passes(dtype):
    """Steps by whole tiles and with shared levels, every activation and aggregation."""
    for widths, fan_in, batch in (([8, 16, 4], 4, 40), ([64, 4000, 4000, 8], 20, 2)):
        dag = gn.DagNN.layered(widths, fan_in=fan_in, seed=1, dtype=dtype)
        take_step(dag, batch)
        dag.activations()
    kinds = list(ACTIVATIONS)
    take_step(gn.DagNN.layered([4, len(kinds), 2], 4, dtype=dtype, activation=["linear"] * 4 + kinds + ["linear"] * 2))
    mixed = ["sum"] * 4 + ["mean", "product", "max", "min"] + ["sum"] * 2
    for batch in (2, 40):
        take_step(gn.DagNN.layered([4, 4, 2], 4, dtype=dtype, aggregation=mixed), batch)


def compile_engine(dtype):
    """Passes, every optimiser and loss, an embedding."""
    compile_passes(dtype)
    dag = gn.DagNN.layered([4, 4, 2], 4, dtype=dtype)
    x, y = np.ones((8, 4), dtype), np.zeros((8, 2), dtype)
    for optimizer in (gn.optim.SGD(), gn.optim.Momentum(), gn.optim.RMSprop(), gn.optim.Adam()):
        gn.fit(dag, x, y, epochs=1, batch_size=8, optimizer=optimizer)
    for loss, target in (("cross_entropy", np.zeros(8, np.int64)), ("binary_cross_entropy", y), ("huber", y)):
        gn.fit(dag, x, target, epochs=1, batch_size=8, loss=loss)
    gn.attribute(dag, x)
    gn.prune(dag, 0.5)
    gn.evolve(dag, "set", fraction=0.3, seed=0)
    embedding = gn.Embedding(4, 3, dtype=dtype)
    embedding.backward_accumulate([[1, 2]], embedding.forward([[1, 2]]))
    embedding.step(0.1)


def take_step(dag, batch=8):
    """One training step of a network on constant numbers."""
    y = dag.forward(np.ones((batch, dag.n_input), dag.weights.dtype))
    dag.backward_accumulate(gn.mse(y, np.zeros_like(y))[1])
    dag.clip_grad_norm(1.0)
    dag.step(0.1)


def compile_trainers():
    """Both trainers, drop-and-grow, gradient shards, tables, answers and attribution."""
    with tempfile.TemporaryDirectory() as folder:
        data, run = f"{folder}/data", f"{folder}/run"
        short = ["--epochs", "1", "--quiet"]
        for line in (
            ["grapheme-data", "generate", data, "--samples", "200", "--quiet"],
            ["grapheme-train", "agi", "--data", data, "--output", run, "--evolve", "rigl", *short],
            ["grapheme-train", "unified", "--data", data, "--output", f"{folder}/u", "--gradient-shards", "2", *short],
            ["grapheme-train", "attribute", run, "--data", f"{data}/test.jsonl", "--output", f"{folder}/a.parquet"],
            ["grapheme-train", "agi", "--data", ROOT / "data/penguins.csv", "--target", "species", "--output",
             f"{folder}/p", *short],
        ):  # fmt: skip
            subprocess.run([ROOT / "bin" / line[0], *line[1:]], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    part = sys.argv[1]
    if part == "trainers":
        compile_trainers()
    elif part == "bfloat16":  # optimisers and losses are those of float32
        compile_passes(part)
    else:
        compile_engine(part)
