"""Networks that get thinner while they learn: what goes, what stays, and what follows."""

import named_graphs
import numpy as np
import pytest
from sklearn.datasets import load_iris

from grapheme_numba import DagNN
from grapheme_numba.errors import UsageError
from grapheme_numba.estimators import DagClassifier, DagRegressor
from grapheme_numba.sparsity.prune import BEGIN, END, edges_left, prune_to, without_dead_nodes

IRIS = load_iris(return_X_y=True)


def moments_of(dag):
    return dag.parameters * 2, dag.parameters * 3


def test_the_schedule_falls_from_all_to_the_share_that_stays():
    left = [edges_left(progress, 1000, 0.05) for progress in np.linspace(0, 1, 101)]
    assert left[: int(100 * BEGIN)] == [1000] * int(100 * BEGIN)
    assert left[int(100 * END) :] == [50] * (101 - int(100 * END))
    steps = -np.diff(left)
    assert steps.min() >= 0
    assert steps[12] > 5 * steps[50] > 0
    assert edges_left(1.0, 10, 0.001) == 1


def test_the_largest_weights_stay_with_what_belongs_to_them():
    dag = DagNN.layered([20, 30, 5], 12, seed=1, dtype="float64", activation="tanh")
    dag.biases = np.where(np.arange(55) < 20, 0.0, np.arange(55.0))
    weights, before = np.array(dag.weights), dag.topology()
    thinner, moments = prune_to(dag, 200, moments_of(dag))
    after = thinner.topology()
    of = {
        pair: w
        for *pair, w in zip(before["senders"].tolist(), before["receivers"].tolist(), weights)
        for pair in [tuple(pair)]
    }
    stayed = np.array([of[pair] for pair in zip(after["senders"].tolist(), after["receivers"].tolist(), strict=True)])
    np.testing.assert_array_equal(thinner.weights, stayed)
    np.testing.assert_array_equal(thinner.biases, dag.biases)
    for factor, moment in zip((2, 3), moments, strict=True):
        np.testing.assert_array_equal(moment, factor * thinner.parameters)
    assert 180 < thinner.n_edge <= 200
    # Only a last incoming edge, or one to a node that nothing depends on any more, breaks the rule of size.
    lost = np.sort(np.abs(weights))[: dag.n_edge - thinner.n_edge]
    assert np.mean(np.isin(np.abs(weights[np.abs(weights) < lost.max()]), np.abs(stayed))) < 0.1


@pytest.mark.filterwarnings("ignore:.*cannot be reached from any input")
@pytest.mark.parametrize("seed", range(30))
def test_what_is_left_is_of_use(seed):
    """No edge goes to a node that no output depends on, and a node that has one's ear hears something."""
    graph = named_graphs.random_named(seed)
    dag = DagNN.from_graph(graph, dtype="float64")
    thinner, _ = prune_to(dag, max(1, dag.n_edge // 3))
    assert thinner.names == dag.names
    assert thinner.n_edge <= dag.n_edge
    inputs = set(graph.inputs.tolist())
    heard_before, heard = (set(one.topology()["receivers"].tolist()) - inputs for one in (dag, thinner))
    names = set(without_dead_nodes(thinner).names)
    living = {node for node, name in enumerate(thinner.names) if name in names} - inputs
    assert thinner is dag or heard == heard_before & living


def test_a_network_thin_enough_is_left_alone():
    dag = DagNN.layered([4, 4, 2], 2)
    assert prune_to(dag, dag.n_edge)[0] is dag
    with pytest.raises(UsageError, match="n_edge is 0; a network needs at least one edge"):
        prune_to(dag, 0)


@pytest.mark.parametrize("estimator", [DagClassifier, DagRegressor])
@pytest.mark.parametrize("options", [{}, {"evolve": "rigl"}, {"early_stopping": True}, {"max_iter": 1}])
def test_density_is_what_remains(estimator, options):
    found = estimator("dense", hidden=(30,), density=0.2, **{"max_iter": 40, "random_state": 0, **options}).fit(*IRIS)
    n_output = found.network_.n_output
    full = 4 * 30 + 30 * n_output
    assert 0.15 * full < found.network_.n_edge <= 0.2 * full
    assert np.isfinite(found.predict(IRIS[0]).astype(float)).all()


def test_a_thin_network_learns_and_goes_on():
    found = DagClassifier("dense", hidden=(50,), density=0.1, warm_start=True, random_state=0).fit(*IRIS)
    n_edge = found.network_.n_edge
    assert n_edge <= 35
    assert found.score(*IRIS) > 0.95
    found.set_params(max_iter=5).fit(*IRIS)
    assert found.network_.n_edge == n_edge
    assert found.score(*IRIS) > 0.95


def test_early_stopping_brings_back_the_topology_of_its_best_epoch():
    """With edges that move, the best parameters alone would belong to other edges."""
    seen = []
    found = DagClassifier(
        hidden=(20,), fan_in=3, evolve="set", max_iter=60, early_stopping=True, n_iter_no_change=60,
        validation_fraction=0.4, random_state=0, callback=lambda one: seen.append(one.predict_proba(IRIS[0])),
    ).fit(*IRIS)  # fmt: skip
    best = int(np.argmax(found.validation_scores_))
    assert best + 1 < found.n_iter_
    # A copy numbers its nodes anew, and so adds in another order.
    np.testing.assert_allclose(found.predict_proba(IRIS[0]), seen[best], rtol=1e-12)


@pytest.mark.parametrize("density", [0, 1.5, -0.1])
def test_a_wrong_density(density):
    with pytest.raises(UsageError, match=f"density is {density}; give the share of edges to keep"):
        DagClassifier(density=density).fit(*IRIS)
