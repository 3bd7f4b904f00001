"""neat-python's JSON export of a feed-forward network, in both directions.

Its node computes `f(bias + response * aggregate(weight * activation))`, and several of its functions stretch
their argument first: sigmoid(5 x), tanh(2.5 x). Response and stretch go into our weights and biases: into the weights
of all edges of a node, or into the first one's where the node multiplies its inputs. By a response below 0 a largest
input becomes a smallest one. Its sine stands still beyond 60, which a product of inputs reaches easily: it is our
`sin_60`, and our own `sin` is one that it does not have.
"""

import math
from typing import Any

import msgspec
import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS
from grapheme_numba.graph.formats.node_attributes import resolved
from grapheme_numba.graph.named import NamedGraph, named_graph

# neat-python's name -> (our name, factor of the argument)
FUNCTIONS = {
    "sigmoid": ("sigmoid", 5.0),
    "tanh": ("tanh", 2.5),
    "sin": ("sin_60", 5.0),
    "gauss": ("gaussian", math.sqrt(5.0)),
    "relu": ("relu", 1.0),
    "elu": ("elu", 1.0),
    "identity": ("linear", 1.0),
    "lelu": ("lelu", 1.0),
    "selu": ("selu", 1.0),
    "softplus": ("softplus_5", 1.0),
    "clamped": ("clamped", 1.0),
    "inv": ("inverse", 1.0),
    "log": ("log", 1.0),
    "exp": ("exp", 1.0),
    "abs": ("abs", 1.0),
    "hat": ("hat", 1.0),
    "square": ("square", 1.0),
    "cube": ("cube", 1.0),
}
_OURS = {ours: (name, factor) for name, (ours, factor) in FUNCTIONS.items()}


class _Function(msgspec.Struct):
    name: str
    custom: bool = False


class _Node(msgspec.Struct, omit_defaults=True):
    id: int
    type: str
    activation: _Function
    aggregation: _Function
    bias: float
    response: float
    name: str | None = None


class _Connection(msgspec.Struct):
    sender: int = msgspec.field(name="from")
    receiver: int = msgspec.field(name="to")
    weight: float = 0.0
    enabled: bool = True


class _Topology(msgspec.Struct):
    num_inputs: int
    num_outputs: int
    input_keys: list[int]
    output_keys: list[int]


class _Export(msgspec.Struct):
    format_version: str
    network_type: str
    metadata: dict[str, Any]
    topology: _Topology
    nodes: list[_Node]
    connections: list[_Connection]


def parse(data: bytes, *, inputs: Any = None, outputs: Any = None, break_cycles: str = "error") -> NamedGraph:
    """A graph from the bytes of an export; names are its node ids, or `name` where a node has one.

    `inputs` and `outputs` name nodes; a whole number is a node id of the export, as -1 for its first input.

    Raises GraphError for another kind of network, an aggregation or activation that is not known (median,
    maxabs), and for anything that is not such an export.
    """
    try:
        export = msgspec.json.decode(data, type=_Export)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise GraphError(f"not a neat-python JSON export: {error}; write one with export_network_json") from None
    if export.network_type != "feedforward":
        raise GraphError(f"the export is of a {export.network_type} network; only feedforward ones are acyclic")
    nodes = {node.id: node for node in export.nodes}
    if len(nodes) != len(export.nodes):
        raise GraphError(f"{len(export.nodes)} nodes share {len(nodes)} ids; give every node an id of its own")
    input_keys, output_keys = export.topology.input_keys, export.topology.output_keys
    # neat-python leaves out an output that nothing reaches: it stays 0.
    for key in [*input_keys, *output_keys]:
        if key not in nodes:
            nodes[key] = _Node(key, "", _Function("identity"), _Function("sum"), 0.0, 1.0)
    position = {key: number for number, key in enumerate(nodes)}
    is_input = set(input_keys)
    functions = [_function(node, node.id in is_input) for node in nodes.values()]
    edges = [edge for edge in export.connections if edge.enabled]
    for edge in edges:
        if edge.sender not in position or edge.receiver not in position:
            raise GraphError(f"the connection from {edge.sender} to {edge.receiver} joins a node that is not listed")
        if edge.receiver in is_input:
            raise GraphError(f"the connection from {edge.sender} enters the input {edge.receiver}")
    factor = np.array([node.response * stretch for node, (_, stretch) in zip(nodes.values(), functions, strict=True)])
    receivers = np.array([position[edge.receiver] for edge in edges], np.int32)
    kinds = [_aggregation(node, node.id in is_input, scale) for node, scale in zip(nodes.values(), factor, strict=True)]
    in_degree = np.bincount(receivers, minlength=len(nodes))
    multiplies = np.array([kind == "product" for kind in kinds])
    # One factor of a product, the first edge's, takes what the whole is multiplied by.
    scales = np.where(multiplies[receivers], 1.0, factor[receivers])
    first = np.unique(receivers, return_index=True)[1]
    scales[first] = factor[receivers[first]]
    weights = np.array([edge.weight for edge in edges], np.float64) * scales
    # An empty product is 1, and has no weight that could take it.
    more = np.where(multiplies & (in_degree == 0), factor - 1.0, 0.0).tolist()
    names = [node.name or str(node.id) for node in nodes.values()]
    inputs, outputs = resolved("inputs", inputs, names, position), resolved("outputs", outputs, names, position)
    stated: dict[str, Any] = {
        "inputs": [position[key] for key in input_keys] if inputs is None else inputs,
        "outputs": [position[key] for key in output_keys] if outputs is None else outputs,
        "activations": [name for name, _ in functions],
        "aggregations": kinds,
        "biases": [
            node.bias * stretch + one for node, (_, stretch), one in zip(nodes.values(), functions, more, strict=True)
        ],
    }
    return named_graph(
        np.array([position[edge.sender] for edge in edges], np.int32),
        receivers,
        names,
        weights=weights,
        break_cycles=break_cycles,
        **stated,
    )


def _function(node: _Node, is_input: bool) -> tuple[str, float]:
    if is_input:
        return "linear", 1.0
    name = node.activation.name
    if not node.activation.custom and name in FUNCTIONS:
        return FUNCTIONS[name]
    if name in ACTIVATIONS and (node.activation.custom or name not in FUNCTIONS):
        return name, 1.0
    raise GraphError(f"node {node.id} has the activation {name!r}; known are {', '.join([*FUNCTIONS, *ACTIVATIONS])}")


def _aggregation(node: _Node, is_input: bool, scale: float) -> str:
    """Our name of what a node does with its inputs, before they are multiplied by `scale` one by one."""
    name = node.aggregation.name
    if is_input:
        return "sum"
    if node.aggregation.custom or name not in AGGREGATIONS:
        own = "a function of its own, " if node.aggregation.custom else ""
        raise GraphError(f"node {node.id} aggregates by {own}{name!r}; known are {', '.join(AGGREGATIONS)}")
    return {"max": "min", "min": "max"}.get(name, name) if scale < 0 else name


def format_export(graph: NamedGraph) -> bytes:
    """The bytes of an export of `graph`. Functions that neat-python lacks are marked custom.

    Raises GraphError for a graph without weights: the format has no word for that.
    """
    if graph.weights is None:
        raise GraphError("the graph has no weights, and a neat-python export must; build a network from it first")
    is_input, is_output = set(graph.inputs.tolist()), set(graph.outputs.tolist())
    keys = np.empty(graph.n_node, np.int64)
    hidden = [node for node in range(graph.n_node) if node not in is_input and node not in is_output]
    # As neat-python numbers them: inputs -1, -2, ...; outputs 0, 1, ...; then the hidden nodes.
    both = [node for node in graph.outputs.tolist() if node not in is_input]
    keys[graph.inputs] = -1 - np.arange(len(graph.inputs))
    keys[[*both, *hidden]] = np.arange(len(both) + len(hidden))
    nodes, kinds = [], graph.aggregations
    for node, name in enumerate(graph.names):
        function, factor = _written(graph, node, node in is_input)
        bias = 0.0 if graph.biases is None else float(graph.biases[node]) / factor
        kind = "input" if node in is_input else "output" if node in is_output else "hidden"
        aggregation = _Function("none" if node in is_input else "sum" if kinds is None else kinds[node])
        # For all four factors (1 / factor) * factor is exactly 1, so weights come back with the same bits.
        nodes.append(_Node(int(keys[node]), kind, function, aggregation, bias, 1.0 / factor, name))
    edges = zip(graph.senders.tolist(), graph.receivers.tolist(), graph.weights.tolist(), strict=True)
    inputs, outputs = keys[graph.inputs].tolist(), keys[graph.outputs].tolist()
    export = _Export(
        "1.0", "feedforward", {}, _Topology(len(inputs), len(outputs), inputs, outputs), nodes,
        [_Connection(int(keys[sender]), int(keys[receiver]), weight) for sender, receiver, weight in edges],
    )  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(export), indent=2)


def _written(graph: NamedGraph, node: int, is_input: bool) -> tuple[_Function, float]:
    name = "linear" if is_input or graph.activations is None else graph.activations[node]
    if name in _OURS:
        theirs, factor = _OURS[name]
        return _Function(theirs), factor
    return _Function(name, custom=True), 1.0
