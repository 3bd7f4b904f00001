"""Edges that move, edges that go, nodes that go: what stays the same and what follows."""

import naive
import named_graphs
import numpy as np
import pytest

from grapheme_numba import DagNN
from grapheme_numba.errors import ShapeError, UsageError
from grapheme_numba.evolution import evolve, prune, without_dead_nodes
from grapheme_numba.graph.rewiring import levels_of
from grapheme_numba.kernels.evolve import would_be_gradients


def network(seed=0, **options):
    """A layered network with distinct weights, gradients of one batch, and fake moments."""
    dag = DagNN.layered([20, 30, 30, 5], 6, skip=0.2, seed=seed, dtype="float64", **options)
    rng = np.random.default_rng([5, seed])
    dag.biases = np.where(np.arange(dag.n_node) < 20, 0.0, rng.normal(size=dag.n_node))
    dag.forward(rng.normal(size=(40, 20)))
    dag.backward_accumulate(rng.normal(size=(40, 5)))
    return dag, [dag.parameters * 2, np.concatenate([dag.parameters * 3, [7.0, 8.0]])]


def test_a_would_be_gradient_is_the_gradient_of_an_edge():
    dag, _ = network()
    senders = np.repeat(np.arange(dag.n_node, dtype=np.int32), np.diff(dag.dag.t_indptr))
    found = np.empty(dag.n_edge)
    would_be_gradients(dag._tiles.activations, dag._tiles.deltas, senders, dag.dag.t_indices, found)
    np.testing.assert_allclose(found, dag.gradients[: dag.n_edge], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_the_smallest_edges_move_and_the_rest_stays(method):
    dag, moments = network()
    before, weights, grads, biases = dag.topology(), np.array(dag.weights), dag.edge_grads, np.array(dag.biases)
    level = levels_of(before["senders"], before["receivers"], dag.n_node)
    parameters = dag.parameters
    n_moved = evolve(dag, method, 0.3, seed=(1, 2), moments=moments)
    after = dag.topology()
    moved = (before["senders"] != after["senders"]) | (before["receivers"] != after["receivers"])
    assert n_moved == moved.sum() == round(0.3 * dag.n_edge)
    assert np.abs(weights[moved]).max() <= np.sort(np.abs(weights))[int(0.45 * dag.n_edge)]
    np.testing.assert_array_equal(dag.weights, np.where(moved, 0.0, weights))
    np.testing.assert_array_equal(dag.edge_grads, np.where(moved, 0.0, grads))
    np.testing.assert_array_equal(dag.biases, biases)
    assert dag.parameters is parameters
    for factor, moment in zip((2, 3), moments, strict=True):
        np.testing.assert_array_equal(moment[: parameters.size], parameters * factor)
    assert moments[1][-2:].tolist() == [7.0, 8.0]
    joined = [set(zip(level[t["senders"]].tolist(), level[t["receivers"]].tolist())) for t in (before, after)]
    assert joined[1] <= joined[0]
    assert len(set(zip(after["senders"].tolist(), after["receivers"].tolist()))) == dag.n_edge
    assert np.bincount(after["receivers"], minlength=dag.n_node)[20:].min() >= 1


def test_a_moved_network_computes_what_its_edges_say(rng):
    dag, _ = network(activation="tanh")
    evolve(dag, "set", 0.5, seed=3)
    dag.parameters[: dag.n_edge] = rng.normal(size=dag.n_edge)
    dag.parameters_changed()
    arrays = dag.topology()
    twin = naive.Graph(
        dag.n_node, arrays["senders"].tolist(), arrays["receivers"].tolist(), arrays["inputs"].tolist(),
        arrays["outputs"].tolist(), dag.weights.tolist(), dag.biases.tolist(), ["tanh"] * dag.n_node,
    )  # fmt: skip
    x = rng.normal(size=(3, 20))
    np.testing.assert_allclose(dag.forward(x), naive.forward(twin, x.tolist()), rtol=1e-10)


def test_a_seed_decides_where_edges_go():
    dags = [network()[0] for _ in range(3)]
    for dag, seed in zip(dags, [(0, 5), (0, 5), (0, 6)], strict=True):
        evolve(dag, "set", 0.2, seed)
    first, same, other = (dag.topology()["senders"] for dag in dags)
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_rigl_finds_edges_with_large_gradients():
    """The mean would-be gradient of what RigL grows is far above that of what SET grows."""
    means = {}
    for method in ("set", "rigl"):
        dag, _ = network()
        tiles, old = dag._tiles, dag.topology()
        internal = np.empty(dag.n_node, np.int32)
        internal[dag.dag.node_order] = np.arange(dag.n_node)
        evolve(dag, method, 0.2, seed=1)
        new = dag.topology()
        moved = (old["senders"] != new["senders"]) | (old["receivers"] != new["receivers"])
        score = np.empty(int(moved.sum()))
        would_be_gradients(
            tiles.activations, tiles.deltas, internal[new["senders"][moved]], internal[new["receivers"][moved]], score
        )
        means[method] = np.abs(score).mean()
    assert means["rigl"] > 2 * means["set"]


def test_irregular_graphs_evolve_too():
    for seed in range(40):
        graph = named_graphs.random_named(seed)
        dag = DagNN.from_graph(graph, dtype="float64")
        evolve(dag, "set", 0.4, seed)
        assert dag.n_edge == graph.n_edge
        assert dag.names == graph.names
        dag.forward(np.ones((2, dag.n_input)))


@pytest.mark.parametrize("density", [1.0, 0.5, 0.3])
def test_pruning_keeps_the_largest(density):
    dag, _ = network()
    smaller = prune(dag, density)
    assert smaller.n_edge == dag.n_edge - round((1 - density) * dag.n_edge)
    kept = np.abs(np.array(smaller.weights))
    assert kept.sum() > density * np.abs(np.array(dag.weights)).sum() * (1.0 if density == 1.0 else 1.2) - 1e-9
    np.testing.assert_array_equal(smaller.biases, dag.biases)


def test_dead_nodes_go_and_the_outputs_stay(rng):
    for seed in range(60):
        dag = DagNN.from_graph(named_graphs.random_named(seed), dtype="float64")
        smaller = without_dead_nodes(dag)
        assert set(smaller.names) <= set(dag.names)
        x = rng.normal(size=(4, dag.n_input))
        np.testing.assert_allclose(smaller.forward(x), dag.forward(x), rtol=1e-12, atol=1e-12)
    dag = DagNN.from_edges([0, 0, 1], [1, 2, 3], inputs=[0], outputs=[2])
    assert without_dead_nodes(dag).n_node == 2


def test_what_is_refused():
    dag = DagNN.layered([4, 4, 2], 2)
    with pytest.raises(UsageError, match="the evolution is 'grow' with the fraction 0.3; choose one of set, rigl"):
        evolve(dag, "grow", 0.3, 0)
    with pytest.raises(UsageError, match="fraction 1.0; choose"):
        evolve(dag, "set", 1.0, 0)
    with pytest.raises(ShapeError, match="there is no forward pass"):
        evolve(dag, "rigl", 0.3, 0)
    with pytest.raises(UsageError, match="density is 0; give a share above 0"):
        prune(dag, 0)
