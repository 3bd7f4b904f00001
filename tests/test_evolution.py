"""Edges that move, edges that go, nodes that go: what stays the same and what follows."""

import naive
import named_graphs
import numpy as np
import pytest

from grapheme_numba import DagNN
from grapheme_numba.errors import GraphError, ShapeError, UsageError
from grapheme_numba.graph.dag import levels_of
from grapheme_numba.kernels.sparsity.drop_and_grow import choose_smallest, would_be_gradient
from grapheme_numba.network.parameters import in_order
from grapheme_numba.sparsity.evolve import drop_and_grow_edges as evolve
from grapheme_numba.sparsity.prune import prune, without_dead_nodes


def network(seed=0, **options):
    """A layered network with distinct weights, gradients of one batch, and fake moments."""
    dag = DagNN.layered([20, 30, 30, 5], 6, skip=0.2, seed=seed, dtype="float64", **options)
    rng = np.random.default_rng([5, seed])
    dag.biases = np.where(np.arange(dag.n_node) < 20, 0.0, rng.normal(size=dag.n_node))
    dag.keeps_deltas = True
    dag.forward(rng.normal(size=(40, 20)))
    dag.backward_accumulate(rng.normal(size=(40, 5)))
    return dag, [dag.parameters * 2, np.concatenate([dag.parameters * 3, [7.0, 8.0]])]


def gradients_of(tiles, senders, receivers):
    pairs = zip(senders.tolist(), receivers.tolist(), strict=True)
    return np.array([would_be_gradient(tiles.activations, tiles.deltas, *pair) for pair in pairs])


def test_a_would_be_gradient_is_the_gradient_of_an_edge():
    dag, _ = network()
    senders = np.repeat(np.arange(dag.n_node, dtype=np.int32), np.diff(dag.dag.t_indptr))
    found = gradients_of(dag.latest_tiles(), senders, dag.dag.t_indices)
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
        tiles, old = dag.latest_tiles(), dag.topology()
        internal = np.empty(dag.n_node, np.int32)
        internal[dag.dag.node_order] = np.arange(dag.n_node)
        evolve(dag, method, 0.2, seed=1)
        new = dag.topology()
        moved = (old["senders"] != new["senders"]) | (old["receivers"] != new["receivers"])
        score = gradients_of(tiles, internal[new["senders"][moved]], internal[new["receivers"][moved]])
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
    dag.forward(np.ones((65, 4)))
    dag.backward_accumulate(np.ones((65, 2)))
    with pytest.raises(ShapeError, match="RigL reads every node's delta; set keeps_deltas = True"):
        evolve(dag, "rigl", 0.3, 0)
    with pytest.raises(UsageError, match="density is 0; give a share above 0"):
        prune(dag, 0)


def test_the_same_order_gives_the_same_bits(rng):
    """A network that evolved, and one built from its topology and given its order, round alike."""
    dag = DagNN.layered([20, 60, 60, 5], 12, skip=0.2, seed=4)
    for step in range(5):
        evolve(dag, "set", 0.3, (4, step))
    other = DagNN.from_topology(dag.topology(), init="zero")
    assert not np.array_equal(other.dag.node_order, dag.dag.node_order)
    in_order(other, dag.dag.node_order, dag.dag.level_start)
    for ours, theirs in zip(dag.dag, other.dag, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    other.parameters[:] = other.from_caller_order(dag.to_caller_order(dag.parameters))
    other.parameters_changed()
    x, gy = rng.normal(size=(33, 20)).astype(np.float32), rng.normal(size=(33, 5)).astype(np.float32)
    for network_ in (dag, other):
        network_.zero_grad()
    assert dag.forward(x).tobytes() == other.forward(x).tobytes()
    assert dag.backward_accumulate(gy).tobytes() == other.backward_accumulate(gy).tobytes()
    assert dag.gradients.tobytes() == other.gradients.tobytes()


def test_an_order_that_is_none_is_refused():
    dag, _ = network()
    order, levels = dag.dag.node_order, dag.dag.level_start
    with pytest.raises(GraphError, match="the stored order is not one of this network's nodes"):
        in_order(dag, order[:-1], levels)
    with pytest.raises(GraphError, match="the stored order is not one"):
        in_order(dag, order, levels[:-1])
    with pytest.raises(GraphError, match="an edge does not rise in the stored order"):
        in_order(dag, order[::-1], levels)


@pytest.mark.parametrize("n_wanted", [0, 1, 37, 200, 10_000])
def test_lost_edges_are_those_a_greedy_choice_takes(n_wanted):
    """Smallest first, never the last edge of a receiver: what a sort and a loop would do."""
    for seed in range(20):
        rng = np.random.default_rng([9, seed])
        receivers = rng.integers(0, 40, 300).astype(np.int32)
        weights = rng.normal(size=300).astype(np.float32) * 10.0 ** rng.integers(-9, 9, 300)
        weights = weights.astype(np.float32)
        lost = np.zeros(300, bool)
        found = choose_smallest(np.abs(weights).view(np.uint32), receivers, 40, n_wanted, lost)
        left, greedy = np.bincount(receivers, minlength=40), np.zeros(300, bool)
        for edge in np.argsort(np.abs(weights), kind="stable"):
            if greedy.sum() < n_wanted and left[receivers[edge]] > 1:
                left[receivers[edge]] -= 1
                greedy[edge] = True
        assert found == lost.sum()
        np.testing.assert_array_equal(lost, greedy)
