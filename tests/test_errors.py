"""Every message of the library's boundary: what was wrong, what came, what was wanted, what to do."""

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.errors import GraphemeError

EDGES = dict(inputs=[0], outputs=[2])


def dag(**options):
    return gn.DagNN.from_edges([0, 0, 1], [1, 2, 2], **EDGES, **options)


@pytest.mark.parametrize(
    ("senders", "receivers", "options", "error", "message"),
    [
        (
            [0, 1, 2],
            [1, 2, 1],
            {},
            gn.CycleError,
            r"cycle of 2 nodes: (1 -> 2 -> 1|2 -> 1 -> 2); .* remove at least one",
        ),
        ([0, 1, 1], [1, 1, 2], {}, gn.GraphError, "edge 1 is a self loop at node 1; remove it"),
        ([0, 1, 0], [1, 2, 1], {}, gn.GraphError, "edge 2 from node 0 to node 1 repeats edge 0; remove one, or merge"),
        (
            [0, 1],
            [1, 7],
            dict(n_node=3),
            gn.GraphError,
            "edge 1 goes from node 1 to node 7, but node ids run from 0 to 2",
        ),
        ([0, -1], [1, 2], {}, gn.GraphError, r"senders\[1\] is -1; node ids are whole numbers from 0 to"),
        ([0, 2**40], [1, 2], {}, gn.GraphError, r"senders\[1\] is 1099511627776; node ids are whole numbers from 0 to"),
        ([0, 1], [1], {}, gn.ShapeError, "senders and receivers .* have 2 and 1 entries; give one sender"),
        ([[0, 1]], [1, 2], {}, gn.ShapeError, r"senders has shape \(1, 2\); give a one-dimensional array"),
        ([0.0, 1.0], [1, 2], {}, gn.ShapeError, "senders has dtype float64; node ids are whole numbers"),
        ([0, 1], [1, 2], dict(n_node=0), gn.GraphError, "the graph is empty: it has no nodes"),
        (
            [0, 1],
            [1, 2],
            dict(activation="swish"),
            gn.GraphError,
            "unknown activation 'swish'; choose one of linear, relu",
        ),
        (
            [0, 1],
            [1, 2],
            dict(activation=["relu"]),
            gn.ShapeError,
            "activation lists 1 names for 3 nodes; give one name",
        ),
        ([0, 1], [1, 2], dict(init="xaver"), gn.GraphError, "unknown init 'xaver'; choose one of dynamic_xavier"),
        (
            [0, 1],
            [1, 2],
            dict(dtype="float16"),
            gn.ShapeError,
            "dtype is 'float16'; choose 'float32', 'float64' or 'bfloat16'",
        ),
        (
            [0, 1],
            [1, 2],
            dict(dtype="nonsense"),
            gn.ShapeError,
            "dtype is 'nonsense'; choose 'float32', 'float64' or 'bfloat16'",
        ),
        ([0, 1], [1, 2], dict(weights=[1.0]), gn.ShapeError, r"weights has shape \(1,\); wanted \(2,\)"),
        (
            [0, 1],
            [1, 2],
            dict(weights=[1, np.nan]),
            gn.ShapeError,
            r"weights\[1\] is nan; every value must be a finite",
        ),
        (
            [0, 1],
            [1, 2],
            dict(biases=[0, np.inf, 0]),
            gn.ShapeError,
            r"biases\[1\] is inf; every value must be a finite",
        ),
        (
            [0, 1],
            [1, 2],
            dict(biases=[1, 0, 0]),
            gn.GraphError,
            "a bias of an input node is not 0; inputs have no bias",
        ),
        ([0, 1], [1, 2], dict(n_node=2.5), gn.GraphError, "n_node is 2.5; give a whole number"),
        ([0, 1], [1, 2], dict(seed=-1), gn.UsageError, "seed is -1; give a whole number of at least 0"),
        ([0, 1], [1, 2], dict(seed="x"), gn.UsageError, "seed is 'x'; give a whole number of at least 0"),
        ([0, 1], [1, 2], dict(weights=["a", "b"]), gn.ShapeError, "weights has dtype <U1; give numbers"),
    ],
)
def test_edges_that_make_no_network(senders, receivers, options, error, message):
    with pytest.raises(error, match=message):
        gn.DagNN.from_edges(senders, receivers, **EDGES, **options)


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([], [2], "the graph has no inputs; name at least one node"),
        ([0], [], "the graph has no outputs; name at least one node"),
        ([0, 0], [2], "inputs names node 0 more than once; name each node once"),
        ([0], [2, 2], "outputs names node 2 more than once; name each node once"),
        ([-1], [2], r"inputs\[0\] is -1; node ids are whole numbers from 0 to"),
    ],
)
def test_inputs_and_outputs_that_cannot_be_meant(inputs, outputs, message):
    with pytest.raises(gn.GraphError, match=message):
        gn.DagNN.from_edges([0, 1], [1, 2], inputs=inputs, outputs=outputs)


def test_an_empty_graph():
    with pytest.raises(
        gn.GraphError, match="the graph is empty: it has no nodes; name at least one input and one output"
    ):
        gn.DagNN.from_edges([], [], inputs=[], outputs=[])


def test_a_long_cycle_is_shortened():
    n = 50
    with pytest.raises(gn.CycleError, match=r"cycle of 50 nodes: (\d+ -> ){6}\.\.\. -> (\d+ -> ){5}\d+; ") as caught:
        gn.DagNN.from_edges(np.arange(n), (np.arange(n) + 1) % n, inputs=[0], outputs=[1])
    assert sorted(caught.value.nodes) == list(range(n))


def test_an_output_that_no_input_reaches_is_warned_about():
    with pytest.warns(
        UserWarning, match=r"1 output node\(s\) cannot be reached from any input \(node 3\): .* add edges"
    ):
        gn.DagNN.from_edges([0, 2], [1, 3], inputs=[0], outputs=[1, 3])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 3)), r"x has shape \(2, 3\); wanted \(batch, 1\)"),
        (np.zeros(1), r"x has shape \(1,\); wanted \(batch, 1\); a single example needs x\[None, :\]"),
        (np.zeros((0, 1)), "x has batch 0; give at least one example"),
        ([[1.0], [1.0, 2.0]], "x is a sequence of rows of different lengths; give a rectangular array"),
        (np.zeros((1, 1), complex), "x has dtype complex128; give numbers, float32 is wanted"),
        (np.array([["a"]]), "x has dtype <U1; give numbers, float32 is wanted"),
        (np.array([[0.0], [np.nan]]), r"x\[1, 0\] is nan; every value must be a finite number"),
        (np.array([[-np.inf], [0.0]]), r"x\[0, 0\] is -inf; every value must be a finite number"),
    ],
)
def test_inputs_that_cannot_go_forward(x, message):
    network = dag()
    with pytest.raises(gn.ShapeError, match=message):
        network.forward(x)
    with pytest.raises(gn.ShapeError, match="no forward pass to go back from"):
        network.backward_accumulate(np.zeros((1, 1)))


@pytest.mark.parametrize("batch", [16, 17])
def test_nan_is_found_wherever_it_stands(batch):
    network = gn.DagNN.layered([3, 4, 2], fan_in=2, seed=1)
    for place in ((0, 0), (batch - 1, 2), (batch // 2, 1)):
        x = np.ones((batch, 3), np.float32)
        x[place] = np.nan
        with pytest.raises(gn.ShapeError, match=rf"x\[{place[0]}, {place[1]}\] is nan"):
            network.forward(x)


def test_output_gradients_that_do_not_fit():
    network = dag()
    with pytest.raises(gn.ShapeError, match=r"no forward pass to go back from; call forward\(x\) first"):
        network.backward_accumulate(np.zeros((1, 1)))
    with pytest.raises(gn.ShapeError, match="no forward pass"):
        network.activations()
    network.forward(np.ones((3, 1)))
    with pytest.raises(gn.ShapeError, match="gy has 2 rows but the latest forward pass had 3; they must agree"):
        network.backward_accumulate(np.zeros((2, 1)))
    with pytest.raises(gn.ShapeError, match=r"gy has shape \(3, 2\); wanted \(batch, 1\)"):
        network.backward_accumulate(np.zeros((3, 2)))
    with pytest.raises(gn.ShapeError, match=r"gy\[2, 0\] is nan"):
        network.backward_accumulate(np.array([[0.0], [0.0], [np.nan]]))
    assert not network.edge_grads.any()


def test_rates_and_norms_that_cannot_be_meant():
    network = dag()
    with pytest.raises(gn.NonFiniteError, match="lr is nan; give a finite learning rate"):
        network.step(float("nan"))
    with pytest.raises(gn.GraphemeError, match="max_norm is -1"):
        network.clip_grad_norm(-1)
    with pytest.raises(gn.GraphemeError, match="max_norm is nan"):
        network.clip_grad_norm(float("nan"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gn.DagNN.from_text(""), "text is ''; give a string of at least one character"),
        (lambda: gn.DagNN.from_text(3), "text is 3; give a string"),
        (lambda: gn.DagNN.from_image(0, 4), "height is 0; give a whole number of at least 1"),
        (lambda: gn.DagNN.from_image(4, 2.5), "width is 2.5; give a whole number"),
        (lambda: gn.DagNN.classifier(4, 0, 2), "n_hidden is 0; give a whole number of at least 1"),
        (lambda: gn.DagNN.layered([4], fan_in=2), "widths has 1 entries; a layered network needs at least two"),
        (lambda: gn.DagNN.layered([4, 2], fan_in=2, skip=1.5), "skip is 1.5; give a share between 0 and 1"),
        (lambda: gn.DagNN.random(5, 11, 1, 1), "n_edge is 11, but 5 nodes with 1 inputs allow at most 10"),
        (lambda: gn.DagNN.random(5, 4, 6, 1), "n_in is 6 and n_out is 1, but there are only 5 nodes"),
        (lambda: gn.DagNN.small_world(10, 5, 0.1, 1, 1), "n_neighbor is 5; give less than half of the 10 nodes"),
        (lambda: gn.DagNN.small_world(10, 2, 2, 1, 1), "rewire is 2; give a share between 0 and 1"),
    ],
)
def test_topologies_that_cannot_be_meant(make, message):
    with pytest.raises(gn.GraphError, match=message):
        make()


def test_every_error_has_one_root_and_an_exit_code():
    names = [name for name in gn.__all__ if name.endswith("Error") or name == "StoppedEarly"]
    assert len(names) >= 9
    assert all(issubclass(getattr(gn, name), GraphemeError) for name in names)
    assert {getattr(gn, name).exit_code for name in names} == {2, 65, 66, 70, 74, 75}
    assert issubclass(gn.CycleError, gn.GraphError)
    assert issubclass(gn.ShapeError, ValueError)
