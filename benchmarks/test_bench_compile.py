"""Compile time, apart: a fresh cache folder, from import to the end of the first training step."""

import os
import subprocess
import sys

FIRST_STEP = """
import numpy as np
from grapheme_numba.network.dagnn import DagNN
network = DagNN.classifier(8, 16, 4)
network.zero_grad()
y = network.forward(np.ones((3, 8), np.float32))
network.backward_accumulate(y)
network.step(0.1)
"""


def _first_step(folder):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", FIRST_STEP], env=environment, check=True)


def test_cold_start_to_first_step(benchmark, tmp_path):
    """Nothing compiled yet: what the first run on a machine waits for."""
    folders = iter(range(100))
    benchmark.pedantic(lambda: _first_step(tmp_path / str(next(folders))), rounds=3)


def test_warm_start_to_first_step(benchmark, tmp_path):
    """Kernels come from the cache folder: what every later run waits for."""
    _first_step(tmp_path)
    benchmark.pedantic(lambda: _first_step(tmp_path), rounds=5)
