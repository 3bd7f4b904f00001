"""`DagNN` against its contract: shapes, accumulation, stepping, clipping, inits and the order of its arrays."""

import math

import naive
import numpy as np
import pytest
import strategies

import grapheme_numba as gn


def small(dtype="float32", **options):
    return gn.DagNN.layered([5, 12, 3], fan_in=4, skip=0.2, seed=3, dtype=dtype, **options)


def trained_once(dag, rng, batch=9):
    """A forward and a backward pass with drawn numbers; returns (x, y, gy, gx)."""
    x = rng.normal(size=(batch, dag.n_input)).astype(dag.dtype)
    gy = rng.normal(size=(batch, dag.n_output)).astype(dag.dtype)
    y = dag.forward(x)
    return x, y, gy, dag.backward_accumulate(gy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 2, 15, 16, 17, 100])
def test_shapes_and_dtypes(dtype, batch, rng):
    dag = small(dtype)
    _, y, _, gx = trained_once(dag, rng, batch)
    assert (dag.n_node, dag.n_input, dag.n_output, dag.n_level) == (20, 5, 3, 3)
    assert (y.shape, gx.shape, dag.activations().shape) == ((batch, 3), (batch, 5), (batch, 20))
    assert dag.weights.shape == dag.edge_grads.shape == (dag.n_edge,)
    assert dag.biases.shape == dag.bias_grads.shape == (20,)
    for array in (y, gx, dag.activations(), dag.weights, dag.biases, dag.edge_grads, dag.bias_grads):
        assert array.dtype == dtype


@pytest.mark.parametrize("name", strategies.ODD)
def test_counts_of_odd_networks(name):
    arguments = strategies.odd(name)
    dag = gn.DagNN.from_edges(**arguments)
    assert dag.n_level == max(naive.levels(strategies.twin(arguments))) + 1
    assert (dag.n_node, dag.n_edge) == (arguments["n_node"], len(arguments["senders"]))
    assert (dag.n_input, dag.n_output) == (len(arguments["inputs"]), len(arguments["outputs"]))


@pytest.mark.parametrize("seed", range(20))
def test_arrays_are_in_the_callers_order(seed, rng):
    """Weights, biases and activations come back as they went in, and every node's output is the twin's."""
    arguments = strategies.random_dag(seed)
    dag = gn.DagNN.from_edges(**arguments, dtype="float64")
    np.testing.assert_array_equal(dag.weights, arguments["weights"])
    np.testing.assert_array_equal(dag.biases, arguments["biases"])
    x = rng.normal(size=(7, dag.n_input))
    dag.forward(x)
    twin = strategies.twin(arguments)
    np.testing.assert_allclose(
        dag.activations(), [naive.activations(twin, row)[1] for row in x], rtol=1e-10, atol=1e-12
    )


def test_gradients_accumulate_until_zero_grad(rng):
    dag = small("float64")
    x, _, gy, gx = trained_once(dag, rng)
    once = dag.edge_grads.copy(), dag.bias_grads.copy()
    dag.forward(x)
    np.testing.assert_array_equal(dag.backward_accumulate(gy), gx)
    np.testing.assert_allclose(dag.edge_grads, 2 * once[0], rtol=1e-14)
    np.testing.assert_allclose(dag.bias_grads, 2 * once[1], rtol=1e-14)
    dag.zero_grad()
    assert not dag.edge_grads.any()
    assert not dag.bias_grads.any()


def test_a_second_backward_pass_of_one_forward_pass_adds_again(rng):
    dag = small("float64")
    _, _, gy, _ = trained_once(dag, rng)
    once = dag.edge_grads.copy()
    dag.backward_accumulate(gy)
    np.testing.assert_allclose(dag.edge_grads, 2 * once, rtol=1e-14)


def test_gradients_sum_over_examples(rng):
    """A batch's gradients are the sum of its examples' gradients, and gx has one row for each."""
    dag = small("float64")
    x, _, gy, gx = trained_once(dag, rng, 33)
    whole = dag.edge_grads.copy()
    dag.zero_grad()
    for i in range(33):
        dag.forward(x[i : i + 1])
        np.testing.assert_allclose(dag.backward_accumulate(gy[i : i + 1])[0], gx[i], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dag.edge_grads, whole, rtol=1e-11, atol=1e-13)


def test_step_is_plain_gradient_descent_and_keeps_the_gradients(rng):
    dag = small("float64")
    trained_once(dag, rng)
    weights, biases, edge_grads, bias_grads = dag.weights, dag.biases, dag.edge_grads.copy(), dag.bias_grads.copy()
    dag.step(0.25)
    np.testing.assert_allclose(dag.weights, naive.sgd(weights.tolist(), edge_grads.tolist(), 0.25), rtol=1e-14)
    np.testing.assert_allclose(dag.biases, naive.sgd(biases.tolist(), bias_grads.tolist(), 0.25), rtol=1e-14)
    np.testing.assert_array_equal(dag.edge_grads, edge_grads)
    assert not np.array_equal(dag.weights, weights)


def test_a_step_is_seen_by_the_next_forward_pass(rng):
    dag = small("float64")
    x, y, gy, _ = trained_once(dag, rng)
    dag.step(1e-6)
    drop = float(np.sum(gy * (y - dag.forward(x))))
    assert drop == pytest.approx(1e-6 * dag.grad_norm() ** 2, rel=1e-3)


def test_assigned_weights_and_elements_are_used(rng):
    dag = gn.DagNN.from_edges([0], [1], inputs=[0], outputs=[1], activation="linear", dtype="float64")
    dag.weights = np.array([3.0])
    dag.biases = np.array([0.0, 1.0])
    assert dag.forward(np.array([[2.0]]))[0, 0] == 7
    dag.weights[0] = 5.0
    dag.biases[1] = 2.0
    assert dag.forward(np.array([[2.0]]))[0, 0] == 12
    dag.weights *= 2
    assert dag.forward(np.array([[2.0]]))[0, 0] == 22


def test_norm_and_clip(rng):
    dag = small("float64")
    trained_once(dag, rng)
    both = np.concatenate([dag.edge_grads, dag.bias_grads])
    norm = naive.global_norm(both.tolist())
    assert dag.grad_norm() == pytest.approx(norm, rel=1e-13)
    assert dag.clip_grad_norm(2 * norm) == pytest.approx(norm, rel=1e-13)
    np.testing.assert_array_equal(np.concatenate([dag.edge_grads, dag.bias_grads]), both)
    assert dag.clip_grad_norm(norm / 4) == pytest.approx(norm, rel=1e-13)
    np.testing.assert_allclose(np.concatenate([dag.edge_grads, dag.bias_grads]), both / 4, rtol=1e-13)


def test_without_requires_grad_nothing_is_added(rng):
    dag = small("float64")
    x, _, gy, gx = trained_once(dag, rng)
    edge_grads, bias_grads = dag.edge_grads.copy(), dag.bias_grads.copy()
    dag.requires_grad = False
    dag.forward(x)
    np.testing.assert_array_equal(dag.backward_accumulate(gy), gx)
    np.testing.assert_array_equal(dag.edge_grads, edge_grads)
    np.testing.assert_array_equal(dag.bias_grads, bias_grads)


def test_inputs_have_no_bias(rng):
    dag = gn.DagNN.from_edges(**strategies.odd("character chain"), dtype="float64")
    trained_once(dag, rng)
    assert not dag.bias_grads.any()
    dag.step(1.0)
    assert not dag.biases.any()


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_dynamic_xavier_stays_within_each_edges_own_limit(seed):
    arguments = strategies.random_dag(5, max_node=60)
    del arguments["weights"]
    dag = gn.DagNN.from_edges(**arguments, seed=seed, dtype="float64")
    arguments["weights"] = dag.weights
    limits = np.array(naive.xavier_limits(strategies.twin(arguments)))
    assert np.all(np.abs(dag.weights) <= limits)
    assert np.abs(dag.weights / limits).max() > 0.8


def test_inits_fill_their_range_evenly():
    """20,000 draws: the mean is 0 and the variance that of a uniform law, each within 5 standard errors."""
    for init in ("dynamic_xavier", "xavier", "he", "uniform"):
        dag = gn.DagNN.random(1000, 20000, 10, 10, seed=6, init=init, dtype="float64")
        arrays = dag.topology()
        fan_in = np.bincount(arrays["receivers"], minlength=1000)[arrays["receivers"]]
        fan_out = np.bincount(arrays["senders"], minlength=1000)[arrays["senders"]]
        limit = {"he": np.sqrt(6 / fan_in), "uniform": 1 / np.sqrt(fan_in)}.get(init, np.sqrt(6 / (fan_in + fan_out)))
        scaled = dag.weights / limit
        assert np.abs(scaled).max() <= 1
        assert abs(scaled.mean()) < 5 * math.sqrt(1 / 3 / 20000)
        assert abs((scaled**2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / 20000)
    assert not gn.DagNN.random(100, 500, 5, 5, seed=6, init="zero").weights.any()


def test_seeds_decide_the_weights():
    def weights(seed, init="dynamic_xavier"):
        return gn.DagNN.from_edges([0, 0, 1], [1, 2, 2], inputs=[0], outputs=[2], seed=seed, init=init).weights

    np.testing.assert_array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))
    np.testing.assert_array_equal(weights(1), weights(1, "xavier"))


@pytest.mark.parametrize("seed", range(10))
def test_topology_and_parameters_make_the_same_network_again(seed, rng):
    dag = gn.DagNN.from_edges(**strategies.random_dag(seed))
    again = gn.DagNN.from_topology(dag.topology(), dtype="float32")
    again.parameters[:] = again.from_caller_order(dag.to_caller_order(dag.parameters))
    again.parameters_changed()
    x = rng.normal(size=(5, dag.n_input)).astype(np.float32)
    np.testing.assert_array_equal(again.forward(x), dag.forward(x))


def test_bound_parameters_live_in_the_owners_vector(rng):
    dag = small()
    x = rng.normal(size=(4, 5)).astype(np.float32)
    y, size = dag.forward(x), dag.n_edge + dag.n_node
    flat, grads = np.zeros(size + 3, np.float32), np.zeros(size + 3, np.float32)
    dag.bind(flat[:size], grads[:size])
    np.testing.assert_array_equal(dag.forward(x), y)
    dag.backward_accumulate(np.ones_like(y))
    assert grads[:size].any()
    assert not grads[size:].any()
    flat[:size] = 0
    dag.parameters_changed()
    assert not dag.forward(x).any()


def test_different_batch_sizes_in_turn_do_not_disturb_each_other(rng):
    """A smaller batch after a larger one must not see what the larger left in memory, nor its ragged tile."""
    dag, other = small("float64"), small("float64")
    for batch in (100, 1, 17, 33, 16, 2, 100):
        x = rng.normal(size=(batch, 5))
        gy = rng.normal(size=(batch, 3))
        np.testing.assert_array_equal(dag.forward(x), small("float64").forward(x))
        gx = dag.backward_accumulate(gy)
        other.zero_grad()
        other.forward(x)
        np.testing.assert_array_equal(gx, other.backward_accumulate(gy))
