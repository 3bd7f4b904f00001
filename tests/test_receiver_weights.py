"""The forward pass's copy of the weights: the right order for any graph, made whole or by parts, by any threads."""

from itertools import pairwise

import numpy as np
import pytest
import strategies

import grapheme_numba as gn
from grapheme_numba.network import parameters
from grapheme_numba.network.parameters import ReceiverWeights


def twin(dag, weights):
    """The weights (n_edge,) by receiver, then sender, as their edges say."""
    senders = np.repeat(np.arange(dag.n_node), np.diff(dag.t_indptr))
    return weights[np.lexsort((senders, dag.t_indices))]


def graphs():
    """Small graphs of every shape, and one whose rows are more than the nearest cache holds."""
    yield from (gn.DagNN.from_edges(**strategies.random_dag(seed, max_node=150)).dag for seed in range(10))
    yield gn.DagNN.layered((40, 1500, 1500, 9), 24, seed=1).dag


@pytest.mark.parametrize("few", [0, 10**9])
def test_the_copy_is_in_the_order_of_receivers(rng, threads, monkeypatch, few):
    monkeypatch.setattr(parameters, "FEW_EDGES", few)  # 0: threads share even a few edges
    for dag in graphs():
        weights = rng.standard_normal(dag.n_edge).astype(np.float32)
        for n in (1, 2):
            threads(n)
            np.testing.assert_array_equal(ReceiverWeights(dag, np.float32).of(weights), twin(dag, weights))


def test_the_largest_graph_fetches_ahead_and_the_others_do_not():
    *small, large = graphs()
    assert large.reach() > parameters.NEAR_NODES
    assert all(dag.reach() < parameters.NEAR_NODES for dag in small)


def test_parts_make_the_whole(rng, threads):
    """Each of three fills its edges, cut anywhere, into memory that all of them see."""
    threads(2)
    for dag in graphs():
        weights = rng.standard_normal(dag.n_edge).astype(np.float32)
        seen = np.full(dag.n_edge, np.nan, np.float32)
        cuts = [0, *np.sort(rng.integers(dag.n_edge + 1, size=2)).tolist(), dag.n_edge]
        for first, stop in pairwise(cuts):
            own = ReceiverWeights(dag, np.float32)
            own.bind(seen)
            own.fill(weights[first:stop].copy(), first)
        np.testing.assert_array_equal(seen, twin(dag, weights))


def test_it_is_made_again_only_when_weights_changed(rng):
    dag = next(graphs())
    copy, weights = ReceiverWeights(dag, np.float32), rng.standard_normal(dag.n_edge).astype(np.float32)
    first = copy.of(weights).copy()
    weights *= 2
    np.testing.assert_array_equal(copy.of(weights), first)
    copy.expire()
    np.testing.assert_array_equal(copy.of(weights), 2 * first)
