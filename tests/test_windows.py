"""Gradients added window by window, and deltas in few rows: the same bits as one thread with room for all."""

import numpy as np
import pytest

from grapheme_numba import DagNN, jit
from grapheme_numba.network import execution_plan


def passes(dag, batch, rng):
    """Everything a backward pass gives, after two of them."""
    dag.zero_grad()
    dag.forward(rng.normal(size=(batch, dag.n_input)))
    gy = rng.normal(size=(batch, dag.n_output))
    dag.backward_accumulate(gy)
    return dag.backward_accumulate(gy / 3), dag.edge_grads, dag.bias_grads


def networks(dtype):
    """Long edges, short edges, a hub with more edges than a window, inputs that are outputs."""
    yield DagNN.random(300, 4000, 9, 7, seed=3, dtype=dtype)
    yield DagNN.layered([30, 40, 40, 40, 40, 40, 40, 20], 8, seed=1, dtype=dtype, activation="gelu")
    hub = np.arange(2, 400)
    yield DagNN.from_edges(
        np.concatenate([[0], np.ones(398, int), hub]), np.concatenate([[1], hub, np.full(398, 400)]),
        inputs=[0], outputs=[400, 0], dtype=dtype, seed=2,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("window", [1, 100, 1000])
def test_windows_of_any_size_give_the_same_bits(threads, monkeypatch, dtype, window):
    for dag, again in zip(networks(dtype), networks(dtype), strict=True):
        for batch in (70, 200):
            threads(1)
            wanted = passes(dag, batch, np.random.default_rng(batch))
            monkeypatch.setattr(execution_plan, "WINDOW", window)
            jit.set_threads(2)
            for again.strategy in ("tiles", "levels"):
                for again.keeps_deltas in (False, True):
                    found = passes(again, batch, np.random.default_rng(batch))
                    assert all(map(np.array_equal, wanted, found))
            monkeypatch.undo()


def test_deltas_need_as_many_rows_as_the_longest_edge_spans():
    layers = DagNN.layered([64] * 20, 4)
    assert execution_plan.Plan(layers.dag).rows_of_deltas() == 128
    x = np.ones((200, 64), np.float32)
    layers.forward(x)
    layers.backward_accumulate(x)
    assert layers.latest_tiles().deltas.shape[1] == 128
    assert layers.latest_tiles().deltas.shape[0] < layers.latest_tiles().activations.shape[0]
    chain = DagNN.from_edges([0, 1, 2, 0], [1, 2, 3, 3], inputs=[0], outputs=[3])
    assert execution_plan.Plan(chain.dag).rows_of_deltas() == 4


def test_a_plane_holds_a_window_not_all_edges(threads):
    dag = DagNN.layered([300] * 20, 24)
    threads(2)
    dag.strategy = "tiles"
    dag.forward(np.ones((200, 300)))
    dag.backward_accumulate(np.ones((200, 300)))
    windows = dag.passes.plan.windows()
    assert len(windows) > 3
    assert windows[0] == 0
    assert windows[-1] == dag.n_node
    assert dag.passes.room()._buffers["planes"].size < 2 * 2 * 1.2 * execution_plan.WINDOW


def test_without_gradients_the_forward_pass_takes_narrower_tiles_and_gives_the_same_bits(rng):
    dag = DagNN.layered([20, 14000, 14000, 5], 4)
    x, gy = rng.normal(size=(100, 20)), rng.normal(size=(100, 5))
    y, gx = dag.forward(x), dag.backward_accumulate(gy)
    wide = dag.latest_tiles().activations.shape[2]
    dag.requires_grad = False
    again = dag.forward(x)
    assert dag.latest_tiles().activations.shape[2] < wide
    assert np.array_equal(y, again)
    assert np.array_equal(gx, dag.backward_accumulate(gy))
    before = dag.edge_grads.copy()
    dag.backward_accumulate(gy)
    assert np.array_equal(before, dag.edge_grads)
