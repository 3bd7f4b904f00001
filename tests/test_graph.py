"""From edges to the internal order, and the ready-made topologies."""

import warnings

import naive
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import grapheme_numba as gn
from grapheme_numba.graph.build import ACTIVATIONS, build_dag
from grapheme_numba.kernels.graph import topology

STRUCTURE = ("senders", "receivers", "inputs", "outputs", "n_node", "activation")


def built(arguments):
    return build_dag(**{name: arguments[name] for name in STRUCTURE})


def cases():
    yield from (strategies.odd(name) for name in strategies.ODD)
    yield from (strategies.random_dag(seed, max_node=80) for seed in range(60))


def test_internal_order_keeps_every_edge_and_rises():
    """CSR and its transpose hold exactly the caller's edges, from lower to higher internal numbers."""
    for arguments in cases():
        dag = built(arguments)
        wanted = sorted(zip(arguments["senders"].tolist(), arguments["receivers"].tolist(), strict=True))
        receivers = np.repeat(np.arange(dag.n_node), np.diff(dag.indptr))
        senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
        order = dag.node_order
        assert sorted(zip(order[dag.indices].tolist(), order[receivers].tolist(), strict=True)) == wanted
        assert sorted(zip(order[senders].tolist(), order[dag.t_indices].tolist(), strict=True)) == wanted
        assert np.all(dag.indices < receivers)
        by_receiver = np.lexsort((senders, dag.t_indices))
        np.testing.assert_array_equal(dag.indices, senders[by_receiver])
        np.testing.assert_array_equal(receivers, dag.t_indices[by_receiver])
        np.testing.assert_array_equal(arguments["senders"][dag.edge_order], order[senders])
        np.testing.assert_array_equal(arguments["receivers"][dag.edge_order], order[dag.t_indices])


def test_rows_are_sorted():
    for arguments in cases():
        dag = built(arguments)
        for indptr, indices in ((dag.indptr, dag.indices), (dag.t_indptr, dag.t_indices)):
            rows = np.repeat(np.arange(dag.n_node), np.diff(indptr))
            keys = rows * dag.n_node + indices
            assert np.all(np.diff(keys) > 0)


def test_levels_are_topological_generations():
    for arguments in cases():
        dag = built(arguments)
        level = np.repeat(np.arange(dag.n_level), np.diff(dag.level_start))
        found = np.empty(dag.n_node, np.int64)
        found[dag.node_order] = level
        assert found.tolist() == naive.levels(strategies.twin(arguments))


def test_node_arrays_follow_the_order():
    for arguments in cases():
        dag = built(arguments)
        assert sorted(dag.node_order.tolist()) == list(range(dag.n_node))
        np.testing.assert_array_equal(dag.node_order[dag.inputs], arguments["inputs"])
        np.testing.assert_array_equal(dag.node_order[dag.outputs], arguments["outputs"])
        names = list(ACTIVATIONS)
        twin = strategies.twin(arguments)
        codes = [ACTIVATIONS[name] for name in names]
        assert [names[codes.index(code)] for code in dag.activation] == [
            twin.activation[node] for node in dag.node_order
        ]
        assert set(np.flatnonzero(dag.is_input)) == set(dag.inputs.tolist())
        assert set(np.flatnonzero(dag.is_output)) == set(dag.outputs.tolist())


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40, unique=True))
def test_any_edge_list_is_a_dag_or_a_named_cycle(edges):
    """Whatever the edges: accepted exactly if Kahn's order is complete; else the cycle named is really there."""
    edges = [(a, b) for a, b in edges if a != b]
    graph = naive.Graph(
        12, [a for a, _ in edges], [b for _, b in edges], [0], [0], [0] * len(edges), [0] * 12, ["relu"] * 12
    )
    arguments = dict(inputs=[0], outputs=[0], n_node=12)
    senders, receivers = np.array([a for a, _ in edges], int), np.array([b for _, b in edges], int)
    if len(naive.topological_order(graph)) == 12:
        assert build_dag(senders, receivers, **arguments).n_edge == len(edges)
    else:
        with pytest.raises(gn.CycleError, match="cycle") as caught:
            build_dag(senders, receivers, **arguments)
        nodes = caught.value.nodes
        assert len(set(nodes)) == len(nodes) >= 2
        assert set(zip(nodes, [*nodes[1:], nodes[0]], strict=True)) <= set(edges)


@pytest.mark.parametrize("kind", ["int32", "int64", "uint16", "list", "range"])
def test_ids_may_be_any_kind_of_whole_number(kind):
    senders, receivers = [0, 1], [1, 2]
    if kind == "range":
        senders, receivers = range(2), range(1, 3)
    elif kind != "list":
        senders, receivers = np.array(senders, kind), np.array(receivers, kind)
    assert gn.DagNN.from_edges(senders, receivers, inputs=[0], outputs=[2]).n_level == 3


def test_text_is_a_chain_of_inputs():
    dag = gn.DagNN.from_text("hello", activation="linear", init="he")
    arrays = dag.topology()
    assert (dag.n_node, dag.n_edge, dag.n_level, dag.n_input, dag.n_output) == (5, 4, 5, 5, 1)
    assert sorted(zip(arrays["senders"].tolist(), arrays["receivers"].tolist(), strict=True)) == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
    ]
    dag.weights = np.ones(4, np.float32)
    assert dag.forward(np.arange(5, dtype=np.float32)[None])[0, 0] == 10


def test_text_counts_characters_not_bytes():
    assert gn.DagNN.from_text("ü→🙂").n_node == 3
    assert gn.DagNN.from_text("a").n_edge == 0


def test_image_is_a_grid_of_inputs():
    dag = gn.DagNN.from_image(2, 3)
    arrays = dag.topology()
    edges = set(zip(arrays["senders"].tolist(), arrays["receivers"].tolist(), strict=True))
    assert edges == {(0, 1), (1, 2), (3, 4), (4, 5), (0, 3), (1, 4), (2, 5)}
    assert (dag.n_input, dag.n_output, dag.n_level) == (6, 1, 4)


def test_classifier_is_dense():
    dag = gn.DagNN.classifier(4, 6, 3)
    assert (dag.n_node, dag.n_edge, dag.n_level, dag.n_input, dag.n_output) == (13, 4 * 6 + 6 * 3, 3, 4, 3)


def test_layered_gives_every_node_its_fan_in():
    dag = gn.DagNN.layered([20, 30, 40, 10], fan_in=8, skip=0.25, seed=1)
    arrays = dag.topology()
    in_degree = np.bincount(arrays["receivers"], minlength=100)
    assert in_degree[:20].tolist() == [0] * 20
    assert in_degree[50:].tolist() == [8] * 50
    assert (dag.n_level, dag.n_input, dag.n_output) == (4, 20, 10)
    plain = gn.DagNN.layered([20, 30, 40, 10], fan_in=8, seed=1).topology()
    assert np.bincount(plain["receivers"], minlength=100)[20:].tolist() == [8] * 80


@pytest.mark.parametrize(("n_node", "n_edge"), [(30, 0), (30, 1), (30, 200), (30, 425), (2000, 50000)])
def test_random_has_exactly_the_edges_asked_for(n_node, n_edge):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few edges leave outputs unreached, which is what is asked for here
        dag = gn.DagNN.random(n_node, n_edge, 5, 4, seed=2)
    arrays = dag.topology()
    assert len(set(zip(arrays["senders"].tolist(), arrays["receivers"].tolist(), strict=True))) == n_edge
    assert np.all(arrays["senders"] < arrays["receivers"])
    assert np.all(arrays["receivers"] >= 5)


def test_small_world_has_ring_edges_and_shortcuts():
    dag = gn.DagNN.small_world(200, 4, 0.2, 10, 10, seed=3)
    arrays = dag.topology()
    span = arrays["receivers"] - arrays["senders"]
    assert np.all(span > 0)
    assert 0.6 < np.mean(span <= 4) < 0.9
    assert 700 < dag.n_edge <= 800
    regular = gn.DagNN.small_world(200, 4, 0.0, 10, 10, seed=3).topology()
    assert np.all((regular["receivers"] - regular["senders"] <= 4) | (regular["receivers"] - regular["senders"] >= 196))


@pytest.mark.parametrize("make", [
    lambda seed: gn.DagNN.layered([20, 30, 10], fan_in=5, skip=0.2, seed=seed),
    lambda seed: gn.DagNN.random(100, 900, 8, 8, seed=seed),
    lambda seed: gn.DagNN.small_world(100, 4, 0.3, 8, 8, seed=seed),
])  # fmt: skip
def test_topologies_are_functions_of_the_seed(make):
    first, again, other = make(1).topology(), make(1).topology(), make(2).topology()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["senders"], other["senders"])


def test_nodes_that_share_senders_stand_side_by_side():
    # Layers whose nodes read a narrow band of the layer before, under shuffled node ids.
    rng = np.random.default_rng(8)
    n_layer, width, fan_in = 5, 400, 8
    near = (np.arange(width)[:, None] + np.arange(fan_in)) % width
    senders = np.concatenate([(near + layer * width).ravel() for layer in range(n_layer - 1)])
    receivers = np.repeat(np.arange(width, n_layer * width), fan_in)
    ids = np.arange(n_layer * width)
    ids[width:] = rng.permutation(ids[width:])
    dag = build_dag(ids[senders], ids[receivers], inputs=ids[:width], outputs=ids[-width:])
    spread = np.maximum.reduceat(dag.indices, dag.indptr[width:-1]) - np.minimum.reduceat(
        dag.indices, dag.indptr[width:-1]
    )
    # In random order the eight senders of a node span about seven ninths of the layer.
    assert np.median(spread) <= 4 * fan_in


def test_nodes_are_sorted_by_keys_and_equal_ones_keep_their_order():
    generator = np.random.default_rng(0)
    for n in [*range(34), 1000, 1023, 1025]:
        keys, nodes = generator.integers(0, max(1, n // 3), n).astype(np.float64), generator.permutation(n).astype("i4")
        wanted = nodes[np.argsort(keys, kind="stable")]
        kept = np.concatenate([keys, [7.0]])  # room behind the keys of one level stays as it is
        topology.sort_by(kept, nodes, np.empty(n), np.empty(n, np.int32))
        np.testing.assert_array_equal(nodes, wanted)
        np.testing.assert_array_equal(kept, [*np.sort(keys), 7.0])
