"""The hidden graph of several brains: sparse, acyclic, seeded, nothing out of reach (NetworkX is the oracle)."""

import networkx as nx
import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.models.hidden_graph import layered_topology, sharing

BRAINS = [("math", 20, 5), ("text", 60, 32), ("timeseries", 4, 3), ("vision", 16, 6)]
SLICES = list(gn.allocate_brain_slices(BRAINS).values())
SHAPES = [
    ([40, 30], 8, 0.0),
    ([40, 30], 8, 0.25),
    ([3], 2, 0.0),
    ([1], 1, 0.0),
    ([25, 25, 25, 25], 3, 0.5),
    ([9], 500, 0.0),
]


def graph_of(topology):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(topology.n_node))
    graph.add_edges_from(zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True))
    return graph


@pytest.mark.parametrize(("hidden", "fan_in", "skip"), SHAPES)
def test_every_brain_reaches_every_brain(hidden, fan_in, skip):
    topology = layered_topology(SLICES, hidden, fan_in, skip, seed=3)
    graph = graph_of(topology)
    assert graph.number_of_edges() == len(topology.senders)  # no edge twice
    assert np.all(topology.senders < topology.receivers)
    assert topology.n_node == 100 + sum(hidden) + 46
    ancestors = {output: nx.ancestors(graph, output) for output in topology.outputs.tolist()}
    for one in SLICES:
        for output in topology.outputs[one.output_range].tolist():
            assert set(topology.inputs[one.input_range].tolist()) <= ancestors[output]
            for other in SLICES:
                assert set(topology.inputs[other.input_range].tolist()) & ancestors[output]
    # nothing idle: every input and hidden node reaches an output
    assert set().union(*ancestors.values()) == set(range(topology.n_node - 46))


@pytest.mark.parametrize(("hidden", "fan_in", "skip"), SHAPES)
def test_what_is_shared(hidden, fan_in, skip):
    topology = layered_topology(SLICES, hidden, fan_in, skip, seed=3)
    graph = graph_of(topology)
    expected = 0
    for node in range(100, 100 + sum(hidden)):
        before, after = nx.ancestors(graph, node), nx.descendants(graph, node)
        expected += all(
            before & set(topology.inputs[one.input_range].tolist())
            and after & set(topology.outputs[one.output_range].tolist())
            for one in SLICES
        )
    found = sharing(*topology, SLICES)
    assert found.n_shared == expected
    assert expected > 0 or fan_in < len(SLICES)
    assert (found.n_node, found.n_edge, found.n_hidden) == (topology.n_node, graph.number_of_edges(), sum(hidden))
    assert found.n_level == len(list(nx.topological_generations(graph)))
    assert found.unreached == []


def test_brains_that_share_nothing_are_reported():
    slices = list(gn.allocate_brain_slices([("a", 1, 1), ("b", 1, 1)]).values())
    found = sharing(np.array([0, 1, 2, 3]), np.array([2, 3, 4, 5]), np.array([0, 1]), np.array([4, 5]), 6, slices)
    assert (found.n_hidden, found.n_shared, found.unreached) == (2, 0, [("b", "a"), ("a", "b")])


def test_each_first_node_reads_one_brain_and_all_are_dealt_evenly():
    topology = layered_topology(SLICES, [40, 30], 8, 0.0)
    in_degree = np.bincount(topology.receivers, minlength=topology.n_node)
    out_degree = np.bincount(topology.senders, minlength=topology.n_node)
    for node in range(100, 140):
        senders = topology.senders[topology.receivers == node].tolist()
        owner = SLICES[(node - 100) % 4]
        assert set(senders) <= set(owner.input_range)
        assert min(8, owner.n_input) <= len(senders) <= 10
    assert np.all(in_degree[:100] == 0)
    assert in_degree[140:170].tolist() == [8] * 30
    second = out_degree[100:140]
    assert second.min() >= 4
    assert second.max() <= 9  # 30 * 8 edges over 40 senders


@pytest.mark.parametrize("hidden", [[12], [3, 20]])
def test_a_first_layer_that_cannot_be_split_reads_every_brain(hidden):
    topology = layered_topology(SLICES, hidden, 8)
    for node in range(100, 100 + hidden[0]):
        senders = set(topology.senders[topology.receivers == node].tolist())
        assert all(senders & set(one.input_range) for one in SLICES)


def test_the_seed_decides():
    first, again, other = (layered_topology(SLICES, [40, 30], 8, 0.2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.senders, again.senders)
    assert not np.array_equal(first.senders, other.senders)


def test_skip_edges_of_an_output_come_from_its_own_brain():
    topology = layered_topology(SLICES, [40, 30], 8, 0.5)
    direct = [
        (sender, receiver - topology.outputs[0])
        for sender, receiver in zip(topology.senders.tolist(), topology.receivers.tolist(), strict=True)
        if sender < 100 and receiver >= topology.outputs[0]
    ]
    assert len(direct) == 46 * 4
    assert all(
        any(sender in one.input_range and output in one.output_range for one in SLICES) for sender, output in direct
    )


def test_activations_are_linear_at_both_ends():
    names = layered_topology(SLICES, [4], 8).activations("tanh")
    assert names == ["linear"] * 100 + ["tanh"] * 4 + ["linear"] * 46


@pytest.mark.parametrize(("hidden", "fan_in", "skip"), [([], 4, 0.0), ([0], 4, 0.0), ([4], 0, 0.0), ([4], 4, 1.0)])
def test_no_graph(hidden, fan_in, skip):
    with pytest.raises(gn.UsageError, match="make no graph; give at least one hidden layer"):
        layered_topology(SLICES, hidden, fan_in, skip)
