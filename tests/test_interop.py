"""Every format gives back the graph that was put in, and the odd sources have their message."""

import named_graphs
import networkx
import numpy as np
import pytest
import scipy.sparse

from grapheme_numba.errors import CycleError, GraphError, MissingInputError
from grapheme_numba.graph.formats.dispatch import load_graph, save_graph
from grapheme_numba.graph.named import named_graph

N_DAG = 200


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "graphml", "npz"])
@pytest.mark.parametrize("weighted", [True, False])
def test_files_give_the_graph_back(tmp_path, suffix, weighted):
    for seed in range(N_DAG):
        graph = named_graphs.random_named(seed, weighted)
        save_graph(graph, tmp_path / f"graph.{suffix}")
        loaded = load_graph(tmp_path / f"graph.{suffix}")
        named_graphs.assert_same(graph, loaded)
        if suffix != "npz":  # a sparse matrix has an edge order of its own
            assert loaded.to_edge_list() == graph.to_edge_list()
        else:
            assert (scipy.sparse.load_npz(tmp_path / "graph.npz") != graph.to_scipy()).nnz == 0


def test_neat_files_give_the_graph_back(tmp_path):
    for seed in range(N_DAG):
        graph = named_graphs.random_named(seed, closed_inputs=True)
        save_graph(graph, tmp_path / "genome.json")
        loaded = load_graph(tmp_path / "genome.json")
        np.testing.assert_allclose(loaded.biases, graph.biases, rtol=1e-15)
        named_graphs.assert_same(graph._replace(biases=None), loaded._replace(biases=None))


def test_networkx_gives_the_graph_back():
    for seed in range(N_DAG):
        for weighted in (True, False):
            graph = named_graphs.random_named(seed, weighted)
            named_graphs.assert_same(graph, load_graph(graph.to_networkx()))


def test_matrices_give_the_graph_back():
    for seed in range(N_DAG):
        graph = named_graphs.random_named(seed)
        roles = {"inputs": graph.inputs, "outputs": graph.outputs, "names": graph.names}
        for matrix in (graph.to_scipy(), graph.to_scipy().tocsc(), graph.to_scipy().toarray()):
            named_graphs.assert_same(graph._replace(activations=None, biases=None), load_graph(matrix, **roles))


def test_edges_alone_are_enough(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_bytes("\ufeffsource,target,note\r\n10,2,x\r\n2,1,y\r\n10,1,z\r\n".encode())
    graph = load_graph(path)
    assert graph.names == ("1", "2", "10")
    assert graph.weights is None
    assert graph.to_edge_list() == [("10", "2", None), ("2", "1", None), ("10", "1", None)]
    assert (graph.inputs.tolist(), graph.outputs.tolist()) == ([2], [0])
    assert load_graph(path, columns=("target", "source")).inputs.tolist() == [0]
    assert load_graph(path, inputs=["10", "2"]).inputs.tolist() == [2, 1]


def test_networkx_reads_our_graphml_and_we_read_theirs(tmp_path):
    graph = named_graphs.random_named(3, odd_names=False)
    save_graph(graph, tmp_path / "ours.graphml")
    theirs = networkx.read_graphml(tmp_path / "ours.graphml")
    assert theirs.number_of_edges() == graph.n_edge
    names = {node: data["name"] for node, data in theirs.nodes(data=True)}
    assert sorted((names[a], names[b], w) for a, b, w in theirs.edges(data="weight")) == sorted(graph.to_edge_list())
    networkx.write_graphml(graph.to_networkx(), tmp_path / "theirs.graphml")
    named_graphs.assert_same(graph, load_graph(tmp_path / "theirs.graphml"))


def test_masks_and_pairs_have_no_weights():
    mask = np.triu(np.ones((4, 4), bool), 1)
    for graph in (load_graph(mask), load_graph((*np.nonzero(mask),)), load_graph(scipy.sparse.coo_array(mask))):
        assert graph.weights is None
        assert (graph.n_edge, graph.names) == (6, ("0", "1", "2", "3"))


def test_a_cycle_is_named():
    graph = networkx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("s", "a")])
    with pytest.raises(CycleError, match="cycle of 3 nodes: (a -> b -> c|b -> c -> a|c -> a -> b) -> "):
        load_graph(graph)
    with pytest.warns(UserWarning, match="1 of 5 edges closed a cycle and were left out: "):
        assert load_graph(graph, break_cycles="feedback-arc").n_edge == 4
    with pytest.raises(GraphError, match="break_cycles is 'maybe'; choose one of error, feedback-arc"):
        load_graph(graph, break_cycles="maybe")


def test_breaking_cycles_keeps_most_edges(rng):
    """On random digraphs the heuristic keeps more than half plus a node's share (Eades, Lin and Smyth 1993)."""
    for _ in range(30):
        dense = rng.random((40, 40)) < 0.15
        n_edge = int(dense.sum())
        with pytest.warns(UserWarning, match="closed a cycle"):
            graph = load_graph(dense, inputs=[0], outputs=[1], break_cycles="feedback-arc")
        assert networkx.is_directed_acyclic_graph(graph.to_networkx())
        assert graph.n_edge >= (n_edge - np.trace(dense)) / 2 + 40 / 6


def test_an_acyclic_graph_loses_nothing():
    for seed in range(50):
        graph = named_graphs.random_named(seed)
        again = named_graph(
            graph.senders, graph.receivers, graph.names, inputs=graph.inputs, outputs=graph.outputs,
            break_cycles="feedback-arc",
        )  # fmt: skip
        assert again.n_edge == graph.n_edge


def test_what_is_no_graph_says_so(tmp_path):
    with pytest.raises(MissingInputError, match="could not read .*nothing.csv: No such file"):
        load_graph(tmp_path / "nothing.csv")
    (tmp_path / "graph.txt").write_text("a b")
    with pytest.raises(GraphError, match="suffix '.txt'; graph files end in .csv"):
        load_graph(tmp_path / "graph.txt")
    with pytest.raises(GraphError, match="a dict is no graph that can be read"):
        load_graph({})
    with pytest.raises(GraphError, match=r"the matrix has shape \(2, 3\)"):
        load_graph(np.ones((2, 3)))
    with pytest.raises(GraphError, match="not directed"):
        load_graph(networkx.Graph([("a", "b")]))
    with pytest.raises(GraphError, match="edge 0 is a self loop at 'a'"):
        load_graph(networkx.DiGraph([("a", "a")]))
    with pytest.raises(GraphError, match="'1' -> 2 has no weight but others have|'a' -> 'c' has no weight"):
        load_graph(networkx.DiGraph([("a", "b", {"weight": 1.0}), ("a", "c")]))
    with pytest.raises(GraphError, match="two nodes are called '1'"):
        load_graph(networkx.DiGraph([(1, "1")]))
    with pytest.raises(GraphError, match="edge 1 from '0' to '1' repeats edge 0"):
        load_graph(([0, 0], [1, 1]))
    with pytest.raises(GraphError, match="inputs names 'x', but no node"):
        load_graph(([0], [1]), inputs=["x"])
    with pytest.raises(GraphError, match="inputs holds 7; give names, or ids from 0 to 1"):
        load_graph(([0], [1]), inputs=[7])
    with pytest.raises(GraphError, match="outputs names '1' more than once"):
        load_graph(([0], [1]), outputs=[1, 1])
    with pytest.raises(GraphError, match="the graph has no inputs"):
        load_graph(np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [np.nan]}, "weight 0 is nan; give a finite number"),
        ({"weights": [1.0, 2.0]}, "2 weight entries where 1 are wanted"),
        ({"weights": ["x"]}, "a weight is not a number"),
        ({"biases": [0.5, 0.0]}, "input 'a' has the bias 0.5"),
        ({"activations": ["tanh"]}, "1 activations for 2 nodes"),
        ({"activations": ["tanh", "spline"]}, "node 'b' has the unknown activation 'spline'"),
        ({"names": ["a", ""]}, "node 1 has the name ''"),
        ({"receivers": [5]}, "edge 0 has the receiver 5, but node ids run from 0 to 1"),
        ({"receivers": [0.5]}, "the receivers have dtype float64"),
        ({"receivers": [0, 1]}, "1 senders and 2 receivers"),
    ],
)
def test_the_container_checks_what_it_freezes(options, message):
    arguments = {"senders": [0], "receivers": [1], "names": ["a", "b"], **options}
    with pytest.raises(GraphError, match=message):
        named_graph(**arguments)
