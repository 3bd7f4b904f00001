"""Nodes that take the mean, product, max or min: against differences, the plain-Python twin and work by hand."""

import hashlib
import math

import naive
import numpy as np
import pytest
import strategies
from test_gradients import BATCHES, assert_differences_agree, assert_same, run, twin_run

import grapheme_numba as gn
from grapheme_numba.errors import GraphError, ShapeError
from grapheme_numba.graph.build import AGGREGATIONS
from grapheme_numba.network.execution_plan import STRATEGIES

OTHERS = ("mean", "product", "max", "min")
CORNERED = ("relu", "leaky_relu", "elu")
MARGIN = 1e-4  # from ties and corners: ten steps of a difference


def mixed(seed, max_node=40, kinds=tuple(AGGREGATIONS), activation=None):
    """A random DAG whose nodes draw their aggregation."""
    arguments = strategies.random_dag(seed, max_node, activation)
    rng = np.random.default_rng([11, seed])
    arguments["aggregation"] = [kinds[i] for i in rng.integers(len(kinds), size=arguments["n_node"])]
    arguments["weights"] *= np.sqrt(np.bincount(arguments["receivers"])[arguments["receivers"]])
    return arguments


def is_smooth(graph, x, margin):
    """Whether one example is `margin` away from ties of the winners and corners of the activations."""
    pre, act = naive.activations(graph, x)
    for node, kind in enumerate(graph.aggregation):
        terms = sorted(naive.weighted_inputs(graph, node, act), reverse=kind == "max")
        # Inputs that are exactly 0 come from relus that are off: they tie, and none of them moves.
        tied = kind in ("max", "min") and len(terms) > 1 and abs(terms[1] - terms[0]) < margin
        if tied and (terms[0] != 0 or terms[1] != 0):
            return False
        if graph.activation[node] in CORNERED and abs(pre[node]) < margin:
            return False
    return all(map(math.isfinite, act))


def draw_smooth(arguments, batch, rng, margin=MARGIN):
    graph, rows = strategies.twin(arguments), []
    for _ in range(50 * batch):
        x = rng.normal(size=len(arguments["inputs"]))
        if is_smooth(graph, x.tolist(), margin):
            rows.append(x)
        if len(rows) == batch:
            break
    assert len(rows) == batch, "no examples away from ties"
    return np.array(rows), rng.normal(size=(batch, len(arguments["outputs"])))


@pytest.mark.parametrize("seed", range(200))
def test_random_dags_agree_with_the_twin_and_with_differences(seed):
    arguments = mixed(seed)
    rng = np.random.default_rng([12, seed])
    x, gy = draw_smooth(arguments, BATCHES[seed % 4], rng)
    dag = gn.DagNN.from_edges(**arguments, dtype="float64")
    assert_same(run(dag, x, gy), twin_run(arguments, x, gy))
    assert_differences_agree(dag, arguments["inputs"], x, gy, rng)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", strategies.ODD)
def test_odd_networks_agree_with_the_twin(name, kind, threads):
    arguments = strategies.odd(name)
    arguments["aggregation"] = [kind] * arguments["n_node"]
    rng = np.random.default_rng(13)
    x, gy = draw_smooth(arguments, 17, rng, 1e-9)
    threads(2)
    for strategy in ("tiles", "levels"):
        dag = gn.DagNN.from_edges(**arguments, dtype="float64")
        dag.strategy = strategy
        assert_same(run(dag, x, gy), twin_run(arguments, x, gy))


def digest(dag, strategy, x, gy):
    dag.strategy, dag.gradients[:] = strategy, 0.7
    parts = dag.forward(x), dag.backward_accumulate(gy), dag.edge_grads, dag.bias_grads
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(25))
def test_all_strategies_and_threads_give_the_same_bits(seed, dtype, threads):
    arguments = mixed(seed, 150, activation="tanh")
    for batch in (3, 64, 150):
        rng = np.random.default_rng([14, seed])
        x = rng.normal(size=(batch, len(arguments["inputs"]))).astype(dtype)
        gy = rng.normal(size=(batch, len(arguments["outputs"]))).astype(dtype)
        dag = gn.DagNN.from_edges(**arguments, dtype=dtype)
        seen = set()
        for n in (1, 2):
            threads(n)
            seen |= {digest(dag, strategy, x, gy) for strategy in STRATEGIES}
        assert len(seen) == 1


def test_windows_of_large_networks_give_the_same_bits(threads):
    """More edges than a window of the gradient planes holds, so that windows end inside levels."""
    kinds = np.resize(np.array(tuple(AGGREGATIONS)), 64 + 3 * 1500 + 10)
    dag = gn.DagNN.layered([64, 1500, 1500, 1500, 10], 32, seed=3, aggregation=kinds.tolist(), activation="tanh")
    assert len(dag.passes.plan.windows()) > 3
    rng = np.random.default_rng(15)
    x, gy = rng.normal(size=(70, 64)).astype(np.float32), rng.normal(size=(70, 10)).astype(np.float32)
    seen = set()
    for n in (1, 2):
        threads(n)
        seen |= {digest(dag, strategy, x, gy) for strategy in STRATEGIES}
    assert len(seen) == 1


@pytest.mark.parametrize("seed", range(20))
def test_single_precision_follows_double(seed):
    arguments = mixed(seed)
    x, gy = draw_smooth(arguments, 16, np.random.default_rng([16, seed]))
    double = run(gn.DagNN.from_edges(**arguments, dtype="float64"), x, gy)
    single = run(
        gn.DagNN.from_edges(**arguments, dtype="float32"), x.astype(np.float32), gy.astype(np.float32)
    )  # fmt: skip
    assert_same(single, double, rtol=1e-3, atol=1e-4)


def one_node(kind, weights, dtype="float64"):
    """Inputs 0, 1, ... into one linear node."""
    n = len(weights)
    return gn.DagNN.from_edges(
        range(n), [n] * n, inputs=range(n), outputs=[n], weights=weights, activation="linear", aggregation=kind,
        dtype=dtype,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("x", "y", "edge_grads"),
    [
        ([2.0, 3.0, 5.0], 30.0 * 24, [2 * 15 * 12, 3 * 10 * 8, 5 * 6 * 6]),
        ([0.0, 3.0, 5.0], 0.0, [0.0, 0.0, 0.0]),
        ([0.0, 0.0, 5.0], 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_a_product_by_hand(x, y, edge_grads):
    """With a zero among the inputs only that input has a gradient, with two nobody."""
    dag = one_node("product", [2.0, 3.0, 4.0])
    assert dag.forward([x]).tolist() == [[y]]
    gx = dag.backward_accumulate([[1.0]])[0]
    terms = [2 * x[0], 3 * x[1], 4 * x[2]]
    others = [terms[1] * terms[2], terms[0] * terms[2], terms[0] * terms[1]]
    assert gx.tolist() == [2 * others[0], 3 * others[1], 4 * others[2]]
    assert dag.edge_grads.tolist() == edge_grads


def test_a_weight_of_zero_in_a_product_learns():
    dag = one_node("product", [0.0, 3.0, 4.0])
    assert dag.forward([[2.0, 1.0, 1.0]]).tolist() == [[0.0]]
    assert dag.backward_accumulate([[1.0]]).tolist() == [[0.0, 0.0, 0.0]]
    assert dag.edge_grads.tolist() == [2 * 3 * 4, 0, 0]


@pytest.mark.parametrize(("kind", "x", "winner"), [("max", [1, 7, 7, 7], 1), ("min", [3, 3, 2, 2], 2)])
def test_of_several_winners_the_first_takes_the_gradient(kind, x, winner):
    dag = one_node(kind, np.ones(4))
    assert dag.forward(np.array([x], float))[0, 0] == (max if kind == "max" else min)(x)
    gx = dag.backward_accumulate([[2.0]])[0]
    assert gx.tolist() == [2.0 if i == winner else 0.0 for i in range(4)]


def test_a_mean_by_hand():
    dag = one_node("mean", [1.0, 2.0, 3.0, 4.0])
    assert dag.forward([[1.0, 1.0, 1.0, 1.0]]).tolist() == [[2.5]]
    assert dag.backward_accumulate([[1.0]]).tolist() == [[0.25, 0.5, 0.75, 1.0]]
    assert dag.edge_grads.tolist() == [0.25] * 4
    assert dag.bias_grads.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(("kind", "value"), [("sum", 0), ("mean", 0), ("product", 1), ("max", 0), ("min", 0)])
def test_without_inputs_a_node_is_its_bias_and_a_product_one_more(kind, value):
    dag = gn.DagNN.from_edges(
        [0, 1], [2, 2], inputs=[0], outputs=[2], weights=[1.0, 1.0], biases=[0.0, 0.25, 0.0], activation="linear",
        aggregation=["sum", kind, "sum"],
    )  # fmt: skip
    assert dag.forward(np.zeros((1, 1), np.float32)).tolist() == [[0.25 + value]]


def test_an_input_adds_what_it_is_given_to_its_aggregate():
    dag = gn.DagNN.from_edges(
        [0, 1], [2, 2], inputs=[0, 1, 2], outputs=[2], weights=[2.0, 3.0], aggregation="product", dtype="float64"
    )
    assert dag.forward([[1.0, 5.0, 100.0]]).tolist() == [[130.0]]
    assert dag.backward_accumulate([[1.0]]).tolist() == [[30.0, 6.0, 1.0]]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_is_not_lost(kind, place):
    """A sender whose value became NaN makes its receiver NaN, wherever it stands among the senders."""
    senders, receivers = [0, 0, 0, 1, 2, 3], [1, 2, 3, 4, 4, 4]
    biases = [0.0] * 5
    dag = gn.DagNN.from_edges(
        senders, receivers, inputs=[0], outputs=[4], weights=np.ones(6), biases=biases, activation="linear",
        aggregation=["sum"] * 4 + [kind],
    )  # fmt: skip
    dag.parameters[dag.n_edge + np.flatnonzero(dag.dag.node_order == 1 + place)] = np.nan
    assert np.isnan(dag.forward_latest(np.ones((1, 1), np.float32), learns=False)).all()


def test_networks_that_sum_go_the_way_they_went():
    arguments = strategies.random_dag(3)
    plain, said = gn.DagNN.from_edges(**arguments), gn.DagNN.from_edges(**arguments, aggregation="sum")
    for dag in (plain, said):
        assert dag.passes.rows is None
        assert dag.dag.aggregation.size == 0
        assert "aggregation" not in dag.topology()


@pytest.mark.parametrize(
    ("aggregation", "error", "message"),
    [
        ("median", GraphError, "unknown aggregation 'median'; choose one of sum, mean, product, max, min"),
        (["sum", 3], GraphError, "unknown aggregation 3; choose one of sum"),
        (["sum"], ShapeError, "aggregation lists 1 names for 2 nodes"),
    ],
)
def test_what_is_no_aggregation_says_so(aggregation, error, message):
    with pytest.raises(error, match=message):
        gn.DagNN.from_edges([0], [1], inputs=[0], outputs=[1], aggregation=aggregation)


def test_the_summary_names_them():
    dag = gn.DagNN.from_edges(
        [0, 0, 1, 2], [1, 2, 3, 3], inputs=[0], outputs=[3], activation="tanh", aggregation=["sum", "max", "sum", "min"]
    )
    rows = dag.summary().splitlines()
    assert rows[3].endswith("tanh, tanh(max)")
    assert rows[4].endswith("tanh(min)")
