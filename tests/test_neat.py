"""neat-python's genomes: its own activation is the oracle."""

import math
import warnings

import msgspec
import neat
import numpy as np
import pytest
from neat import activations as theirs
from neat.export.exporters import export_feedforward
from neat.nn import FeedForwardNetwork

from grapheme_numba import DagNN
from grapheme_numba.errors import GraphError
from grapheme_numba.graph.build import AGGREGATIONS
from grapheme_numba.graph.formats.dispatch import load_graph, save_graph
from grapheme_numba.graph.formats.neat import FUNCTIONS, parse
from grapheme_numba.kernels.engine import rare_activations

N_GENOME = 50


def genome(seed, functions, aggregations=("sum",)):
    """A random feed-forward network as neat-python builds one, with nodes it never evaluates.

    Of other aggregations than the sum, half of the responses are below 0, and some nodes have no inputs.
    """
    rng = np.random.default_rng([31, seed])
    n_in, n_hidden, n_out = (int(n) for n in rng.integers(1, (6, 20, 5)))
    inputs, outputs = [-1 - i for i in range(n_in)], list(range(n_out))
    hidden = list(range(n_out, n_out + n_hidden))
    order = [*inputs, *(int(key) for key in rng.permutation(hidden)), *outputs]
    pairs = [(a, b) for j, b in enumerate(order) if b >= 0 for a in order[:j] if a < 0 or a >= n_out]
    pairs = [pairs[i] for i in np.flatnonzero(rng.random(len(pairs)) < 0.4)]
    evaluated = []
    layers, _ = neat.graphs.feed_forward_layers(inputs, outputs, pairs)
    for node in (node for layer in layers for node in layer):
        name = functions[int(rng.integers(len(functions)))]
        links = [(a, float(rng.normal())) for a, b in pairs if b == node]
        bias, response = float(rng.normal()) * 0.5, float(rng.normal(1.0, 0.3))
        kind = aggregations[0]
        if aggregations != ("sum",):
            kind = aggregations[int(rng.integers(len(aggregations)))]
            response *= float(rng.choice((-1.0, 1.0)))
            links = links if rng.random() < 0.9 else []
        function = getattr(theirs, f"{name}_activation")
        combine = getattr(neat.aggregations, f"{kind}_aggregation")
        evaluated.append((node, function, combine, bias, response, links))
    return FeedForwardNetwork(inputs, outputs, evaluated)


def exported(network):
    """The bytes of neat-python's export, whose clock newer Pythons warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return msgspec.json.encode(export_feedforward(network))


BOUNDED = ["sigmoid", "tanh", "sin", "gauss", "relu", "elu", "identity", "lelu", "selu", "softplus", "clamped"]
BOUNDED += ["abs", "hat"]


@pytest.mark.filterwarnings("ignore:.*cannot be reached from any input")
@pytest.mark.parametrize("kinds", [("mean",), ("product",), ("max",), ("min",), tuple(AGGREGATIONS)], ids="-".join)
@pytest.mark.parametrize("seed", range(N_GENOME))
def test_genomes_of_other_aggregations_agree_too(seed, kinds, tmp_path):
    """Also after a way through our own export."""
    network = genome(seed, BOUNDED, kinds)
    path, again = tmp_path / "genome.json", tmp_path / "again.json"
    path.write_bytes(exported(network))
    dag = DagNN.from_graph(path, dtype="float64")
    x = np.random.default_rng([37, seed]).normal(size=(8, dag.n_input))
    expected = np.array([network.activate(row) for row in x.tolist()])
    np.testing.assert_allclose(dag.forward(x), expected, rtol=1e-9, atol=1e-9)
    save_graph(load_graph(path), again)
    np.testing.assert_allclose(DagNN.from_graph(again, dtype="float64").forward(x), expected, rtol=1e-9, atol=1e-9)
    single = DagNN.from_graph(path).forward(x.astype(np.float32))
    np.testing.assert_allclose(single, expected, rtol=1e-5, atol=1e-5 * (1 + np.abs(expected).max()))


@pytest.mark.filterwarnings("ignore:.*cannot be reached from any input")
@pytest.mark.parametrize("seed", range(N_GENOME))
def test_genomes_agree_with_their_own_activation(seed, tmp_path):
    network = genome(seed, BOUNDED)
    path = tmp_path / "genome.json"
    path.write_bytes(exported(network))
    dag = DagNN.from_graph(path, dtype="float64")
    x = np.random.default_rng([37, seed]).normal(size=(8, dag.n_input))
    expected = np.array([network.activate(row) for row in x.tolist()])
    np.testing.assert_allclose(dag.forward(x), expected, rtol=1e-9, atol=1e-9)
    single = DagNN.from_graph(path)
    np.testing.assert_allclose(single.forward(x.astype(np.float32)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_is_theirs_and_its_gradient_is_a_difference(name):
    """One node with an edge of weight 0.7, a bias and a response; points beside the corners and limits."""
    function = getattr(theirs, f"{name}_activation")
    node = (0, function, neat.aggregations.sum_aggregation, 0.11, 0.8, [(-1, 0.7)])
    dag = DagNN.from_graph(parse(exported(FeedForwardNetwork([-1], [0], [node]))), dtype="float64")
    x = np.array([[-4.3], [-1.7], [-0.31], [0.0], [0.01], [0.6], [2.9], [150.0]])
    x = x[:-1] if name == "cube" else x
    expected = [function(0.11 + 0.8 * 0.7 * value) for value in x[:, 0].tolist()]
    np.testing.assert_allclose(dag.forward(x)[:, 0], expected, rtol=1e-9, atol=1e-12)
    gradient = dag.backward_accumulate(np.ones((len(x), 1)))
    step = 1e-6
    differences = (dag.forward(x + step) - dag.forward(x - step)) / (2 * step)
    np.testing.assert_allclose(gradient, differences, rtol=1e-4, atol=1e-6)


def test_every_function_of_theirs_is_known():
    named = {name.removesuffix("_activation") for name in vars(theirs) if name.endswith("_activation")}
    assert named - {"validate"} == set(FUNCTIONS)


def test_corners_and_limits_have_no_slope():
    for kind in (rare_activations.ABS, rare_activations.HAT):
        assert rare_activations.derivative(kind, 0.0) == 0.0
    assert rare_activations.function(rare_activations.INVERSE, 0.0) == 0.0
    assert rare_activations.derivative(rare_activations.INVERSE, 0.0) == 0.0
    assert rare_activations.derivative(rare_activations.EXP, 61.0) == 0.0
    assert rare_activations.derivative(rare_activations.LOG, -1.0) == 0.0
    assert rare_activations.function(rare_activations.LOG, -1.0) == math.log(1e-7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["nodes"][0]["aggregation"].update(name="median"), "aggregates by 'median'; known are sum"),
        (lambda data: data["nodes"][0]["aggregation"].update(custom=True), "a function of its own, 'sum'"),
        (lambda data: data["nodes"][0]["activation"].update(name="mine", custom=True), "has the activation 'mine'"),
        (lambda data: data.update(network_type="recurrent"), "the export is of a recurrent network"),
        (lambda data: data["connections"][0].update({"from": 99}), "joins a node that is not listed"),
        (lambda data: data["connections"][0].update(to=-1), "enters the input -1"),
        (lambda data: data["nodes"].append(data["nodes"][0]), "nodes share"),
        (lambda data: data.pop("topology"), "missing required field `topology`"),
        (lambda data: data["nodes"][0].update(bias="high"), "not a neat-python JSON export: Expected `float`"),
    ],
)
def test_what_an_export_must_be(change, message, tmp_path):
    data = msgspec.json.decode(exported(genome(1, ["tanh"])))
    change(data)
    path = tmp_path / "genome.json"
    path.write_bytes(msgspec.json.encode(data))
    with pytest.raises(GraphError, match=message):
        load_graph(path)


def test_a_disabled_connection_carries_nothing():
    data = msgspec.json.decode(exported(genome(2, ["tanh"])))
    n_edge = parse(msgspec.json.encode(data)).n_edge
    data["connections"][0]["enabled"] = False
    assert parse(msgspec.json.encode(data)).n_edge == n_edge - 1
