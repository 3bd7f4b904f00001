"""A graph of one's own between the inputs and outputs of brains."""

import named_graphs
import numpy as np
import pytest

from grapheme_numba import DagNN
from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, TextAnswer
from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.named import named_graph
from grapheme_numba.models.hidden_graph import graft
from grapheme_numba.models.naming import node_names, port_names

NUMBER = NumberAnswer(0, 50, False)
LAYOUT = Layout.of(
    [
        DomainLayout("math", "text", 0, 12, 0, NUMBER.n_output, NUMBER),
        DomainLayout("vision", "image", 12, 6, NUMBER.n_output, 2, LabelAnswer(("dot", "line"))),
    ],
    4,
)
N_IN, N_OUT = LAYOUT.n_input, LAYOUT.n_output


@pytest.mark.filterwarnings("ignore:.*cannot be reached from any input")
def test_the_graph_stays_and_every_column_is_used():
    for seed in range(20):
        own = named_graphs.random_named(seed)
        graph = graft(LAYOUT, own, 6, seed=seed)
        assert (len(graph.inputs), len(graph.outputs)) == (N_IN, N_OUT)
        assert graph.names[N_IN : N_IN + own.n_node] == own.names
        assert graph.to_edge_list()[: own.n_edge] == own.to_edge_list()
        new = slice(own.n_edge, None)
        assert set(graph.senders[new][graph.senders[new] < N_IN].tolist()) == set(range(N_IN))
        last = graph.receivers[new] >= N_IN + own.n_node
        assert set(graph.receivers[new][last].tolist()) == set(graph.outputs.tolist())
        np.testing.assert_array_equal(graph.biases[N_IN : N_IN + own.n_node], own.biases)
        dag = DagNN.from_graph(graph)
        assert np.isfinite(dag.forward(np.ones((2, N_IN), np.float32))).all()


def test_every_entry_hears_every_brain():
    own = named_graph([0, 1, 2], [3, 3, 4], list("abcde"))
    graph = graft(LAYOUT, own, 8, seed=1, activation="tanh")
    assert graph.weights is None
    for entry in range(N_IN, N_IN + 3):
        senders = graph.senders[graph.receivers == entry]
        assert {"math", "vision"} == {graph.names[node].split(" ")[0] for node in senders}
    assert graph.activations[N_IN : N_IN + 5] == ("linear",) * 3 + ("tanh",) * 2


def test_inputs_and_outputs_say_what_they_are():
    inputs, outputs = port_names(LAYOUT)
    assert inputs[:5] == [
        "math byte 0 dim 0",
        "math byte 0 dim 1",
        "math byte 0 dim 2",
        "math byte 0 dim 3",
        "math byte 1 dim 0",
    ]
    assert inputs[12:14] == ["vision pixel 0", "vision pixel 1"]
    assert outputs[:2] == ["math size", "math wave 0"]
    assert outputs[-2:] == ["vision = dot", "vision = line"]
    series = DomainLayout("time", "sequence", 0, 3, 0, 16, TextAnswer(2))
    inputs, outputs = port_names(Layout.of([series, DomainLayout("rate", "sequence", 0, 3, 16, 16, TextAnswer(2))], 4))
    assert inputs == ["sequence value -3", "sequence value -2", "sequence value -1"]
    assert outputs[9] == "time byte 1 bit 1"
    dag = DagNN.layered([N_IN, 7, N_OUT], 4)
    names = node_names(LAYOUT, dag)
    assert names[:2] == ("math byte 0 dim 0", "math byte 0 dim 1")
    assert names[N_IN] == f"hidden {N_IN}"
    assert names[-1] == "vision = line"


def test_a_name_that_is_taken_gets_a_mark():
    own = named_graph([0], [1], ["math byte 0 dim 0", "vision = dot"])
    graph = graft(LAYOUT, own, 2)
    assert graph.names[0] == "math byte 0 dim 0'"
    assert graph.names[-2] == "vision = dot'"
    with pytest.raises(UsageError, match="fan_in is 0; give at least 1"):
        graft(LAYOUT, own, 0)
