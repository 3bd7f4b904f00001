"""Every option of `load_graph` on every kind of source acts or is refused; no source is read as another graph."""

import re
import sys
import zipfile

import named_graphs
import networkx
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from grapheme_numba import DagNN
from grapheme_numba.errors import GraphemeError, GraphError, MissingInputError, UsageError
from grapheme_numba.graph.formats.dispatch import SUFFIXES, load_graph, save_graph
from grapheme_numba.graph.formats.files import MOST_BYTES
from grapheme_numba.graph.named import named_graph

# 1 and 2 feed 3, 3 feeds 4: names that are numbers, and never the number of their place.
NAMES = ("1", "2", "3", "4")
EDGES = ([0, 1, 2], [2, 2, 3])
WEIGHTS = [0.5, -0.25, 2.0]


def matrix():
    result = np.zeros((4, 4))
    result[EDGES] = WEIGHTS
    return result


def sources(folder):
    """{kind: (source, whether a number is a name)} of one graph."""
    graph = named_graph(*EDGES, NAMES, weights=WEIGHTS)
    network = DagNN.from_graph(graph)
    found = {}
    for suffix in (".csv", ".tsv", ".parquet", ".graphml"):
        save_graph(graph, folder / f"g{suffix}")
        found[suffix] = folder / f"g{suffix}", True
    save_graph(network, folder / "n.json")
    found[".json"] = folder / "n.json", True
    (folder / "g.gmt").write_text("3\t\t1\t2\n")
    found[".gmt"] = folder / "g.gmt", True
    np.save(folder / "plain.npy", matrix())
    scipy.sparse.save_npz(folder / "plain.npz", scipy.sparse.csr_array(matrix()))
    found[".npy"], found[".npz"] = (folder / "plain.npy", False), (folder / "plain.npz", False)
    objects = {"NetworkX": graph.to_networkx(), "pair": tuple(map(np.array, EDGES)), "array": matrix()}
    objects |= {"sparse": scipy.sparse.csc_array(matrix()), "NamedGraph": graph, "DagNN": network}
    return found | {kind: (source, kind == "NetworkX") for kind, source in objects.items()}


KINDS = [*SUFFIXES, "NetworkX", "pair", "array", "sparse", "NamedGraph", "DagNN"]


@pytest.fixture
def of(tmp_path):
    """The source of a kind."""
    return lambda kind: sources(tmp_path)[kind]


def called(graph, role):
    return [graph.names[node] for node in getattr(graph, role)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["inputs", "outputs"])
def test_names_and_numbers_of_ports_mean_what_the_source_means(of, kind, role):
    source, named = of(kind)
    assert called(load_graph(source, **{role: ["3"]}), role) == ["3"]
    with pytest.raises(GraphError, match=f"{role} names 'nonsense', but no node of the graph is called so"):
        load_graph(source, **{role: ["nonsense"]})
    if kind in ("NamedGraph", "DagNN"):
        with pytest.raises(GraphError, match=f"{role} holds 3, the position of one node and the name of another"):
            load_graph(source, **{role: [3]})
    elif kind != ".json":  # whose numbers are those of neat-python: the names stand beside them
        assert called(load_graph(source, **{role: [3]}), role) == ["3"]
    if not named:
        with pytest.raises(GraphError, match=f"{role} (holds|names) 7"):
            load_graph(source, **{role: [7]})


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_given_or_refused(of, kind):
    source, _ = of(kind)
    if kind in (".npy", ".npz", "pair", "array", "sparse", "NamedGraph", "DagNN"):
        assert load_graph(source, names=list("wxyz")).names == tuple("wxyz")
        with pytest.raises(GraphemeError, match="give every node a name of its own"):
            load_graph(source, names=list("wxyx"))
    else:
        with pytest.raises(UsageError, match="names= means nothing for a .* have names; leave it out"):
            load_graph(source, names=list("wxyz"))


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_relations_act_or_are_refused(of, tmp_path, kind):
    source, _ = of(kind)
    if kind in (".csv", ".tsv", ".parquet"):
        (tmp_path / f"g.nodes{kind}").unlink()
        assert called(load_graph(source, columns=("receiver", "sender")), "inputs") == ["4"]
        with pytest.raises(GraphError, match="the wanted columns are"):
            load_graph(source, columns=("x", "y"))
    else:
        with pytest.raises(UsageError, match="columns= means nothing for"):
            load_graph(source, columns=("x", "y"))
    (tmp_path / "relations.tsv").write_text("parent\tchild\n9\t3\n")
    if kind == ".gmt":
        assert "9" in load_graph(source, relations=tmp_path / "relations.tsv").names
        with pytest.raises(MissingInputError, match="could not read .*nothing.tsv"):
            load_graph(source, relations=tmp_path / "nothing.tsv")
    else:
        with pytest.raises(UsageError, match="relations= means nothing for"):
            load_graph(source, relations=tmp_path / "relations.tsv")


@pytest.mark.parametrize("kind", KINDS)
def test_break_cycles_is_checked_everywhere(of, kind):
    source, _ = of(kind)
    assert load_graph(source, break_cycles="feedback-arc").n_edge == 3
    with pytest.raises(GraphError, match="break_cycles is 'maybe'; choose one of error, feedback-arc"):
        load_graph(source, break_cycles="maybe")


def test_other_ports_reach_a_network(of):
    graph, _ = of("NamedGraph")
    dag = DagNN.from_graph(graph, graph_options={"outputs": ["3", "4"]})
    assert (dag.n_input, dag.n_output) == (2, 2)
    assert load_graph(graph) is graph


def test_numbers_of_a_neat_export_are_its_own(tmp_path):
    """Inputs are -1, -2, ..., outputs 0, 1, ..., whatever the nodes are called."""
    save_graph(DagNN.from_graph(named_graph(*EDGES, NAMES, weights=WEIGHTS)), tmp_path / "n.json")
    graph = load_graph(tmp_path / "n.json", inputs=[-2, -1], outputs=[0])
    assert (called(graph, "inputs"), called(graph, "outputs")) == (["2", "1"], ["4"])


def test_objects_of_networkx_are_nodes():
    graph = networkx.DiGraph([(("a", 1), ("b", 2)), (("b", 2), 3.0)])
    loaded = load_graph(graph, inputs=[("a", 1)], outputs=[3.0, ("b", 2)])
    assert (called(loaded, "inputs"), called(loaded, "outputs")) == (["('a', 1)"], ["3", "('b', 2)"])


FLAGS = [
    (("true", "true", "false", "false"), ("False", "False", "False", "True")),
    ((True, True, False, False), (np.bool_(False), None, float("nan"), np.bool_(True))),
    ((1, 1, 0, 0), (0, 0, 0, 1)),
    ((1.0, 1.0, 0.0, 0.0), (None, None, None, 0.0)),
    (("0", "1", "", ""), ("nan", "NaN", None, "0")),
    ((0.0, 1.0, float("nan"), float("nan")), (float("nan"),) * 3 + (0.0,)),
]


@pytest.mark.parametrize(("inputs", "outputs"), FLAGS)
@pytest.mark.parametrize("kind", ["csv", "networkx", "graphml"])
def test_flags_and_positions_of_ports(tmp_path, kind, inputs, outputs):
    """1 and 2 are the inputs and 4 is the output, however the table says so."""
    if kind == "csv":
        (tmp_path / "g.csv").write_text("sender,receiver\n1,3\n2,3\n3,4\n")
        rows = [
            f"{name},{'' if a is None else a},{'' if b is None else b}\n" for name, a, b in zip(NAMES, inputs, outputs)
        ]
        (tmp_path / "g.nodes.csv").write_text("name,input,output\n" + "".join(rows))
        source = tmp_path / "g.csv"
    else:
        source = networkx.DiGraph([("1", "3"), ("2", "3"), ("3", "4")])
        for node, name in enumerate(NAMES):
            source.nodes[name].update({"input": inputs[node], "output": outputs[node]})
        if kind == "graphml":
            lines = [
                f'<node id="{name}"><data key="i">{a}</data><data key="o">{b}</data></node>'.replace("None", "")
                for name, a, b in zip(NAMES, inputs, outputs)
            ]
            lines += [f'<edge source="{a}" target="{b}"/>' for a, b in source.edges]
            keys = '<key id="i" attr.name="input" for="node"/><key id="o" attr.name="output" for="node"/>'
            (tmp_path / "g.graphml").write_text(f"<graphml>{keys}<graph>{''.join(lines)}</graph></graphml>")
            source = tmp_path / "g.graphml"
    graph = load_graph(source)
    assert (sorted(called(graph, "inputs")), called(graph, "outputs")) == (["1", "2"], ["4"])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ((3, 3, "", ""), "two nodes have the input position 3; number them 0, 1, ..., or write true and false for all"),
        (("true", "1", "", ""), "input of node 0 is 'true'; give a finite number"),
        (("no", "no", "no", "no"), "the graph has no inputs: the list is empty"),
    ],
)
def test_ports_that_mean_nothing_are_refused(tmp_path, column, message):
    (tmp_path / "g.csv").write_text("sender,receiver\n1,3\n2,3\n3,4\n")
    (tmp_path / "g.nodes.csv").write_text(
        "name,input\n" + "".join(f"{a},{b}\n" for a, b in zip(NAMES, column, strict=True))
    )
    with pytest.raises(GraphError, match=re.escape(message)):
        load_graph(tmp_path / "g.csv")


def test_what_is_masked_or_false_is_no_edge():
    weights = matrix()
    full = np.full((4, 4), 9.0)
    full[EDGES] = WEIGHTS
    masked = np.ma.masked_array(full, weights == 0)
    named_graphs.assert_same(load_graph(masked), load_graph(weights))
    stored = scipy.sparse.coo_array(([True, False, True], ([0, 1, 1], [1, 0, 2])), shape=(3, 3))
    assert load_graph(stored).to_edge_list() == [("0", "1", None), ("1", "2", None)]
    with pytest.raises(GraphError, match="edge 1 from '0' to '1' repeats edge 0"):
        load_graph(scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), shape=(2, 2)))
    with pytest.raises(GraphError, match="edge 1 from 'a' to 'b' repeats edge 0"):
        load_graph(networkx.MultiDiGraph([("a", "b"), ("a", "b")]))
    with pytest.raises(GraphError, match="masked in places"):
        load_graph((np.ma.masked_array([0, 1], [False, True]), np.array([1, 2])))


@pytest.mark.parametrize("make", [np.array, scipy.sparse.csr_array, scipy.sparse.coo_array])
def test_equal_weights_are_a_mask_and_that_is_said(make):
    adjacency = (matrix() != 0).astype(np.int64)
    with pytest.warns(UserWarning, match=r"all 3 weights of the matrix are 1, .* a network draws its own by init"):
        dag = DagNN.from_graph(make(adjacency))
    assert len(set(dag.weights.tolist())) == 3


def test_a_network_of_equal_weights_keeps_them(tmp_path):
    dag = DagNN.from_graph(named_graph(*EDGES, NAMES, weights=[0.5] * 3))
    for suffix in (".npz", ".npy"):
        save_graph(dag, tmp_path / f"g{suffix}")
        assert load_graph(tmp_path / f"g{suffix}").weights.tolist() == [0.5] * 3


def test_names_that_differ_in_blanks_are_refused(tmp_path):
    message = "the names 'TP53' and 'TP53 ' differ only in blanks around them; write them alike"
    (tmp_path / "a.csv").write_text("from,to\nTP53,x\nTP53 ,y\n")
    (tmp_path / "a.gmt").write_text("p\t\tTP53\tRB1\nq\t\tTP53 \n")
    (tmp_path / "a.graphml").write_text(
        '<graphml><graph><node id="TP53"/><node id="TP53 "/><edge source="TP53" target="TP53 "/></graph></graphml>'
    )
    for name in ("a.csv", "a.gmt", "a.graphml"):
        with pytest.raises(GraphError, match=message):
            load_graph(tmp_path / name)
    (tmp_path / "b.csv").write_text("from,to\n padded ,x\n")
    assert load_graph(tmp_path / "b.csv").names == (" padded ", "x")


def test_whole_numbers_written_as_floats_are_whole_numbers(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text("from,to\n0.0,2\n1.0,2\n2,10.0\n")
    parquet.write_table(pa.table({"from": [0.0, 1.0, 2.0], "to": [2.0, 2.0, 10.0]}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        assert load_graph(tmp_path / name).names == ("0", "1", "2", "10")
    (tmp_path / "b.csv").write_text("from,to\n0.0,2\n0,2\n")
    with pytest.raises(GraphError, match=r"the nodes '0' and '0.0' are one number; write ids as whole numbers"):
        load_graph(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("from,to\n1.0,v2\n")
    assert load_graph(tmp_path / "c.csv").names == ("1.0", "v2")
    parquet.write_table(pa.table({"from": [0.5], "to": [2.0]}), tmp_path / "d.parquet")
    with pytest.raises(GraphError, match="column 'from' holds 0.5 in row 0; give names or whole numbers"):
        load_graph(tmp_path / "d.parquet")


def test_gene_sets_without_hierarchy_and_with_memberships(tmp_path):
    (tmp_path / "a.gmt").write_text("p\thttp://x\tTP53,1.0\tRB1,1.0\t\nq\t\tRB1,1.0\tHLA-A,B\n")
    graph = load_graph(tmp_path / "a.gmt")
    assert graph.names == ("TP53", "RB1", "HLA-A,B", "p", "q", "root")
    assert graph.n_edge == 6
    (tmp_path / "b.gmt").write_text("p\t\tTP53,0.5\n")
    with pytest.raises(GraphError, match="line 1 gives 'TP53' the membership 0.5; only whole membership can be read"):
        load_graph(tmp_path / "b.gmt")


YED = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
<key for="node" id="d6" yfiles.type="nodegraphics"/><key for="edge" id="d7" yfiles.type="edgegraphics"/>
<graph edgedefault="directed" id="G">
<node id="n0"><data key="d6"><y:ShapeNode><y:NodeLabel>{0}</y:NodeLabel></y:ShapeNode></data></node>
<node id="n1"><data key="d6"><y:ShapeNode><y:NodeLabel>{1}</y:NodeLabel></y:ShapeNode></data></node>
<edge id="e0" source="n0" target="n1"><data key="d7"><y:PolyLineEdge/></data></edge></graph></graphml>"""


def test_labels_of_yed_are_names(tmp_path):
    path = tmp_path / "a.graphml"
    path.write_text(YED.format("TP53", "BAX"))
    assert load_graph(path).to_edge_list() == [("TP53", "BAX", None)]
    assert called(load_graph(path, inputs=["n0"]), "inputs") == ["TP53"]
    for labels in (("TP53", "TP53"), ("TP53", "")):
        path.write_text(YED.format(*labels))
        with pytest.warns(UserWarning, match="or not all different, so the nodes are called by their ids"):
            assert load_graph(path).names == ("n0", "n1")


@pytest.mark.parametrize("weighted", [True, False])
def test_npy_files_give_the_graph_back(tmp_path, weighted):
    for seed in range(50):
        graph = named_graphs.random_named(seed, weighted)
        save_graph(graph, tmp_path / "graph.npy")
        named_graphs.assert_same(graph, load_graph(tmp_path / "graph.npy"))


def test_what_a_dense_matrix_cannot_hold_is_refused(tmp_path):
    with pytest.raises(GraphError, match="an edge has the weight 0, which in a dense matrix is no edge"):
        save_graph(named_graph([0], [1], ["a", "b"], weights=[0.0]), tmp_path / "a.npy")
    with pytest.raises(GraphError, match=r"a dense matrix of 20,000 nodes has 400,000,000 entries; save it as .npz"):
        save_graph(named_graph([0], [1], list(map(str, range(20_000)))), tmp_path / "a.npy")
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_fills_the_memory_is_refused_before_it_does(tmp_path):
    """A zip member is packed a thousandfold; nothing of it is unpacked."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("data.npy", "w") as member,
    ):
        for _ in range(MOST_BYTES // (1 << 20) + 1):
            member.write(bytes(1 << 20))
    with pytest.raises(GraphError, match=r"unfolds to 269,484,032, more than 100 times as much"):
        load_graph(tmp_path / "bomb.npz")


def test_pickles_are_never_loaded(tmp_path):
    objects = np.array([{}], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", format=objects, allow_pickle=True)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(GraphError, match="not a readable .*: Object arrays cannot be loaded"):
            load_graph(tmp_path / name)


def test_row_pointers_that_lead_outside_are_refused(tmp_path):
    arrays = {"format": b"csr", "shape": [3, 3], "data": np.ones(2), "indices": [1, 2]}
    np.savez(tmp_path / "a.npz", indptr=[0, 1_000_000, 1, 2], **arrays)
    with pytest.raises(GraphError, match="not a readable SciPy sparse .npz file"):
        load_graph(tmp_path / "a.npz")


@pytest.mark.parametrize(("suffix", "library"), [(".graphml", "networkx"), (".npz", "scipy")])
def test_a_library_that_is_not_there_is_named(tmp_path, monkeypatch, suffix, library):
    graph = named_graph(*EDGES, NAMES)
    save_graph(graph, tmp_path / f"a{suffix}")
    monkeypatch.setitem(sys.modules, library if library == "networkx" else "scipy.sparse", None)
    for use in (lambda: load_graph(tmp_path / f"a{suffix}"), lambda: save_graph(graph, tmp_path / f"b{suffix}")):
        message = rf"need the package {library}, .* pip install '.\[graph\]'"
        with pytest.raises(MissingInputError, match=message):
            use()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_data_frame_of_edges_is_read_as_its_csv(tmp_path, frame):
    edges = {"source": ["a", "b", "h"], "target": ["h", "h", "o"], "weight": [0.5, -0.5, 2.0]}
    pd.DataFrame(edges).to_csv(tmp_path / "e.csv", index=False)
    found, wanted = load_graph(frame(edges)), load_graph(tmp_path / "e.csv")
    assert found.names == wanted.names
    for name in ("senders", "receivers", "weights", "inputs", "outputs"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
    other = load_graph(frame({"x": [1, 2], "y": [3, 3]}), columns=("x", "y"), outputs=[3])
    assert [other.names[node] for node in other.outputs] == ["3"]
    with pytest.raises(GraphError, match="no column of .* is known as the sender"):
        load_graph(frame({"x": [1, 2], "y": [3, 3]}))
    with pytest.raises(GraphError, match="holds None in row 1; give names or whole numbers"):
        load_graph(frame({"source": ["a", None], "target": ["b", "b"]}))


def test_a_square_frame_with_the_same_names_on_both_sides_is_a_matrix():
    matrix = np.array([[0, 0, 0.5], [0, 0, -0.5], [0, 0, 0]])
    frame = pd.DataFrame(matrix, index=list("abc"), columns=list("abc"))
    found = load_graph(frame, outputs=["c"])
    assert found.names == ("a", "b", "c")
    assert np.array_equal(found.to_scipy().toarray(), matrix)
    with pytest.raises(GraphError, match="the rows and the columns of the matrix have other orders"):
        load_graph(frame[["c", "b", "a"]])


def test_whole_numbers_that_became_floats_are_the_numbers():
    assert load_graph(networkx.DiGraph([(0.0, 2.0), (1.0, 2.0)])).names == ("0", "2", "1")


def test_an_archive_without_a_sparse_matrix_says_what_it_holds(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.eye(3))
    with pytest.raises(GraphError, match="the .npz file holds weights, no sparse matrix; write one with scipy"):
        load_graph(tmp_path / "a.npz")
