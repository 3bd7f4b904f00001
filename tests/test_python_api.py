"""The public Python interface as its users write it: a network of their own, a layer of PyTorch, sparsity, files."""

import copy
import json

import numpy as np
import pytest
import torch

import grapheme_numba as gn
from grapheme_numba.errors import CheckpointError, MissingInputError, ShapeError, UsageError


@pytest.fixture
def dag(tmp_path):
    """A network on a graph of one's own, from a file, with names."""
    made = gn.DagNN.layered([4, 10, 10, 2], 4, skip=0.2, seed=3)
    graph = gn.NamedGraph.of(made, [f"gene {node}" for node in range(made.n_node)])
    gn.save_graph(graph._replace(activations=None, weights=None, biases=None), tmp_path / "pathways.graphml")
    return gn.DagNN.from_graph(tmp_path / "pathways.graphml", activation="tanh", dtype="float64")


def examples(n=120):
    x = np.random.default_rng(7).normal(size=(n, 4))
    return x, np.stack([np.tanh(x[:, 0] - x[:, 1]), 0.5 * np.tanh(x[:, 2])], axis=1)


def test_a_network_of_ones_own(dag, tmp_path):
    x, y = examples()
    history = gn.fit(
        dag, x, y, loss="mse", optimizer=gn.optim.AdamW(lr=1e-2), schedule=gn.optim.cosine(warmup=0.05), epochs=20,
        batch_size=64, validation=0.1, patience=5, callbacks=[lambda state: None], seed=0,
    )  # fmt: skip
    assert history["loss"].shape == history["val_loss"].shape
    assert history["loss"][-1] < history["loss"][0]
    dag.save(tmp_path / "net.safetensors")
    again = gn.DagNN.load(tmp_path / "net.safetensors")
    assert again.forward(x).tobytes() == dag.forward(x).tobytes()
    assert (again.names, again.dtype) == (dag.names, dag.dtype)
    line, *table = again.summary().splitlines()
    assert (
        repr(dag)
        == line
        == f"DagNN(26 nodes, {dag.n_edge} edges, {dag.n_level} levels, 4 inputs, 2 outputs, float64, named)"
    )
    assert table[0].split() == ["level", "nodes", "edges", "in", "in-degree", "out-degree", "activations"]
    assert [int(row.split()[1]) for row in table[1 : 1 + dag.n_level]] == np.diff(dag.dag.level_start).tolist()


def test_inside_pytorch(dag):
    layer = gn.torch.DagLayer(dag)
    model = torch.nn.Sequential(layer, torch.nn.Linear(2, 1, dtype=torch.float64))
    x, y = (torch.from_numpy(array) for array in examples())
    torch_optimizer, before = torch.optim.Adam(model.parameters(), lr=0.01), np.array(dag.weights)
    for _ in range(3):
        loss = torch.nn.functional.mse_loss(model(x), y[:, :1])
        torch_optimizer.zero_grad()
        loss.backward()
        torch_optimizer.step()
    assert not np.array_equal(dag.weights, before)
    np.testing.assert_array_equal(dag.forward(x.numpy()), layer(x).detach().numpy())


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_evolve_and_prune_leave_the_given_network(dag, method):
    x, y = examples()
    dag.keeps_deltas, dag.strategy = True, "tiles"
    dag.backward_accumulate(gn.mse(dag.forward(x), y)[1])
    weights, edges, answers = np.array(dag.weights), dag.topology(), dag.forward(x)
    moment = np.arange(dag.n_edge + dag.n_node, dtype=np.float64)
    dag.backward_accumulate(gn.mse(dag.forward(x), y)[1])
    grown, (grown_moment,) = gn.evolve(dag, method, fraction=0.3, seed=0, moments=[moment])
    pruned, (pruned_moment,) = gn.prune(dag, 0.5, moments=[moment])
    np.testing.assert_array_equal(dag.weights, weights)
    np.testing.assert_array_equal(dag.topology()["senders"], edges["senders"])
    new = grown.topology()
    moved = (new["senders"] != edges["senders"]) | (new["receivers"] != edges["receivers"])
    assert 10 < moved.sum() <= round(0.3 * dag.n_edge)  # fewer where few places are free
    np.testing.assert_array_equal(grown.weights, np.where(moved, 0, weights))
    np.testing.assert_array_equal(grown_moment, np.where(np.r_[moved, np.zeros(dag.n_node, bool)], 0, moment))
    assert pruned.n_edge == round(0.5 * dag.n_edge)
    of = dict(zip(zip(edges["senders"], edges["receivers"], strict=True), range(dag.n_edge), strict=True))
    kept = [of[pair] for pair in zip(pruned.topology()["senders"], pruned.topology()["receivers"], strict=True)]
    np.testing.assert_array_equal(pruned.weights, weights[kept])
    np.testing.assert_array_equal(pruned_moment, moment[[*kept, *range(dag.n_edge, len(moment))]])
    for new in (grown, pruned, gn.evolve(dag, method), gn.prune(dag, 0.9)):
        assert (new.names, new.keeps_deltas, new.strategy, new.dtype) == (dag.names, True, "tiles", dag.dtype)
    assert dag.forward(x).tobytes() == answers.tobytes()
    with pytest.raises(UsageError, match="density is 0; give a share above 0"):
        gn.prune(dag, 0)
    with pytest.raises(ShapeError, match=r"flat has shape \(3,\)"):
        gn.evolve(dag, "set", moments=[np.zeros(3)])


def test_attribution_is_gradient_times_input(dag):
    x = examples(20)[0]
    found = gn.attribute(dag, x, output=1)
    _, tape = dag.record(x)
    gx = tape.backward(np.tile([0.0, 1.0], (20, 1)))
    np.testing.assert_allclose(found.inputs, gx * x, rtol=1e-12)
    assert (found.nodes.shape, found.edges.shape) == ((dag.n_node,), (dag.n_edge,))


@pytest.mark.parametrize("way", ["deepcopy", "copy", "pickle", "save"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_copies_compute_the_same_bits_after_edges_have_moved(way, dtype, tmp_path, rng):
    import pickle

    dag = gn.DagNN.layered([20, 60, 60, 5], 12, skip=0.2, seed=4, dtype=dtype)
    for step in range(4):
        dag = gn.evolve(dag, "set", 0.3, (4, step))
    dag.weights = rng.normal(size=dag.n_edge)
    dag.requires_grad, dag.keeps_deltas, dag.strategy = False, True, "levels"
    if way == "save":
        dag.save(tmp_path / "n.safetensors")
        other = gn.DagNN.load(tmp_path / "n.safetensors")
    else:
        ways = {"deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}
        other = ways[way](dag)
        assert (other.requires_grad, other.keeps_deltas, other.strategy) == (False, True, "levels")
    x = rng.normal(size=(33, 20)).astype(dtype)
    np.testing.assert_array_equal(other.parameters, dag.parameters)
    assert other.forward(x).tobytes() == dag.forward(x).tobytes()
    assert other.dtype == dtype


def test_a_saved_network_that_is_damaged_is_refused(tmp_path, dag):
    path, bad = tmp_path / "n.safetensors", tmp_path / "bad.safetensors"
    dag.save(path)
    data = path.read_bytes()
    for place in np.random.default_rng(2).integers(len(data), size=150).tolist():
        bad.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        with pytest.raises(CheckpointError, match=r"damaged|not a|no safetensors|version|lacks"):
            gn.DagNN.load(bad)
    for cut in (0, 7, 100, len(data) - 1):
        bad.write_bytes(data[:cut])
        with pytest.raises(CheckpointError, match="no safetensors file, or a damaged one"):
            gn.DagNN.load(bad)
    with pytest.raises(MissingInputError, match="there is no file"):
        gn.DagNN.load(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        gn.DagNN.load(tmp_path)
    import safetensors.numpy

    bad.write_bytes(safetensors.numpy.save({"a": np.zeros(3)}))
    with pytest.raises(CheckpointError, match="not a grapheme_numba network"):
        gn.DagNN.load(bad)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert sorted(header) == ["dtype", "format", "sha256", "version"]
