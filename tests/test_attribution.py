"""Attributions against plain Python, their sum, and what lands in the files."""

import naive
import named_graphs
import numpy as np
import pytest
from pyarrow import parquet

from grapheme_numba import DagNN
from grapheme_numba.errors import ShapeError
from grapheme_numba.network.attribution import BATCH, attribute


def network(seed, **options):
    return DagNN.from_graph(named_graphs.random_named(seed), dtype="float64", **options)


def test_inputs_nodes_and_edges_are_those_of_the_twin(rng):
    for seed in range(30):
        graph = named_graphs.random_named(seed)
        dag = DagNN.from_graph(graph, dtype="float64")
        twin = naive.Graph(
            dag.n_node, graph.senders.tolist(), graph.receivers.tolist(), graph.inputs.tolist(),
            graph.outputs.tolist(), dag.weights.tolist(), dag.biases.tolist(), list(graph.activations),
        )  # fmt: skip
        x = rng.normal(size=(6, dag.n_input))
        gy = rng.normal(size=(6, dag.n_output))
        found = attribute(dag, x, gy)
        edges = np.zeros(dag.n_edge)
        for row, upstream in zip(x.tolist(), gy.tolist(), strict=True):
            by_edge, *_ = naive.backward(twin, [row], [upstream])
            edges += np.abs(np.array(by_edge) * dag.weights) / len(x)
        _, _, gx = naive.backward(twin, x.tolist(), gy.tolist())
        np.testing.assert_allclose(found.inputs, np.array(gx) * x, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.edges, edges, rtol=1e-9, atol=1e-12)
        assert not dag.gradients.any()


def test_without_biases_attributions_sum_to_the_output(rng):
    dag = DagNN.layered([8, 20, 20, 3], 5, skip=0.2, seed=2, dtype="float64")
    x = rng.normal(size=(BATCH + 30, 8))
    y = dag.forward(x)
    np.testing.assert_allclose(attribute(dag, x).inputs.sum(axis=1), y.max(axis=1), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(attribute(dag, x, 1).inputs.sum(axis=1), y[:, 1], rtol=1e-9, atol=1e-12)
    chosen = np.arange(len(x)) % 3
    picked = y[np.arange(len(x)), chosen]
    np.testing.assert_allclose(attribute(dag, x, chosen).inputs.sum(axis=1), picked, rtol=1e-9, atol=1e-12)


def test_an_input_that_matters_stands_out():
    dag = DagNN.from_edges([0, 1, 2], [2, 2, 3], inputs=[0, 1], outputs=[3], weights=[5.0, 0.1, 1.0])
    dag.names = ("strong", "weak", "middle", "end")
    found = attribute(dag, np.ones((4, 2)), "end")
    np.testing.assert_allclose(found.inputs, [[5.0, 0.1]] * 4, rtol=1e-6)
    np.testing.assert_allclose(found.edges, [5.0, 0.1, 5.1], rtol=1e-6)
    np.testing.assert_allclose(found.nodes, [5.0, 0.1, 5.1, 5.1], rtol=1e-6)


def test_files_hold_names(tmp_path, rng):
    dag = network(4)
    found = attribute(dag, rng.normal(size=(5, dag.n_input)))
    found.save(tmp_path / "attribution")
    inputs = parquet.read_table(tmp_path / "attribution" / "inputs.parquet")
    assert inputs.column_names == ["example", *(dag.names[node] for node in found.graph.inputs)]
    np.testing.assert_array_equal(inputs.column(1), found.inputs[:, 0])
    edges = parquet.read_table(tmp_path / "attribution" / "edges.parquet").to_pydict()
    assert list(zip(edges["sender"], edges["receiver"], edges["weight"])) == found.graph.to_edge_list()
    assert edges["saliency"] == found.edges.tolist()
    nodes = parquet.read_table(tmp_path / "attribution" / "nodes.parquet").to_pydict()
    assert nodes == {"name": list(dag.names), "saliency": found.nodes.tolist()}


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nobody", "output is 'nobody'; the network's outputs are "),
        (99, "output runs from 99 to 99; there are 0 to"),
        ([0.5], r"output has dtype float64 and shape \(1,\); give a number or name"),
        ([0, 0, 0], r"output has dtype int64 and shape \(3,\)"),
    ],
)
def test_what_cannot_be_explained(output, message):
    dag = network(4)
    with pytest.raises(ShapeError, match=message):
        attribute(dag, np.ones((2, dag.n_input)), output)
