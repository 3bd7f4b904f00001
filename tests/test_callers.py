"""One network and one estimator, called from many Python threads: everybody gets their own answer."""

import asyncio
import gc
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits

import grapheme_numba as gn
from grapheme_numba import jit
from grapheme_numba.errors import ShapeError, UsageError
from grapheme_numba.estimators import DagClassifier, DagRegressor

N_THREAD, N_CALL = 8, 3000


def network(dtype="float32", **options):
    return gn.DagNN.layered([16, 40, 40, 4], 6, skip=0.2, seed=1, activation="tanh", dtype=dtype, **options)


def wrong_calls(call, parts, n_call=N_CALL):
    """How many of the calls, spread over threads, do not give what one thread alone gets."""
    wanted = [call(part) for part in parts]

    def one(number):
        place = number % len(parts)
        try:
            return not np.array_equal(call(parts[place]), wanted[place])
        except Exception as error:
            return repr(error)

    with ThreadPoolExecutor(N_THREAD) as pool:
        return [number for number, wrong in enumerate(pool.map(one, range(n_call))) if wrong]


def batches(width=16, n=8):
    rng = np.random.default_rng(5)
    return [rng.normal(size=(size, width)).astype(np.float32) for size in (1, 7, 40, 16, 90, 33, 2, 64)[:n]]


@pytest.mark.parametrize("strategy", ["auto", "tiles", "levels"])
def test_forward(strategy):
    dag = network()
    dag.strategy = strategy
    assert not wrong_calls(dag.forward, batches())


def test_forward_and_backward_of_each_thread():
    dag = network()
    dag.requires_grad = False

    def both(x):
        y = dag.forward(x)
        activations = dag.activations()
        return np.concatenate([dag.backward_accumulate(np.sign(y)).ravel(), activations.ravel()])

    assert not wrong_calls(both, batches())


def test_tapes_attributions_and_losses():
    dag = network()
    dag.requires_grad = False

    def recorded(x):
        y, tape = dag.record(x)
        return tape.backward(gn.mse(y, np.zeros_like(y))[1])

    assert not wrong_calls(recorded, batches())
    assert not wrong_calls(lambda x: gn.attribute(dag, x).inputs, batches(), 800)


def test_gradients_of_threads_add_up():
    """Each adds its own, one after the other: the order is theirs, the sum is that of one thread to rounding."""
    dag, alone = network("float64"), network("float64")
    parts = [part.astype(np.float64) for part in batches()] * 60
    for part in parts:
        y = alone.forward(part)
        alone.backward_accumulate(np.cos(y))

    def work(part):
        y, tape = dag.record(part)
        if len(part) % 2:
            tape.backward(np.cos(y))
        else:
            dag.backward_accumulate(np.cos(dag.forward(part)))

    with ThreadPoolExecutor(N_THREAD) as pool:
        list(pool.map(work, parts))
    np.testing.assert_allclose(dag.gradients, alone.gradients, rtol=1e-9, atol=1e-11)


def test_a_first_pass_after_a_step_in_many_threads_at_once():
    """All find the weights out of order; one puts them in order, and the others wait for it."""
    dag, twin = gn.DagNN.layered([16, 400, 400, 4], 60, seed=2), gn.DagNN.layered([16, 400, 400, 4], 60, seed=2)
    x = batches()[2]
    with ThreadPoolExecutor(N_THREAD) as pool:
        for number in range(60):
            for one in (dag, twin):
                one.weights = np.roll(np.array(one.weights), number)
            wanted = twin.forward(x)
            assert all(np.array_equal(y, wanted) for y in pool.map(dag.forward, [x] * N_THREAD))


@pytest.mark.parametrize("method", ["predict_proba", "predict"])
def test_estimators(method):
    X, y = load_digits(return_X_y=True)
    found = DagClassifier(hidden=(50,), max_iter=2, random_state=0).fit(X, y)
    assert not wrong_calls(getattr(found, method), [X[k * 150 : k * 150 + 40 + k] for k in range(8)])
    found = DagRegressor(hidden=(30,), max_iter=2, random_state=0, n_jobs=1).fit(X, y)
    assert not wrong_calls(found.predict, [X[k * 150 : k * 150 + 40 + k] for k in range(8)], 1000)


def test_joblib_and_asyncio():
    dag = network()
    parts = batches() * 40
    wanted = [dag.forward(part) for part in parts]
    found = joblib.Parallel(n_jobs=N_THREAD, backend="threading")(joblib.delayed(dag.forward)(part) for part in parts)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))

    async def together():
        return await asyncio.gather(*(asyncio.to_thread(dag.forward, part) for part in parts))

    assert all(np.array_equal(a, b) for a, b in zip(asyncio.run(together()), wanted, strict=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_open_passes_do_not_know_each_other(rng, dtype):
    """Twenty tapes, gone back from in any order, some twice, with plain passes between."""
    dag = network(dtype)
    xs = [rng.normal(size=(size, 16)).astype(dtype) for size in rng.integers(1, 70, 20)]
    gys = [rng.normal(size=(len(x), 4)).astype(dtype) for x in xs]
    wanted = []
    for x, gy in zip(xs, gys, strict=True):
        twin = network(dtype)
        y = twin.forward(x)
        wanted.append((y, twin.backward_accumulate(gy), twin.activations(), twin.gradients))
    opened = [dag.record(x) for x in xs]
    total = np.zeros_like(dag.gradients)
    for place in [*rng.permutation(20), 3, 3, 7]:
        y, tape = opened[place]
        dag.forward(xs[place - 1])
        np.testing.assert_array_equal(y, wanted[place][0])
        np.testing.assert_array_equal(tape.backward(gys[place]), wanted[place][1])
        np.testing.assert_array_equal(tape.activations(), wanted[place][2])
        total += wanted[place][3]
    np.testing.assert_allclose(dag.gradients, total, rtol=1e-4 if dtype == "float32" else 1e-10, atol=1e-4)


def test_a_tape_gives_its_memory_back():
    dag = network()
    for _ in range(30):
        _, tape = dag.record(np.ones((4, 16)))
        del tape
    gc.collect()
    assert len(dag.passes._spare) == 1
    tapes = [dag.record(np.ones((4, 16)))[1] for _ in range(20)]
    del tapes
    gc.collect()
    assert 1 < len(dag.passes._spare) <= 8


def test_what_a_tape_refuses():
    dag = network()
    _, tape = dag.record(np.ones((3, 16)))
    with pytest.raises(ShapeError, match="gy has 2 rows but the recorded pass had 3"):
        tape.backward(np.ones((2, 4)))
    with pytest.raises(ShapeError, match=r"gy\[0, 0\] is nan"):
        tape.backward(np.full((3, 4), np.nan))
    with pytest.raises(ShapeError, match=r"x\[0, 0\] is nan"):
        dag.record(np.full((3, 16), np.nan))
    dag.weights[0] = 1.0
    with pytest.raises(UsageError, match="have changed since this pass was recorded"):
        tape.backward(np.ones((3, 4)))
    assert not dag.gradients.any()


def test_a_pass_belongs_to_its_thread():
    dag = network()
    dag.forward(np.ones((3, 16)))
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ShapeError, match="no forward pass to go back from; .* in the same thread, or use record"),
    ):
        pool.submit(dag.backward_accumulate, np.ones((3, 4))).result()


LAYER = """
import sys, numpy as np
from concurrent.futures import ThreadPoolExecutor
import grapheme_numba as gn
from grapheme_numba import jit
import test_callers
print(len(test_callers.wrong_calls(test_callers.network().forward, test_callers.batches(), 2000)))
test_callers.test_gradients_of_threads_add_up()
print(jit.threading_layer())
"""


@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_every_threading_layer(layer):
    """A workqueue cannot be entered twice and would abort the process; calls wait for each other there."""
    variables = {**os.environ, "NUMBA_THREADING_LAYER": layer, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", LAYER], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", layer]


def test_numbers_of_threads_are_each_callers_own(threads):
    threads(1)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(jit.set_threads, 2).result()
        assert jit.n_threads() == 1


@pytest.mark.long
def test_forty_thousand_calls(figure):
    X, y = load_digits(return_X_y=True)
    found = DagClassifier(hidden=(50,), max_iter=2, random_state=0).fit(X, y)
    wrong = len(wrong_calls(network().forward, batches(), 40_000))
    wrong += len(wrong_calls(found.predict_proba, [X[k * 150 : k * 150 + 40] for k in range(8)], 40_000))
    figure("wrong answers in 80,000 calls from 8 threads", str(wrong))
    assert wrong == 0
