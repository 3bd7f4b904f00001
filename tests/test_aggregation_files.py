"""Aggregations travel: through files of graphs and networks, copies, exports, pruning, evolution and runs."""

import copy
import json
import pickle

import naive
import named_graphs
import numpy as np
import onnxruntime
import pytest
import strategies
import torch
from runs import cli, small_data
from test_aggregations import draw_smooth, mixed, run

import grapheme_numba as gn
from grapheme_numba.errors import CheckpointError, GraphError
from grapheme_numba.graph.build import AGGREGATIONS
from grapheme_numba.graph.formats.dispatch import load_graph, save_graph
from grapheme_numba.graph.named import NamedGraph, named_graph
from grapheme_numba.network import saved
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import restore_model

KINDS = tuple(AGGREGATIONS)


def mixed_named(seed, **options):
    """A random graph with names and aggregations."""
    graph = named_graphs.random_named(seed, **options)
    rng = np.random.default_rng([41, seed])
    return named_graph(
        graph.senders, graph.receivers, graph.names, weights=graph.weights, inputs=graph.inputs,
        outputs=graph.outputs, activations=graph.activations, biases=graph.biases,
        aggregations=[KINDS[i] for i in rng.integers(len(KINDS), size=graph.n_node)],
    )  # fmt: skip


def network(seed, dtype="float64"):
    return gn.DagNN.from_edges(**mixed(seed), dtype=dtype)


def by_name(graph):
    return dict(zip(graph.names, graph.aggregations or ("sum",) * graph.n_node, strict=True))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "graphml", "npz", "npy", "json"])
def test_files_of_graphs_hold_them(tmp_path, suffix):
    for seed in range(40):
        graph = mixed_named(seed, closed_inputs=suffix == "json")
        save_graph(graph, tmp_path / f"graph.{suffix}")
        loaded = load_graph(tmp_path / f"graph.{suffix}")
        assert by_name(loaded) == by_name(graph)
        exact = loaded._replace(biases=graph.biases) if suffix == "json" else loaded  # divided and multiplied
        named_graphs.assert_same(graph, exact)


def test_networkx_holds_them():
    for seed in range(40):
        graph = mixed_named(seed)
        assert by_name(load_graph(graph.to_networkx())) == by_name(graph)


def test_a_graph_that_sums_is_written_as_ever(tmp_path):
    graph = named_graphs.random_named(5)
    for suffix in ("csv", "graphml", "npz"):
        save_graph(graph, tmp_path / f"graph.{suffix}")
    assert "aggregation" not in (tmp_path / "graph.nodes.csv").read_text()
    assert "aggregation" not in (tmp_path / "graph.graphml").read_text()
    assert b"aggregation" not in (tmp_path / "graph.npz").read_bytes()


def test_gene_sets_refuse_them_by_name(tmp_path):
    graph = named_graph([0, 1], [2, 2], ["a", "b", "root"], aggregations=["sum", "sum", "max"])
    with pytest.raises(GraphError, match="node 'root' aggregates by max, and a GMT file has no word for that"):
        save_graph(graph, tmp_path / "genes.gmt")


def test_a_table_with_an_unknown_one_names_the_node(tmp_path):
    (tmp_path / "g.csv").write_text("sender,receiver\na,b\na,c\n")
    (tmp_path / "g.nodes.csv").write_text("name,aggregation\na,\nb,max\nc,median\n")
    with pytest.raises(GraphError, match="node 'c' has the unknown aggregation 'median'; choose one of sum, mean"):
        load_graph(tmp_path / "g.csv")
    (tmp_path / "g.nodes.csv").write_text("name,aggregation\na,\nb,max\nc,\n")
    assert load_graph(tmp_path / "g.csv").aggregations == ("sum", "max", "sum")


def test_options_of_load_graph_keep_them():
    graph = mixed_named(3)
    renamed = load_graph(graph, names=[f"n{i}" for i in range(graph.n_node)])
    assert renamed.aggregations == graph.aggregations
    assert load_graph(gn.DagNN.from_graph(graph)).aggregations == graph.aggregations


@pytest.mark.parametrize("way", ["deepcopy", "copy", "pickle", "save", "topology", "graph"])
def test_copies_compute_the_same_bits(way, tmp_path):
    ways = {
        "deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": lambda one: pickle.loads(pickle.dumps(one)),
        "topology": lambda one: gn.DagNN.from_topology(
            one.topology(), weights=one.weights, biases=one.biases, dtype=one.dtype
        ),
        "graph": lambda one: gn.DagNN.from_graph(NamedGraph.of(one), dtype=one.dtype),
    }  # fmt: skip
    for seed in range(10):
        dag = network(seed)
        if way == "save":
            dag.save(tmp_path / "n.safetensors")
            other = gn.load(tmp_path / "n.safetensors")
        else:
            other = ways[way](dag)
        x, gy = draw_smooth(mixed(seed), 17, np.random.default_rng(seed))
        for ours, theirs in zip(run(dag, x, gy), run(other, x, gy), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_saved_network_says_that_old_readers_cannot_read_it(tmp_path, monkeypatch):
    plain, other = tmp_path / "plain.safetensors", tmp_path / "other.safetensors"
    gn.DagNN.from_edges([0], [1], inputs=[0], outputs=[1]).save(plain)
    network(1).save(other)
    versions = []
    for path in (plain, other):
        data = path.read_bytes()
        versions.append(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["version"])
    assert versions == ["1", "2"]
    monkeypatch.setattr(saved, "VERSIONS", ("1",))
    with pytest.raises(CheckpointError, match="has version 2 of its format, this program reads 1"):
        gn.DagNN.load(other)


@pytest.mark.filterwarnings("ignore:.*cannot be reached from any input")
@pytest.mark.parametrize("seed", range(10))
def test_pruning_keeps_them_and_the_strongest_edge(seed):
    dag = network(seed)
    small = gn.prune(dag, 0.3)
    assert by_name(NamedGraph.of(small)) == by_name(NamedGraph.of(dag))
    before, after = (np.bincount(one.topology()["receivers"], minlength=dag.n_node) for one in (dag, small))
    assert ((before > 0) == (after > 0)).all()


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_evolution_keeps_them_and_joins_products_by_one(method):
    kinds = np.resize(np.array(KINDS), 10 + 40 + 40 + 4).tolist()
    dag = gn.DagNN.layered([10, 40, 40, 4], 8, seed=6, aggregation=kinds, activation="tanh", dtype="float64")
    dag.keeps_deltas = True
    rng = np.random.default_rng(1)
    dag.forward(rng.normal(size=(20, 10)))
    dag.backward_accumulate(rng.normal(size=(20, 4)))
    moved = gn.evolve(dag, method, 0.3, seed=2)
    assert NamedGraph.of(moved).aggregations == NamedGraph.of(dag).aggregations
    new = np.array(moved.weights) != np.array(dag.weights)
    multiplies = np.array([kinds[node] == "product" for node in moved.topology()["receivers"]])
    assert new.sum() > 50
    np.testing.assert_array_equal(np.array(moved.weights)[new], multiplies[new])


def test_attribution_of_edges_is_weight_times_gradient(rng):
    for seed in range(20):
        arguments = mixed(seed)
        x, gy = draw_smooth(arguments, 6, np.random.default_rng(seed))
        dag = gn.DagNN.from_edges(**arguments, dtype="float64")
        twin, edges = strategies.twin(arguments), np.zeros(dag.n_edge)
        for row, upstream in zip(x.tolist(), gy.tolist(), strict=True):
            edges += np.abs(np.array(naive.backward(twin, [row], [upstream])[0]) * dag.weights) / len(x)
        np.testing.assert_allclose(gn.attribute(dag, x, gy).edges, edges, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("seed", range(30))
def test_onnx_and_torch_compute_the_same(seed):
    arguments = mixed(seed)
    x, gy = draw_smooth(arguments, 9, np.random.default_rng([43, seed]))
    x, gy = x.astype(np.float32), gy.astype(np.float32)
    dag = gn.DagNN.from_edges(**arguments)
    y, edge_grads, bias_grads, gx = run(dag, x, gy)
    graph = NamedGraph.of(dag)
    session = onnxruntime.InferenceSession(graph.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], y, rtol=1e-4, atol=1e-5 * (1 + np.abs(y).max()))
    module, given = graph.to_torch(), torch.from_numpy(x).requires_grad_()
    module(given).backward(torch.from_numpy(gy))
    free = np.ones(dag.n_node, bool)
    free[graph.inputs] = False
    trained = (given.grad, gx), (module.weights.grad, edge_grads), (module.free_biases.grad, bias_grads[free])
    for theirs, ours in trained:
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-3, atol=1e-5 * (1 + np.abs(ours).max()))


@pytest.mark.parametrize("seed", range(5))
def test_a_layer_in_pytorch_passes_gradcheck(seed):
    arguments = mixed(seed, max_node=12)
    x, _ = draw_smooth(arguments, 3, np.random.default_rng([44, seed]))
    layer = gn.torch.DagLayer(gn.DagNN.from_edges(**arguments, dtype="float64"))
    assert torch.autograd.gradcheck(layer, torch.from_numpy(x).requires_grad_(), eps=1e-6, atol=1e-6)


def test_a_run_keeps_them_in_its_checkpoints(tmp_path):
    data = small_data(tmp_path / "data")
    rng = np.random.default_rng(8)
    kinds = np.resize(np.array(KINDS), 30)
    dag = gn.DagNN.random(30, 120, 6, 5, seed=1)
    graph = NamedGraph.of(dag)._replace(weights=None, biases=None, activations=None, aggregations=tuple(kinds.tolist()))
    save_graph(graph._replace(names=tuple(f"g{i}" for i in range(30))), tmp_path / "g.graphml")
    options = ("--epochs", 1, "--embedding-dim", 2, "--fan-in", 6, "--log-format", "plain")
    result = cli("agi", "--data", data, "--graph", tmp_path / "g.graphml", "--output", tmp_path / "run", *options)
    assert result.exit_code == 0, result.output
    checkpoint = run_folder.find(tmp_path / "run")[0]
    model = restore_model(checkpoint)
    found = by_name(NamedGraph.of(model.dag))
    assert {name: found[name] for name in (f"g{i}" for i in range(30))} == {
        f"g{i}": "sum" if i in graph.inputs and i not in graph.receivers else kinds[i] for i in range(30)
    }
    manifest = json.loads((tmp_path / "run" / "checkpoint_last" / "manifest.json").read_text())
    assert manifest["version"] == 3  # texts enter with words and numbers
    for path in (tmp_path / "g.graphml", tmp_path / "run"):
        shown = cli("inspect", path, "--log-format", "json")
        assert shown.exit_code == 0, shown.output
        assert json.loads(shown.stdout)["network"]["aggregations"]["product"] >= 5
    x = rng.normal(size=(4, model.dag.n_input)).astype(np.float32)
    assert np.isfinite(model.dag.forward(x)).all()
    resumed = cli("agi", "--resume", "auto", "--output", tmp_path / "run", "--epochs", 2, "--override", *options[-2:])
    assert resumed.exit_code == 0, resumed.output
