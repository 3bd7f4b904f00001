"""Scale-free and modular topologies, RadiX-Net as a network, and the null model that keeps degrees."""

import named_graphs
import numpy as np
import pytest

from grapheme_numba import DagNN
from grapheme_numba.errors import GraphError
from grapheme_numba.graph import topologies
from grapheme_numba.graph.dag import levels_of
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.graph.topologies import rewire
from grapheme_numba.kernels.graph.random_edges import below


def test_a_seed_decides_every_topology():
    for build in (
        lambda seed: topologies.scale_free(300, 3, 10, 5, seed),
        lambda seed: topologies.block_modular(4, 20, 5, 0.2, 9, 3, seed),
    ):
        assert [np.array_equal(a, b) for a, b in zip(build(1), build(1))] == [True] * 5
        assert not np.array_equal(build(1)[0], build(2)[0])


def test_scale_free_has_hubs_and_equal_in_degrees():
    senders, receivers, inputs, outputs, n_node = topologies.scale_free(5000, 4, 8, 10, seed=3)
    in_degree, out_degree = np.bincount(receivers, minlength=n_node), np.bincount(senders, minlength=n_node)
    assert set(in_degree[8:]) == {4}
    assert in_degree[:8].sum() == 0
    assert (senders < receivers).all()
    assert out_degree.max() > 40 * out_degree.mean()
    # Price's model: the share of nodes with at least k out-edges falls as a power of k.
    share = [(out_degree >= k).mean() for k in (4, 16, 64)]
    assert 0.5 < np.log(share[0] / share[1]) / np.log(share[1] / share[2]) < 2.0
    assert (inputs.tolist(), len(outputs)) == (list(range(8)), 10)


def test_blocks_listen_to_themselves():
    n_block, n_in = 5, 12
    for between, expected in ((0.0, 0.0), (0.3, 0.24), (1.0, 0.8)):
        senders, receivers, inputs, outputs, n_node = topologies.block_modular(n_block, 60, 6, between, n_in, 7, seed=1)
        block = np.where(np.arange(n_node) < n_in, np.arange(n_node), np.arange(n_node) - n_in) % n_block
        hidden = receivers < outputs[0]
        foreign = (block[senders] != block[receivers])[hidden].mean()
        assert abs(foreign - expected) < 0.06
        assert (senders < receivers).all()
        assert set(receivers[~hidden]) == set(outputs)


def test_every_topology_is_a_network(rng):
    for dag in (
        DagNN.scale_free(60, 3, 6, 4, dtype="float64"),
        DagNN.block_modular(3, 10, 4, 0.2, 6, 2, dtype="float64"),
        DagNN.radixnet(32, 2, dtype="float64"),
    ):
        x = rng.normal(size=(3, dag.n_input))
        dag.forward(x)
        gx = dag.backward_accumulate(np.ones((3, dag.n_output)))
        bumped = x.copy()
        bumped[:, 0] += 1e-6
        np.testing.assert_allclose((dag.forward(bumped) - dag.forward(x)).sum(1) / 1e-6, gx[:, 0], rtol=1e-4, atol=1e-6)


def test_rewiring_keeps_degrees_and_levels():
    for seed in range(40):
        graph = named_graphs.random_named(seed)
        level = levels_of(graph.senders, graph.receivers, graph.n_node)
        changed = rewire(graph, seed=seed)
        assert isinstance(changed, NamedGraph)
        for ends in ("senders", "receivers"):
            before, after = (np.bincount(getattr(g, ends), minlength=g.n_node) for g in (graph, changed))
            np.testing.assert_array_equal(before, after)
        assert (level[changed.senders] < level[changed.receivers]).all()
        pairs = set(zip(changed.senders.tolist(), changed.receivers.tolist()))
        assert len(pairs) == graph.n_edge
        np.testing.assert_array_equal(rewire(graph, seed=seed).receivers, changed.receivers)


def test_rewiring_a_network_mixes_it():
    dag = DagNN.layered([50, 50, 50, 10], 8, seed=4, dtype="float64")
    changed = rewire(dag, seed=1)
    assert isinstance(changed, DagNN)
    assert changed.dtype == np.float64
    assert changed.n_level == dag.n_level
    before, after = dag.topology(), changed.topology()
    pairs = [set(zip(t["senders"].tolist(), t["receivers"].tolist())) for t in (before, after)]
    # Two random graphs of these degrees share about 8 / 50 of their edges.
    assert len(pairs[0] & pairs[1]) < 0.25 * dag.n_edge
    np.testing.assert_array_equal(changed.weights, dag.weights)


def test_draws_are_even():
    state = np.array([88172645463325252], np.uint64)
    draws = [below(10, state) for _ in range(20000)]
    assert np.abs(np.bincount(draws, minlength=10) - 2000).max() < 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((topologies.scale_free, 20, 5, 4, 1), "fan_in is 5, but the first node after the inputs has only 4"),
        ((topologies.scale_free, 3, 1, 2, 2), "n_node is 3; give a whole number of at least 4"),
        ((topologies.block_modular, 4, 5, 2, 0.1, 3, 1), "n_in is 3, but each of the 4 blocks"),
        ((topologies.block_modular, 2, 5, 2, 1.5, 3, 1), "between is 1.5; give a share"),
    ],
)
def test_what_cannot_be_grown(arguments, message):
    build, *sizes = arguments
    with pytest.raises(GraphError, match=message):
        build(*sizes)
