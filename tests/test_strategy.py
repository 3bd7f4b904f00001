"""Whole tiles per thread or shared levels: both are right, both give the same bits, at any number of threads."""

import hashlib

import numpy as np
import pytest
import strategies
from test_gradients import assert_same, draw, twin_run

import grapheme_numba as gn
from grapheme_numba.network.execution_plan import STRATEGIES


def run(dag, strategy, x, gy, start=0.0):
    """Outputs and gradients with a strategy forced, added onto gradients that are already there."""
    dag.strategy = strategy
    dag.gradients[:] = start
    y = dag.forward(x)
    gx = dag.backward_accumulate(gy)
    return y, dag.edge_grads, dag.bias_grads, gx


def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


@pytest.mark.parametrize("batch", [1, 16, 17, 100])
@pytest.mark.parametrize("strategy", ["tiles", "levels"])
@pytest.mark.parametrize("name", strategies.ODD)
def test_each_strategy_agrees_with_the_twin_on_odd_networks(name, strategy, batch, threads):
    threads(2)
    arguments = strategies.odd(name)
    x, gy = draw(arguments, batch, np.random.default_rng([2, batch]))
    dag = gn.DagNN.from_edges(**arguments, dtype="float64")
    assert_same(run(dag, strategy, x, gy), twin_run(arguments, x, gy))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(25))
def test_all_strategies_and_threads_give_the_same_bits(seed, dtype, threads):
    """Also when gradients are added onto others, and for batches with and without a ragged last tile."""
    arguments = strategies.random_dag(seed, max_node=150)
    for batch in (3, 64, 97):
        x, gy = draw(arguments, batch, np.random.default_rng([3, seed]), dtype)
        dag = gn.DagNN.from_edges(**arguments, dtype=dtype)
        seen = set()
        for n in (1, 2):
            threads(n)
            seen |= {digest(run(dag, strategy, x, gy, start=0.7)) for strategy in STRATEGIES}
        assert len(seen) == 1


@pytest.mark.parametrize("strategy", ["tiles", "levels"])
def test_without_requires_grad_each_strategy_returns_the_same_input_gradient(strategy, threads):
    threads(2)
    arguments = strategies.random_dag(7, max_node=150)
    x, gy = draw(arguments, 50, np.random.default_rng(4))
    dag = gn.DagNN.from_edges(**arguments, dtype="float64")
    gx = run(dag, strategy, x, gy)[3]
    before = dag.gradients.copy()
    dag.requires_grad = False
    dag.forward(x)
    np.testing.assert_array_equal(dag.backward_accumulate(gy), gx)
    np.testing.assert_array_equal(dag.gradients, before)


def test_an_unknown_strategy_is_refused():
    dag = gn.DagNN.classifier(2, 3, 1)
    with pytest.raises(gn.UsageError, match="unknown strategy 'fast'; choose one of auto, tiles, levels"):
        dag.strategy = "fast"
    assert dag.strategy == "auto"
