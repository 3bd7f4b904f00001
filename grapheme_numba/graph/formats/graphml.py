"""GraphML in and out. The parser refuses document types and entities, so no file can make it expand.

Read are the edge attribute `weight` and the node attributes `activation`, `bias`, `input` and `output`
(the last two are positions), as NetworkX writes them; a node is called by its `name` or else by its id.
"""

from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.named import named_graph

_UNSUPPORTED = {"hyperedge", "port", "locator"}
_NODE_KEYS = (("name", "string"), ("input", "int"), ("output", "int"), ("activation", "string"), ("bias", "double"))


def parse(data, **options):
    """A graph from the bytes of a GraphML file with one directed graph.

    Raises GraphError for XML that is not well-formed, a DOCTYPE, an undirected or second graph, a
    hyperedge, a port, and for edges between nodes that are not listed.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GraphError(f"not well-formed XML: {error}; write the graph as GraphML") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise GraphError(f"not readable XML: {error}; write the graph as GraphML in UTF-8") from None
    return reader.graph(options)


def _refuse_doctype(name, *_):
    raise GraphError(f"the file declares a document type ({name}); GraphML needs none, and entities are refused")


class _Reader:
    """Collects nodes and edges while the parser walks the file."""

    def __init__(self):
        self.keys, self.defaults, self.nodes, self.edges = {}, {}, {}, []
        self.n_graph, self.holder, self.key, self.words, self.path = 0, None, None, [], []

    def start(self, tag, attributes):
        tag = tag.rpartition(":")[2]
        if tag in _UNSUPPORTED:
            raise GraphError(f"the file holds a {tag}; only nodes and edges between two nodes are supported")
        if not self.path and tag != "graphml":
            raise GraphError(f"the file's first element is {tag!r}; a GraphML file begins with graphml")
        self.path.append(tag)
        if tag == "graph":
            self.n_graph += 1
            if self.n_graph > 1 or attributes.get("edgedefault", "directed") != "directed":
                raise GraphError("the file holds an undirected, nested or second graph; give one directed graph")
        elif tag == "key":
            name = attributes.get("attr.name", attributes.get("id", "")).lower()
            self.key = self.keys[attributes.get("id", "")] = (attributes.get("for", "all"), name)
        elif tag == "node":
            name = _attribute(tag, attributes, "id")
            if name in self.nodes:
                raise GraphError(f"two nodes have the id {name!r}; give every node an id of its own")
            self.holder = self.nodes[name] = {}
        elif tag == "edge":
            if attributes.get("directed", "true") != "true":
                raise GraphError("the file holds an undirected edge; give directed edges only")
            self.holder = {}
            self.edges.append(
                (_attribute(tag, attributes, "source"), _attribute(tag, attributes, "target"), self.holder)
            )
        elif tag == "data":
            self.key = self.keys.get(attributes.get("key", ""), (None, None))
        self.words = []

    def text(self, words):
        self.words.append(words)

    def end(self, tag):
        tag = self.path.pop()
        if tag == "data" and self.path and self.path[-1] in ("node", "edge"):
            self.holder[self.key[1]] = "".join(self.words)
        elif tag == "default" and self.key is not None:
            self.defaults[self.key] = "".join(self.words)

    def graph(self, options):
        """The graph of what was collected."""
        defaults = {kind: {} for kind in ("node", "edge")}
        for (kind, name), value in self.defaults.items():
            for one in defaults if kind == "all" else {kind} & set(defaults):
                defaults[one][name] = value
        nodes = {name: {**defaults["node"], **data} for name, data in self.nodes.items()}
        edges = [(sender, receiver, {**defaults["edge"], **data}) for sender, receiver, data in self.edges]
        position = {name: number for number, name in enumerate(nodes)}
        for sender, receiver, _ in edges:
            if sender not in position or receiver not in position:
                raise GraphError(f"the edge {sender!r} -> {receiver!r} joins a node that is not listed")
        stated = {
            "weights": _column([data for *_, data in edges], "weight", float, None),
            "biases": _column(nodes.values(), "bias", float, 0.0),
            "activations": _column(nodes.values(), "activation", str, "linear"),
            "inputs": _places(nodes.values(), "input"),
            "outputs": _places(nodes.values(), "output"),
        }
        stated.update({name: value for name, value in options.items() if value is not None})
        return named_graph(
            [position[sender] for sender, *_ in edges],
            [position[receiver] for _, receiver, _ in edges],
            [data.get("name", name) for name, data in nodes.items()],
            **stated,
        )


def _attribute(tag, attributes, name):
    if name not in attributes:
        raise GraphError(f"a {tag} has no {name}; every {tag} needs one")
    return attributes[name]


def _number(text, kind):
    try:
        return kind(text)
    except ValueError:
        raise GraphError(f"the attribute value {text!r} is not a number; correct it") from None


def _column(holders, name, kind, missing):
    """One value per holder, `missing` where there is none; None when no holder has one."""
    found = [data.get(name) for data in holders]
    if all(value is None for value in found):
        return None
    if missing is None and None in found:
        raise GraphError(f"edge {found.index(None)} has no {name} but others have; give all or none")
    return [missing if value is None else _number(value, kind) for value in found]


def _places(holders, role):
    """Node ids in the order that the attribute `role` gives, or None."""
    found = [(_number(data[role], int), node) for node, data in enumerate(holders) if role in data]
    return [node for _, node in sorted(found)] or None


def format_graph(graph):
    """The GraphML text of a graph. Raises GraphError for a name that XML cannot hold."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    for name, kind in _NODE_KEYS:
        lines.append(f'  <key id="{name}" for="node" attr.name="{name}" attr.type="{kind}"/>')
    lines.append('  <key id="weight" for="edge" attr.name="weight" attr.type="double"/>')
    lines.append('  <graph edgedefault="directed">')
    places = {}
    for role, ids in (("input", graph.inputs), ("output", graph.outputs)):
        for number, node in enumerate(ids.tolist()):
            places.setdefault(node, []).append((role, number))
    for node, name in enumerate(graph.names):
        data = [("name", _checked(name)), *places.get(node, ())]
        if graph.activations is not None:
            data.append(("activation", graph.activations[node]))
        if graph.biases is not None:
            data.append(("bias", repr(float(graph.biases[node]))))
        inner = "".join(f'<data key="{key}">{escape(str(value), {chr(13): "&#13;"})}</data>' for key, value in data)
        lines.append(f"    <node id={quoteattr(str(node))}>{inner}</node>")
    weights = [None] * graph.n_edge if graph.weights is None else graph.weights.tolist()
    for sender, receiver, weight in zip(graph.senders.tolist(), graph.receivers.tolist(), weights, strict=True):
        data = "" if weight is None else f'<data key="weight">{weight!r}</data>'
        lines.append(f'    <edge source="{sender}" target="{receiver}">{data}</edge>')
    return "\n".join([*lines, "  </graph>", "</graphml>", ""])


def _checked(name):
    for letter in name:
        code = ord(letter)
        if (code < 32 and letter not in "\t\n\r") or 0xD800 <= code <= 0xDFFF or code in (0xFFFE, 0xFFFF):
            raise GraphError(f"the name {name!r} holds a character that XML cannot; rename the node or use Parquet")
    return name
