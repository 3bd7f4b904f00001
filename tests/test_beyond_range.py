"""Numbers that leave the range of float32: an error of ours, before anything is changed, never NaN without a word."""

import numpy as np
import pytest
import torch

import grapheme_numba as gn
from grapheme_numba.errors import NonFiniteError, UsageError
from grapheme_numba.estimators import DagClassifier
from grapheme_numba.kernels.engine import updates
from grapheme_numba.network import arrays

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 4)).astype(np.float32), RNG.normal(size=(5, 3)).astype(np.float32)


def network(**options):
    return gn.DagNN.layered([4, 8, 3], 3, seed=1, **options)


@pytest.mark.parametrize("lr", [1.0, 10.0, 1e3, 1e10, 1e30, 1e38, 1e39, 1e300])
@pytest.mark.parametrize("max_norm", [None, 1.0])
def test_a_loop_of_ones_own_ends_with_an_error_or_with_numbers(lr, max_norm):
    dag = network()
    try:
        for _ in range(100):
            _, gradient = gn.mse(dag.forward(X), T)
            dag.zero_grad()
            dag.backward_accumulate(gradient)
            if max_norm is not None:
                dag.clip_grad_norm(max_norm)
            dag.step(lr)
        assert np.isfinite(dag.forward(X)).all()
    except NonFiniteError:
        assert lr >= 10
    assert np.isfinite(dag.parameters).all()


@pytest.mark.parametrize("strategy", ["tiles", "levels"])
@pytest.mark.parametrize("aggregation", ["sum", "product"])
@pytest.mark.parametrize("batch", [1, 16, 17, 200])
def test_an_output_beyond_the_range_is_named(strategy, aggregation, batch):
    dag = gn.DagNN.from_edges(
        [0, 1], [2, 3], inputs=[0, 1], outputs=[2, 3], weights=[1e30, 1.0], activation="linear",
        aggregation=["sum", "sum", aggregation, "sum"],
    )  # fmt: skip
    dag.strategy = strategy
    x = np.ones((batch, 2), np.float32)
    x[-1, 0] = -1e30
    for call in (dag.forward, dag.record):
        with pytest.raises(NonFiniteError, match=rf"output 0 of example {batch - 1} is -inf: .* range of float32"):
            call(x)
    assert dag.forward_latest(x, learns=False)[-1, 0] == -np.inf
    with pytest.raises(NonFiniteError, match="range of float32"):
        gn.torch.DagLayer(dag)(torch.from_numpy(x))


@pytest.fixture(params=[0, arrays.FEW])
def few(request, monkeypatch):
    """Gradients are looked at by several threads, and by one."""
    monkeypatch.setattr(arrays, "FEW", request.param)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_within_a_limit_are_told_from_others(dtype):
    values = np.linspace(-3, 3, 1001).astype(dtype)
    for limit, wanted in ((2.9, False), (3.0, True), (np.inf, True)):
        assert updates.all_within(values, limit) is wanted
    for odd in (np.nan, np.inf, -np.inf):
        values[500] = odd
        assert not updates.all_within(values, float(np.finfo(dtype).max))


def test_a_step_changes_nothing_where_it_would_leave_the_range(few):
    dag = network()
    before = dag.parameters.copy()
    dag.forward(X)
    dag.backward_accumulate(np.ones((5, 3)))
    with pytest.raises(NonFiniteError, match=r"a step at lr=1e\+38 along a gradient of norm .* leaves the range of fl"):
        dag.step(1e38)
    assert np.array_equal(dag.parameters, before)
    dag.step(1e36)  # large, and held
    assert np.isfinite(dag.parameters).all()


def test_gradients_beyond_the_range_are_neither_clipped_nor_stepped_along(few):
    dag = network()
    dag.forward(X)
    for _ in range(20):
        dag.backward_accumulate(np.full((5, 3), 3e37))
    before = dag.parameters.copy()
    assert dag.grad_norm() == np.inf
    with pytest.raises(NonFiniteError, match="a gradient is not finite"):
        dag.clip_grad_norm(1.0)
    with pytest.raises(NonFiniteError, match="leaves the range"):
        dag.step(0.1)
    assert np.array_equal(dag.parameters, before)


def test_embeddings_shared_models_and_optimisers_say_so_too(few):
    embedding = gn.Embedding(3, 4)
    before = embedding.weights.copy()
    embedding.backward_accumulate([[0]], np.full((1, 1, 4), 1e30))
    with pytest.raises(NonFiniteError, match="leaves the range"):
        embedding.step(1e30)
    assert np.array_equal(embedding.weights, before)
    shared = gn.SharedAGIModel([("a", 3, 2)], hidden=[8], seed=0)
    shared.forward("a", np.ones((2, 3)))
    shared.accumulate_gradients("a", np.ones(2), np.full((2, 2), 1e20))
    with pytest.raises(NonFiniteError, match="leaves the range"):
        shared.apply_gradients(1e30)
    assert np.isfinite(shared.dag.parameters).all()
    for kind in (gn.optim.SGD, gn.optim.Momentum, gn.optim.AdamW):
        start = np.full(3, 1e38, np.float32)
        with pytest.raises(NonFiniteError, match="not finite after this step"):
            kind().update(start, np.full(3, -1e30, np.float32), kind().init(start), 3e38)


@pytest.mark.parametrize(
    "weights", [{0: 0, 1: 0}, {0: -1, 1: 1}, {0: np.nan, 1: 1}, {0: np.inf, 1: 1}], ids=["none", "-1", "nan", "inf"]
)
def test_class_weights_that_cannot_be_meant_are_refused_by_name(weights):
    with pytest.raises(UsageError, match="class_weight is .*; give finite weights of at least 0, and one above 0"):
        DagClassifier(class_weight=weights, max_iter=1).fit(X, [0, 1, 0, 1, 0])
