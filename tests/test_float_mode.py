"""One way to round: whatever mode a thread has been set to, kernels and runs give the same bits and leave it alone."""

import ctypes
import os
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from runs import digest, small_data
from sklearn.datasets import load_iris

import grapheme_numba as gn
from grapheme_numba import float_mode
from grapheme_numba.estimators import DagClassifier, DagRegressor

LIBM = ctypes.CDLL("libm.so.6")
# What `fesetround` calls them on this machine: bits 10 and 11 of MXCSR are bits 22 and 23 of FPCR.
ROUNDING = {"down": 0x400, "up": 0x800, "to zero": 0xC00} if float_mode.MACHINE == "x86_64" else {}
MODES = ["flush", *ROUNDING]
TINY = np.float32(1e-39)  # below the smallest normal number


def seen():
    """Two results that depend on the mode of this thread."""
    return float(np.float32(1) / np.float32(3)), float(TINY * np.float32(0.5))


@contextmanager
def mode(name):
    """Within, this thread rounds otherwise, as the code of others may have asked; at the end it must still do so."""
    if name == "flush":
        torch.set_flush_denormal(True)
    else:
        LIBM.fesetround(ROUNDING[name])
    try:
        before = seen()
        yield
        after = seen()
        still = LIBM.fegetround()
    finally:
        torch.set_flush_denormal(False)
        LIBM.fesetround(0)
    assert after == before
    assert still == ROUNDING.get(name, 0)


IRIS = load_iris(return_X_y=True)
RNG = np.random.default_rng(5)
# Made before any mode is set: what NumPy computes for the caller is the caller's own.
SIZES = ((1, 1e-38), (7, 1e-36), (40, 1.0), (130, 3e-37))
BATCHES = [(RNG.normal(size=(n, 16)) * unit, RNG.normal(size=(n, 4)) * unit) for n, unit in SIZES]
BATCHES = [(x.astype(np.float32), target.astype(np.float32)) for x, target in BATCHES]


def passes():
    """Outputs, gradients and weights of a few steps whose numbers are small enough to be flushed, as bytes."""
    dag = gn.DagNN.layered([16, 40, 40, 4], 6, skip=0.2, seed=1, activation="tanh")
    found = []
    for x, target in BATCHES:
        y = dag.forward(x)
        loss, gradient = gn.mse(y, target)
        found += [y, np.array(loss), dag.backward_accumulate(gradient), np.array(dag.edge_grads)]
        dag.step(0.1)
        found.append(np.array(dag.weights))
    dag.clip_grad_norm(1e-30)
    found += [np.array(dag.edge_grads), np.array(dag.grad_norm())]
    return [array.tobytes() for array in found]


def fitted():
    dag = gn.DagNN.layered([4, 8, 1], 3, seed=1)
    X, y = IRIS
    gn.fit(dag, X, y, epochs=2, validation=0.2, schedule="cosine")
    return dag.parameters.tobytes()


def estimator(kind):
    X, y = IRIS
    found = kind(hidden=(8,), max_iter=2, random_state=0).fit(X, y)
    answers = found.predict_proba(X) if kind is DagClassifier else found.predict(X)
    return found.network_.parameters.tobytes(), answers.tobytes()


def sparse():
    dag = gn.prune(gn.evolve(gn.DagNN.layered([9, 30, 3], 6, seed=2), "set", 0.3, seed=1), 0.5)
    return dag.parameters.tobytes(), gn.attribute(dag, BATCHES[2][0][:, :9]).inputs.tobytes()


def values():
    """What stands beside the networks: optimisers as values, an embedding, structural losses."""
    slopes = BATCHES[0][0][0]
    found = [gn.structural_loss(3, 2, 4, 3, 0.3, 0.7), np.array(gn.Embedding(10, 4, seed=1).weights)]
    for kind in (gn.optim.SGD, gn.optim.Momentum, gn.optim.Adam, gn.optim.AdamW, gn.optim.RMSprop):
        found.append(kind().update(slopes, slopes, kind().init(slopes), 0.3)[0])
    return [np.asarray(one).tobytes() for one in found]


WORK = {
    "values": values,
    "passes": passes,
    "fit": fitted,
    "DagClassifier": lambda: estimator(DagClassifier),
    "DagRegressor": lambda: estimator(DagRegressor),
    "evolve, prune, attribute": sparse,
}


@pytest.mark.parametrize("n_thread", [1, 2])
@pytest.mark.parametrize("work", WORK)
def test_results_do_not_depend_on_the_mode_of_the_caller(work, n_thread, threads):
    threads(n_thread)
    plain = WORK[work]()
    for name in MODES:
        with mode(name):
            found = WORK[work]()
        assert found == plain, name


def test_a_run_has_one_digest_in_every_mode(tmp_path):
    data = small_data(tmp_path / "data")
    digests = set()
    for name in ("", *MODES):
        folder = tmp_path / f"run {name}"
        options = dict(hidden=(16,), fan_in=8, epochs=2, batch_size=16, embedding_dim=2)
        if name:
            with mode(name):
                run = gn.train("agi", data=data, output=folder, **options)
        else:
            run = gn.train("agi", data=data, output=folder, **options)
        digests.add((digest(run.folder), float(run.history["loss"][-1])))
    assert len(digests) == 1


WORKERS = """
import ctypes, hashlib, sys, torch
import test_float_mode
from grapheme_numba import jit
ctypes.CDLL("libm.so.6").fesetround(int(sys.argv[1]))
if int(sys.argv[2]):
    torch.set_flush_denormal(True)
jit.set_threads(2)
print(hashlib.sha256(b"".join(test_float_mode.passes())).hexdigest(), jit.threading_layer())
"""


@pytest.mark.long
@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_threads_that_start_in_another_mode_round_as_others_do(layer):
    """A new thread takes over the mode of the one that starts it."""
    variables = {**os.environ, "NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    variables["PYTHONPATH"] = os.pathsep.join(sys.path)
    found = set()
    for rounding, flush in ((0, 0), (ROUNDING.get("up", 0), 0), (0, 1)):
        command = [sys.executable, "-c", WORKERS, str(rounding), str(flush)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
    assert found.pop().split()[1] == layer


def test_the_mode_can_be_wrong_at_all():
    """Without which the other tests would show nothing."""
    usual, found = seen(), []
    for name in MODES:
        with mode(name):
            found.append(seen() != usual)
    assert found.count(True) >= 2, found  # a third is rounded up, or down as always
