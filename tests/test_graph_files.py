"""Files of other programs, and files that were damaged: a graph or a clear error, never a traceback."""

import re

import named_graphs
import numpy as np
import pytest

from grapheme_numba.errors import GraphemeError, GraphError
from grapheme_numba.graph.formats.dispatch import load_graph, save_graph

SUFFIXES = ("csv", "tsv", "parquet", "graphml", "json", "gmt")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "bad.csv: the table is empty"),
        ("a,b\n1,2\n", "no column of ['a', 'b'] is known as the sender; call it one of sender, "),
        ("from,b\n1,2\n", "no column of ['from', 'b'] is known as the receiver"),
        ("from,to\n1,2\n3\n", "line 3 has 1 fields, but the header has 2"),
        ("from,to,w\n1,2,x\n", "w of edge 0 is 'x'; give a finite number"),
        ("from,to,w\n1,2,inf\n", "w of edge 0 is 'inf'"),
        ('from,to\n"1,2\n', "line 2: unexpected end of data"),
        ("from,from\n1,2\n", "names a column twice"),
        (b"from,to\n\xff,2\n", "byte 8 (0xff) is not UTF-8"),
        ("from,to\na,b\nb,a\n", "cycle of 2 nodes"),
        ("from,to\n,b\n", "node 0 has the name ''"),
        ("from,to\n", "the graph has no inputs"),
    ],
)
def test_a_bad_edge_list_says_what_is_wrong(tmp_path, content, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        load_graph(write(tmp_path, "bad.csv", content))


def test_the_node_table_is_checked(tmp_path):
    path = write(tmp_path, "g.csv", "from,to\na,b\n")
    for table, message in [
        ("node\na\n", "one called name is wanted"),
        ("name\na\n", "column 'to' names 'b', but the node table has no such name"),
        ("name,input\na,first\nb,\n", "input of node 0 is 'first'"),
        ("name,bias\na,\nb,x\n", "bias of node 1 is 'x'"),
        ("name,activation\na,\nb,cosine\n", "node 'b' has the unknown activation 'cosine'"),
    ]:
        write(tmp_path, "g.nodes.csv", table)
        with pytest.raises(GraphError, match=re.escape(message)):
            load_graph(path)


HEAD = '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no xml", "not well-formed XML"),
        ("<svg/>", "the file's first element is 'svg'"),
        ('<!DOCTYPE lolz [<!ENTITY lol "lol">]><graphml/>', "declares a document type (lolz)"),
        (f'{HEAD}<graph edgedefault="undirected"/></graphml>', "an undirected, nested or second graph"),
        (f"{HEAD}<graph/><graph/></graphml>", "an undirected, nested or second graph"),
        (f"{HEAD}<graph><hyperedge/></graph></graphml>", "the file holds a hyperedge"),
        (f"{HEAD}<graph><node/></graph></graphml>", "a node has no id"),
        (f'{HEAD}<graph><node id="a"/><node id="a"/></graph></graphml>', "two nodes have the id 'a'"),
        (f'{HEAD}<graph><node id="a"/><edge source="a" target="b"/></graph></graphml>', "'a' -> 'b' joins a node"),
        (f'{HEAD}<graph><edge source="a" directed="false"/></graph></graphml>', "an undirected edge"),
        (
            f'{HEAD}<key id="k" attr.name="weight"/><graph><node id="a"/><node id="b"/>'
            '<edge source="a" target="b"><data key="k">x</data></edge></graph></graphml>',
            "the attribute value 'x' is not a number",
        ),
        ('<?xml version="1.0" encoding="utf-99"?><graphml/>', "XML"),
    ],
)
def test_bad_graphml_says_what_is_wrong(tmp_path, content, message):
    with pytest.raises(GraphError, match=re.escape(message)):
        load_graph(write(tmp_path, "bad.graphml", content))


def test_graphml_defaults_hold_where_nothing_is_said(tmp_path):
    graph = load_graph(
        write(
            tmp_path,
            "g.graphml",
            f'{HEAD}<key id="w" for="edge" attr.name="weight"><default>0.5</default></key><graph><node id="a"/>'
            '<node id="b"/><node id="c"/><edge source="a" target="b"/><edge source="b" target="c">'
            '<data key="w"> 2 </data></edge></graph></graphml>',
        )
    )
    assert graph.to_edge_list() == [("a", "b", 0.5), ("b", "c", 2.0)]


def test_xml_cannot_hold_every_name(tmp_path):
    graph = load_graph(([0], [1]), names=["a\x00", "b"])
    with pytest.raises(GraphError, match="holds a character that XML cannot"):
        save_graph(graph, tmp_path / "g.graphml")
    with pytest.raises(GraphError, match="suffix '.dot'; graph files end in"):
        save_graph(graph, tmp_path / "g.dot")


def test_parquet_columns_may_be_numbers(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "g.parquet"
    parquet.write_table(pa.table({"pre": [3, 1], "post": [1, 2], "weight": pa.array([1, 2], pa.int16())}), path)
    assert load_graph(path).to_edge_list() == [("3", "1", 1.0), ("1", "2", 2.0)]
    parquet.write_table(pa.table({"pre": [3, None], "post": [1, 2]}), path)
    with pytest.raises(GraphError, match="column 'pre' holds None in row 1"):
        load_graph(path)


def sources(folder):
    """The path of one good file of each format."""
    graph = named_graphs.random_named(5, closed_inputs=True, odd_names=False)
    for suffix in SUFFIXES[:-1]:
        save_graph(graph, folder / f"graph.{suffix}")
        (folder / f"graph.nodes.{suffix}").unlink(missing_ok=True)
    write(folder, "graph.gmt", "p1\td1\tg1\tg2\np2\t\tg2\tg3\np3\td3\tg4\n")
    write(folder, "graph.relations.tsv", "parent\tchild\ntop\tp1\ntop\tp2\nd1\tp3\n")
    return [folder / f"graph.{suffix}" for suffix in SUFFIXES]


def mutated(data, rng):
    """`data` with a few bytes changed, cut out, doubled or cut off."""
    data = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, max(1, len(data))))
        kind = int(rng.integers(5))
        if kind == 0 and data:
            data[at] = int(rng.integers(256))
        elif kind == 1 and data:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 30))]
        elif kind == 3:
            data[at:at] = data[at : at + int(rng.integers(1, 30))]
        else:
            del data[at:]
    return bytes(data)


def damage(folder, n_file, seed):
    """Load `n_file` damaged files; returns how many were refused, each with exit code 65."""
    rng = np.random.default_rng(seed)
    originals = [(path, path.read_bytes()) for path in sources(folder)]
    refused = 0
    for number in range(n_file):
        path, data = originals[number % len(originals)]
        path.write_bytes(mutated(data, rng))
        try:
            graph = load_graph(path)
        except GraphemeError as error:
            assert error.exit_code == 65, error
            assert str(error).startswith(str(path)), error
            refused += 1
        else:
            assert np.isfinite(graph.weights if graph.weights is not None else 0.0).all()
    return refused


def test_damaged_files_are_refused_or_are_graphs(tmp_path):
    assert damage(tmp_path, 600, seed=1) > 200


@pytest.mark.long
def test_ten_thousand_damaged_files(tmp_path, figure):
    refused = damage(tmp_path, 10_000, seed=2)
    figure("damaged graph files", f"{refused:,} of 10,000 refused, the others are graphs, no crash")
    assert refused > 3000
