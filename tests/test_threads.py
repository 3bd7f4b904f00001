"""The same bits for any number of threads, and one compilation for any graph and batch size."""

import hashlib
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import strategies

import grapheme_numba as gn
import grapheme_numba.kernels


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def networks(dtype):
    """Shapes that take different roads: many tiles, few tiles on wide levels, a deep narrow chain, odd ones."""
    yield gn.DagNN.layered([64, 128, 128, 128, 16], fan_in=16, skip=0.1, seed=1, dtype=dtype), 100
    yield gn.DagNN.layered([256, 3000, 3000, 32], fan_in=24, seed=2, dtype=dtype), 3
    yield gn.DagNN.from_edges(**strategies.odd("deep chain"), dtype=dtype), 17
    yield gn.DagNN.from_edges(**strategies.odd("fan-in 1000"), dtype=dtype), 1
    yield gn.DagNN.random(3000, 40000, 50, 20, seed=3, dtype=dtype), 33


def training_digest(dtype):
    """Two steps on each network, all results of all passes, an embedding with repeated ids, mse and a clip."""
    rng = np.random.default_rng(8)
    parts = []
    for dag, batch in networks(dtype):
        x = rng.normal(size=(batch, dag.n_input)).astype(dtype)
        target = rng.normal(size=(batch, dag.n_output)).astype(dtype)
        for _ in range(2):
            dag.zero_grad()
            y = dag.forward(x)
            loss, grad = gn.mse(y, target)
            gx = dag.backward_accumulate(grad)
            norm = dag.clip_grad_norm(1.0)
            dag.step(0.1)
            parts += [y, gx, dag.edge_grads, dag.bias_grads, dag.weights, dag.biases, np.array([loss, norm])]
    embedding = gn.Embedding(50, 8, seed=4, dtype=dtype)
    ids = rng.integers(50, size=(40, 12))
    embedding.backward_accumulate(ids, embedding.forward(ids) * np.asarray(0.3, dtype))
    return digest(*parts, embedding.grads, embedding.weights)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_and_two_threads_give_the_same_bits(threads, dtype):
    seen = set()
    for n in (1, 2):
        threads(n)
        seen.add(training_digest(dtype))
    assert len(seen) == 1


def test_more_threads_than_cores_give_the_same_bits():
    code = (
        "import test_threads; from grapheme_numba import jit\n"
        "for n in (1, 2, 3, 4):\n"
        "    assert jit.set_threads(n) == n\n"
        "    print(test_threads.training_digest('float32'))"
    )
    environment = dict(os.environ, NUMBA_NUM_THREADS="4", PYTHONPATH=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 1
    assert len(done.stdout.split()) == 4


def test_inits_do_not_depend_on_threads(threads):
    drawn = []
    for n in (1, 2):
        threads(n)
        drawn.append(digest(*[gn.DagNN.random(500, 20000, 10, 10, seed=5, init=init).weights for init in INITS]))
    assert drawn[0] == drawn[1]


INITS = ["dynamic_xavier", "xavier", "he", "uniform", "zero"]


def dispatchers():
    """Every compiled function of kernels/, by name."""
    found = {}
    for info in pkgutil.walk_packages(grapheme_numba.kernels.__path__, "grapheme_numba.kernels."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if hasattr(value, "signatures") and value.__module__ == module.__name__:
                found[f"{info.name}.{name}"] = value
    return found


def test_another_graph_or_batch_size_compiles_nothing():
    rng = np.random.default_rng(9)

    def train(dag, batch):
        x = rng.normal(size=(batch, dag.n_input)).astype(np.float32)
        y = dag.forward(x)
        _, grad = gn.mse(y, np.zeros_like(y))
        dag.backward_accumulate(grad)
        dag.clip_grad_norm(1.0)
        dag.step(0.1)
        dag.zero_grad()

    train(gn.DagNN.layered([8, 16, 4], fan_in=4, seed=1), 16)
    before = {name: len(kernel.signatures) for name, kernel in dispatchers().items()}
    train(gn.DagNN.layered([8, 16, 4], fan_in=4, seed=1), 1)
    train(gn.DagNN.layered([8, 16, 4], fan_in=4, seed=1), 100)
    train(gn.DagNN.random(300, 4000, 5, 7, seed=2), 33)
    train(gn.DagNN.from_edges(**strategies.odd("input is output")), 2)
    train(gn.DagNN.from_edges(**strategies.odd("single node")), 17)
    after = {name: len(kernel.signatures) for name, kernel in dispatchers().items()}
    assert before == after
    assert sum(before.values()) > 5


def test_import_compiles_nothing():
    code = "import test_threads; print(sum(len(k.signatures) for k in test_threads.dispatchers().values()))"
    environment = dict(os.environ, PYTHONPATH=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_non_contiguous_and_reversed_arrays_give_the_same_bits():
    """A view with strides is copied into order at the boundary, not read wrongly and not compiled for."""
    dag = gn.DagNN.layered([8, 16, 4], fan_in=4, seed=1)
    x = np.random.default_rng(10).normal(size=(20, 16)).astype(np.float32)
    straight = dag.forward(np.ascontiguousarray(x[::-1, ::2]))
    before = {name: len(kernel.signatures) for name, kernel in dispatchers().items()}
    assert digest(dag.forward(x[::-1, ::2])) == digest(straight)
    assert digest(dag.forward(np.asfortranarray(x[::-1, ::2]))) == digest(straight)
    assert before == {name: len(kernel.signatures) for name, kernel in dispatchers().items()}
