"""BrainModel: gradients of mixed batches against differences, untouched neighbours, order, threads, flat vectors."""

import brain_cases
import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.models.structural import structural_weight
from grapheme_numba.network.dagnn import DagNN


def weighted_loss(model, batch, weight):
    return float((model.evaluate(batch).loss * weight).sum())


@pytest.mark.parametrize("kind", ["none", "sqrt", "sqrt1p"])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "leaky_relu"])
def test_gradients_are_central_differences(rng, kind, activation):
    """The structural weights are constant between jumps of a decoded length, so they are held fixed."""
    model = brain_cases.model("float64", activation=activation)
    batch = brain_cases.batch(rng, 37)
    result = brain_cases.accumulate(model, batch, kind)
    weight = structural_weight(kind, result.structural)
    assert np.ptp(weight) > 0 or kind == "none"
    start = model.parameters.copy()
    for _ in range(12):
        direction = rng.normal(size=start.size)
        direction[model.dag.n_edge : model._n_dag][model.dag.dag.is_input == 1] = 0.0  # inputs have no bias
        eps = 1e-6 / np.linalg.norm(direction)
        losses = []
        for sign in (1, -1):
            model.parameters[:] = start + sign * eps * direction
            model.parameters_changed()
            losses.append(weighted_loss(model, batch, weight))
        expected = (losses[0] - losses[1]) / (2 * eps)
        assert model.gradients @ direction == pytest.approx(
            expected, rel=1e-6, abs=1e-6 * np.linalg.norm(model.gradients)
        )


@pytest.mark.parametrize("kind", ["none", "sqrt", "sqrt1p"])
def test_every_single_gradient_of_the_embedding(rng, kind):
    model = brain_cases.model("float64")
    batch = brain_cases.batch(rng, 9)
    weight = structural_weight(kind, brain_cases.accumulate(model, batch, kind).structural)
    used = brain_cases.embedding_rows(batch)
    for row in [*used[:8].tolist(), *used[-4:].tolist()]:
        for column in range(brain_cases.DIM):
            losses = []
            for step in (1e-6, -2e-6):
                model.embedding.weights[row, column] += step
                losses.append(weighted_loss(model, batch, weight))
            model.embedding.weights[row, column] += 1e-6
            expected = (losses[0] - losses[1]) / 2e-6
            assert model.embedding.grads[row, column] == pytest.approx(expected, rel=1e-6, abs=1e-8)
    idle = np.setdiff1d(np.arange(model.layout.vocab_size), used)
    assert not model.embedding.grads[idle].any()


def test_sqrt_alone_stops_when_the_lengths_agree(rng):
    batch = brain_cases.batch(rng, 60, ["vision"])
    model = brain_cases.model("float64")
    agree = model.evaluate(batch).structural == 0
    some = np.flatnonzero(agree & (batch.n_active > 0))
    assert len(some) > 3
    part = Batch(*(np.ascontiguousarray(array[some]) for array in batch[:7]), None, None)
    norms = {}
    for kind in ("none", "sqrt", "sqrt1p"):
        model.zero_grad()
        brain_cases.accumulate(model, part, kind)
        norms[kind] = np.linalg.norm(model.gradients)
    assert norms["sqrt"] == 0.0
    assert norms["none"] == norms["sqrt1p"] > 0.0


@pytest.mark.parametrize("brain", ["math", "text", "timeseries", "vision"])
def test_other_brains_stay_untouched(rng, brain):
    """One brain's examples leave the others' output biases, output edges and embedding rows alone."""
    model = brain_cases.model("float64")
    batch = brain_cases.batch(rng, 40, [brain])
    brain_cases.accumulate(model, batch, "sqrt1p")
    caller = model.to_caller_order(model.gradients)
    edges, biases = caller[: model.dag.n_edge], caller[model.dag.n_edge : model._n_dag]
    graph = model.topology()
    own = model.layout.domains[model.layout.index(brain)]
    for column, output in enumerate(graph["outputs"].tolist()):
        mine = own.output_start <= column < own.output_start + own.n_output
        assert bool(biases[output]) == mine
        if not mine:
            assert not edges[graph["receivers"] == output].any()
    outside = np.setdiff1d(np.arange(model.layout.n_input), np.arange(own.input_start, own.input_start + own.n_input))
    assert not edges[np.isin(graph["senders"], graph["inputs"][outside])].any()
    touched = np.flatnonzero(model.embedding.grads.any(axis=1))
    assert set(touched) <= set(brain_cases.embedding_rows(batch).tolist())
    assert bool(len(touched)) == (own.input_type == "text")


def test_a_mixed_batch_is_the_sum_of_its_brains(rng):
    model = brain_cases.model("float64")
    batch = brain_cases.batch(rng, 50)
    whole = brain_cases.accumulate(model, batch, "sqrt1p")
    together = model.gradients.copy()
    model.zero_grad()
    for domain in range(4):
        rows = np.flatnonzero(batch.domain == domain)
        part = Batch(*(np.ascontiguousarray(array[rows]) for array in batch[:7]), None, None)
        result = brain_cases.accumulate(model, part, "sqrt1p")
        np.testing.assert_allclose(result.loss, whole.loss[rows], rtol=1e-12)
        np.testing.assert_array_equal(result.structural, whole.structural[rows])
        np.testing.assert_array_equal(result.right, whole.right[rows])
    np.testing.assert_allclose(model.gradients, together, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [32, 64, 256])
def test_an_epoch_in_batches_of_any_size(rng, size, threads):
    """The same weights to float32 rounding for any batch size, and the same bits for 1 and 2 threads."""
    batch = brain_cases.batch(rng, 300)
    weights = []
    for n_thread, batch_size in ((1, 300), (1, size), (2, size)):
        threads(n_thread)
        model = brain_cases.model()
        for first in range(0, 300, batch_size):
            part = Batch(*(array[first : first + batch_size] for array in batch[:7]), None, None)
            brain_cases.accumulate(model, part, "sqrt1p")
        model.parameters -= 0.05 / 300 * model.gradients
        weights.append(model.parameters)
    np.testing.assert_allclose(weights[1], weights[0], rtol=0, atol=2e-7)
    assert weights[1].tobytes() == weights[2].tobytes()


def test_forward_evaluate_and_accumulate_agree(rng):
    model = brain_cases.model()
    batch = brain_cases.batch(rng, 30)
    packed = model.own_outputs(batch)
    assert packed.shape == (30, model.layout.n_target)
    assert packed.dtype == np.float32
    for i, domain in enumerate(batch.domain.tolist()):
        assert not packed[i, model.layout.domains[domain].n_output :].any()
    before, result = model.evaluate(batch), brain_cases.accumulate(model, batch, "none")
    assert before.y_packed.tobytes() == packed.tobytes() == result.y_packed.tobytes()
    assert before.loss.tobytes() == result.loss.tobytes()


def test_what_cannot_be_judged_costs_nothing(rng):
    model = brain_cases.model("float64")
    batch = brain_cases.batch(rng, 80, ["vision"])
    unfit = np.flatnonzero(batch.n_active == 0)
    assert len(unfit) > 3
    part = Batch(*(np.ascontiguousarray(array[unfit]) for array in batch[:7]), None, None)
    result = brain_cases.accumulate(model, part, "sqrt1p")
    assert not result.loss.any()
    assert not result.structural.any()
    assert not result.right.any()
    assert not model.gradients.any()


def test_an_empty_batch_changes_nothing(rng):
    model = brain_cases.model()
    batch = brain_cases.batch(rng, 5)
    result = brain_cases.accumulate(model, Batch(*(array[:0] for array in batch[:7]), [], []), "sqrt1p")
    assert [len(array) for array in result] == [0, 0, 0, 0]
    assert not model.gradients.any()


def test_the_flat_vectors_hold_everything(rng):
    model = brain_cases.model()
    n_edge, n_node = model.dag.n_edge, model.dag.n_node
    assert (
        model.parameters.shape
        == model.gradients.shape
        == (n_edge + n_node + model.layout.vocab_size * brain_cases.DIM,)
    )
    flat = rng.normal(size=model.parameters.size).astype(np.float32)
    caller = model.to_caller_order(flat)
    np.testing.assert_array_equal(model.from_caller_order(caller), flat)
    np.testing.assert_array_equal(caller[n_edge + n_node :], flat[n_edge + n_node :])
    np.testing.assert_array_equal(model.to_caller_order(model.parameters)[:n_edge], model.dag.weights)
    model.parameters[-1] = 7.0
    assert model.embedding.weights[-1, -1] == 7.0


def test_a_model_rebuilt_from_its_topology_answers_the_same(rng):
    model = brain_cases.model()
    batch = brain_cases.batch(rng, 20)
    dag = DagNN.from_topology(model.topology())
    again = BrainModel(model.layout, dag, gn.Embedding(model.layout.vocab_size, brain_cases.DIM, init="zero"))
    again.parameters[:] = again.from_caller_order(model.to_caller_order(model.parameters))
    again.parameters_changed()
    assert again.own_outputs(batch).tobytes() == model.own_outputs(batch).tobytes()


def test_sizes_that_do_not_fit(rng):
    layout = brain_cases.layout()
    dag = gn.DagNN.classifier(4, 3, 2)
    with pytest.raises(gn.ShapeError, match="the network has 4 inputs and 2 outputs, the layout of brains math, text"):
        BrainModel(layout, dag, gn.Embedding(layout.vocab_size, brain_cases.DIM))
    with pytest.raises(gn.ShapeError, match="the embedding has 257 rows of 5, the layout needs 8450 of 3"):
        BrainModel(layout, brain_cases.model().dag, gn.Embedding(257, 5))


def test_learning_lowers_the_loss_of_every_brain(rng):
    model = brain_cases.model(hidden=(40, 30))
    batch = brain_cases.batch(rng, 60)
    first = model.evaluate(batch).loss
    for _ in range(600):
        model.zero_grad()
        brain_cases.accumulate(model, batch, "sqrt1p")
        model.parameters -= 0.3 / 60 * model.gradients
        model.parameters_changed()
    last = model.evaluate(batch).loss
    for domain in range(4):
        rows = (batch.domain == domain) & (batch.n_active > 0)
        assert last[rows].mean() < 0.9 * first[rows].mean()
