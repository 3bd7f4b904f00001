"""GraphML in and out, through NetworkX. Document types and entities are refused before anything is built.

Read are the edge attribute `weight` and the node attributes `activation`, `aggregation`, `bias`, `input` and `output`
(positions or flags). A node is called by its `name`, else by its `label` where all nodes have one of their own (as
yEd writes what a user types), else by its id.
"""

import re
import warnings
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.files import import_optional
from grapheme_numba.graph.formats.node_attributes import node_options, refuse_twins, resolved
from grapheme_numba.graph.named import NamedGraph, named_graph, node_attributes

NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_UNSUPPORTED = ("hyperedge", "port", "locator")
# What NetworkX raises for elements that it cannot make sense of.
_BROKEN = (KeyError, ValueError, TypeError, AttributeError, RecursionError)


def parse(data: bytes, *, inputs: Any = None, outputs: Any = None, break_cycles: str = "error") -> NamedGraph:
    """A graph from the bytes of a GraphML file with one directed graph.

    Raises GraphError for XML that is not well-formed, a DOCTYPE, an undirected or second graph, a
    hyperedge, a port, and for edges between nodes that are not listed.
    """
    networkx = import_optional("networkx", "GraphML files")
    root = _tree(data)
    graph_element, edges = _checked(root)
    reader = networkx.readwrite.graphml.GraphMLReader()
    try:
        graph = reader.make_graph(graph_element, *reader.find_graphml_keys(root))
    except (networkx.NetworkXError, *_BROKEN) as error:
        raise GraphError(f"not a GraphML file that can be read: {type(error).__name__}: {error}") from None
    node_default, edge_default = graph.graph.get("node_default", {}), graph.graph.get("edge_default", {})
    nodes = [_lower({**node_default, **data}) for _, data in graph.nodes(data=True)]
    ids = list(graph.nodes)
    names = _names(ids, nodes)
    position = {node: number for number, node in enumerate(ids)}
    data_of = {} if graph.is_multigraph() else {(a, b): data for a, b, data in graph.edges(data=True)}
    # NetworkX sorts edges by their senders; the file's order is that of the graph.
    weights = [_lower({**edge_default, **data_of.get(edge, {})}).get("weight") for edge in edges]
    options = node_options(nodes)
    for what, wanted in (("inputs", inputs), ("outputs", outputs)):
        if wanted is not None:
            options[what] = resolved(what, wanted, names, position)
    return named_graph(
        [position[sender] for sender, _ in edges],
        [position[receiver] for _, receiver in edges],
        names,
        weights=None if graph.is_multigraph() else _weights(weights),  # parallel edges are refused by name
        break_cycles=break_cycles,
        **options,
    )


def _tree(data: bytes) -> ElementTree.Element:
    """The elements of a file, with every tag of the file's own namespace in that of GraphML."""
    scan = expat.ParserCreate()
    scan.StartDoctypeDeclHandler = _refuse_doctype
    try:
        scan.Parse(data, True)
        root = ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError) as error:
        raise GraphError(f"not well-formed XML: {error}; write the graph as GraphML") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise GraphError(f"not readable XML: {error}; write the graph as GraphML in UTF-8") from None
    own = root.tag.rpartition("}")[0]
    for element in root.iter():
        namespace, _, tag = element.tag.rpartition("}")
        if namespace in (own, ""):
            element.tag = f"{{{NAMESPACE}}}{tag}"
    return root


def _refuse_doctype(name: str, *_: object) -> None:
    raise GraphError(f"the file declares a document type ({name}); GraphML needs none, and entities are refused")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _checked(root: ElementTree.Element) -> tuple[ElementTree.Element, list[tuple[str, str]]]:
    """The element of the graph, made plain for NetworkX, and the ends of its edges in order."""
    if _tag(root) != "graphml":
        raise GraphError(f"the file's first element is {_tag(root)!r}; a GraphML file begins with graphml")
    elements = [element for element in root.iter() if element.tag.startswith(f"{{{NAMESPACE}}}")]
    for element in elements:
        if _tag(element) in _UNSUPPORTED:
            raise GraphError(f"the file holds a {_tag(element)}; only nodes and edges between two nodes are supported")
    graphs = [element for element in elements if _tag(element) == "graph"]
    if len(graphs) != 1 or graphs[0].get("edgedefault", "directed") != "directed":
        raise GraphError("the file holds no graph, or an undirected, nested or second graph; give one directed graph")
    graphs[0].set("edgedefault", "directed")
    nodes: set[str] = set()
    edges = []
    for element in elements:
        if _tag(element) == "key":
            _plain_key(element)
        elif _tag(element) == "node":
            name = _attribute(element, "id")
            if name in nodes:
                raise GraphError(f"two nodes have the id {name!r}; give every node an id of its own")
            nodes.add(name)
        elif _tag(element) == "edge":
            if element.get("directed", "true") != "true":
                raise GraphError("the file holds an undirected edge; give directed edges only")
            edges.append((_attribute(element, "source"), _attribute(element, "target")))
    for sender, receiver in edges:
        if sender not in nodes or receiver not in nodes:
            raise GraphError(f"the edge {sender!r} -> {receiver!r} joins a node that is not listed")
    return graphs[0], edges


def _plain_key(element: ElementTree.Element) -> None:
    """Let values be text: whether they are numbers, and how an error names them, is decided here."""
    if element.get("yfiles.type") is None:
        element.set("attr.type", "string")
        element.set("attr.name", element.get("attr.name", element.get("id", "")))
    for default in element.findall(f"{{{NAMESPACE}}}default"):
        default.text = default.text or ""


def _attribute(element: ElementTree.Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise GraphError(f"a {_tag(element)} has no {name}; every {_tag(element)} needs one")
    return value


def _lower(data: dict[str, Any]) -> dict[str, Any]:
    return {str(key).lower(): value for key, value in data.items()}


def _names(ids: Sequence[str], nodes: Sequence[dict[str, Any]]) -> list[str]:
    labels = [data.get("label") for data in nodes]
    if any(labels) and not any("name" in data for data in nodes):
        if len({label for label in labels if label}) == len(labels):
            ids = [str(label) for label in labels]
        else:
            warnings.warn(
                "the labels of the nodes are not all there or not all different, so the nodes are called by their ids",
                stacklevel=4,
            )
    names = [data.get("name", node) for node, data in zip(ids, nodes, strict=True)]
    refuse_twins(names)
    return names


def _weights(values: list[Any]) -> list[float] | None:
    """One weight for each edge; None when no edge has one."""
    if all(value is None for value in values):
        return None
    if None in values:
        raise GraphError(f"edge {values.index(None)} has no weight but others have; give all or none")
    weights = []
    for value in values:
        try:
            weights.append(float(value))
        except ValueError:
            raise GraphError(f"the attribute value {value!r} is not a number; correct it") from None
    return weights


def format_graph(graph: NamedGraph) -> str:
    """The GraphML text of a graph. Raises GraphError for a name that XML cannot hold."""
    networkx = import_optional("networkx", "GraphML files")
    result = networkx.DiGraph()
    for node, (name, attributes) in enumerate(zip(graph.names, node_attributes(graph), strict=True)):
        result.add_node(str(node), name=_writable(name), **attributes)
    weights = [None] * graph.n_edge if graph.weights is None else graph.weights.tolist()
    edges = list(zip(map(str, graph.senders.tolist()), map(str, graph.receivers.tolist()), strict=True))
    for (sender, receiver), weight in zip(edges, weights, strict=True):
        result.add_edge(sender, receiver, **({} if weight is None else {"weight": weight}))
    writer = networkx.readwrite.graphml.GraphMLWriter(prettyprint=False, named_key_ids=True)
    writer.add_graph_element(result)
    # NetworkX sorts edges by their senders, and a reader should find them in the graph's order.
    place = {edge: number for number, edge in enumerate(edges)}
    element = writer.xml.find("graph")
    element[graph.n_node :] = sorted(
        element[graph.n_node :], key=lambda edge: place[edge.get("source"), edge.get("target")]
    )
    ElementTree.indent(writer.xml)
    text = ElementTree.tostring(writer.xml, encoding="unicode")
    # A carriage return would come back as a line feed.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.replace("\r", "&#13;")


def _writable(name: str) -> str:
    if found := re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", name):
        raise GraphError(
            f"the name {name!r} holds a character that XML cannot ({found[0]!r}); rename the node or use Parquet"
        )
    return name
