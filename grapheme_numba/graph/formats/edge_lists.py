"""Edge lists: a table of edges and, where there is more to say, a table of nodes beside it.

The edge table has a sender and a receiver column and may have a weight column, each known by its name.
The node table `NAME.nodes.SUFFIX` has the columns name, input, output, activation and bias: the position
among the inputs or outputs or nothing, the activation or nothing, a number or nothing.
"""

import csv
import io

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.named import named_graph

SENDERS = ("sender", "senders", "source", "src", "from", "u", "tail", "pre", "presynaptic")
RECEIVERS = ("receiver", "receivers", "target", "dst", "destination", "to", "v", "head", "post", "postsynaptic")
WEIGHTS = ("weight", "weights", "w")


def parse_table(text, delimiter):
    """Columns (name -> list of str) of a CSV or TSV table with a header; quoting as in RFC 4180."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, None)
        rows = []
        for row in reader:
            if row and len(row) != len(header):
                raise GraphError(
                    f"line {reader.line_num} has {len(row)} fields, but the header has {len(header)}; "
                    "give every line the same number"
                )
            if row:
                rows.append(row)
    except csv.Error as error:
        raise GraphError(f"line {reader.line_num}: {error}; correct the quoting") from None
    if not header:
        raise GraphError("the table is empty; its first line names the columns, as sender,receiver,weight")
    if len(set(header)) != len(header):
        raise GraphError(f"the header {header} names a column twice; give each column a name of its own")
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    return {name: list(column) for name, column in zip(header, columns, strict=True)}


def format_table(columns, delimiter):
    """The text of a table of columns; None becomes an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def from_columns(edges, nodes=None, *, columns=None, **options):
    """A graph from an edge table and perhaps a node table.

    Parameters
    ----------
    edges : dict of str to sequence
        Names or whole numbers in the sender and receiver columns, numbers in the weight column.
    nodes : dict of str to sequence, optional
        Without it the nodes are those of the edges: numbers ascending, names as they first appear.
    columns : (sender, receiver) or (sender, receiver, weight), optional
        The columns' names, where they are none of those known.
    **options
        As for `named_graph`.
    """
    sender, receiver, weight = columns_of(edges, columns)
    pairs = [_names(edges[sender], sender), _names(edges[receiver], receiver)]
    if nodes is None:
        names, stated = _in_order(pairs), {}
    else:
        names, stated = _node_table(nodes)
    position = {name: node for node, name in enumerate(names)}
    ids = []
    for column, values in zip((sender, receiver), pairs, strict=True):
        unknown = next((name for name in values if name not in position), None)
        if unknown is not None:
            raise GraphError(f"column {column!r} names {unknown!r}, but the node table has no such name")
        ids.append([position[name] for name in values])
    weights = None if weight is None else _numbers(edges[weight], f"{weight} of edge")
    stated.update({name: value for name, value in options.items() if value is not None})
    return named_graph(*ids, names, weights=weights, **stated)


def to_columns(graph):
    """(edge table, node table) of a graph as dicts of lists."""
    edges = {
        "sender": [graph.names[node] for node in graph.senders.tolist()],
        "receiver": [graph.names[node] for node in graph.receivers.tolist()],
    }
    if graph.weights is not None:
        edges["weight"] = graph.weights.tolist()
    nodes = {"name": list(graph.names)}
    for role, ids in (("input", graph.inputs), ("output", graph.outputs)):
        nodes[role] = [None] * graph.n_node
        for number, node in enumerate(ids.tolist()):
            nodes[role][node] = number
    nodes["activation"] = list(graph.activations or [None] * graph.n_node)
    nodes["bias"] = [None] * graph.n_node if graph.biases is None else graph.biases.tolist()
    return edges, nodes


def columns_of(edges, columns=None):
    """The names of the (sender, receiver, weight or None) columns. Raises GraphError where one is missing."""
    if columns is not None:
        wanted = [*columns, None][:3]
        missing = [name for name in wanted if name is not None and name not in edges]
        if len(columns) not in (2, 3) or missing:
            raise GraphError(f"the columns asked for are {list(columns)}, the table has {list(edges)}")
        return wanted
    lower = {name.strip().lower(): name for name in edges}
    found = []
    for what, known in (("sender", SENDERS), ("receiver", RECEIVERS), ("weight", WEIGHTS)):
        name = next((lower[name] for name in known if name in lower), None)
        if name is None and what != "weight":
            raise GraphError(
                f"no column of {list(edges)} is known as the {what}; call it one of {', '.join(known)}, "
                "or say which columns to use"
            )
        found.append(name)
    return found


def _names(values, column):
    if all(isinstance(value, str) for value in values):
        return list(values)
    for row, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise GraphError(f"column {column!r} holds {value!r} in row {row}; give names or whole numbers")
    return [str(value) for value in values]


def _in_order(pairs):
    names = list(dict.fromkeys(name for pair in zip(*pairs, strict=True) for name in pair))
    numbers = all(name.isascii() and name.isdigit() and len(name) < 19 for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if numbers else names


def _node_table(nodes):
    if "name" not in nodes:
        raise GraphError(f"the node table has the columns {list(nodes)}; one called name is wanted")
    names, stated = _names(nodes["name"], "name"), {}
    for role in ("input", "output"):
        places = [
            (_number(value, f"{role} of node", row), node)
            for row, (value, node) in enumerate(zip(nodes.get(role, ()), range(len(names)), strict=False))
            if value not in (None, "")
        ]
        if places:
            stated[f"{role}s"] = [node for _, node in sorted(places)]
    activations = nodes.get("activation")
    if activations and any(value not in (None, "") for value in activations):
        stated["activations"] = [value or "linear" for value in activations]
    biases = nodes.get("bias")
    if biases and any(value not in (None, "") for value in biases):
        stated["biases"] = _numbers([0.0 if value in (None, "") else value for value in biases], "bias of node")
    return names, stated


def _numbers(values, what):
    return np.array([_number(value, what, row) for row, value in enumerate(values)], np.float64)


def _number(value, what, row):
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = np.nan
    if not np.isfinite(number):
        raise GraphError(f"{what} {row} is {value!r}; give a finite number")
    return number
