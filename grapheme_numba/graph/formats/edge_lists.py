"""Edge lists: a table of edges and, where there is more to say, a table of nodes beside it.

The edge table has a sender and a receiver column and may have a weight column, each known by its name.
The node table `NAME.nodes.SUFFIX` has the columns name, input, output, activation and bias: the position
among the inputs or outputs (or a flag for each node) or nothing, the activation or nothing, a number or nothing.
It may have the column aggregation, where nothing stands for sum.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.node_attributes import finite_number, node_options, refuse_twins, resolved
from grapheme_numba.graph.named import NamedGraph, named_graph, node_attributes

Columns: TypeAlias = Mapping[str, Sequence[Any]]

SENDERS = ("sender", "senders", "source", "src", "from", "u", "tail", "pre", "presynaptic")
RECEIVERS = ("receiver", "receivers", "target", "dst", "destination", "to", "v", "head", "post", "postsynaptic")
WEIGHTS = ("weight", "weights", "w")


def parse_table(text: str, delimiter: str) -> dict[str, list[str]]:
    """Columns (name -> list of str) of a CSV or TSV table with a header; quoting as in RFC 4180."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        header = next(reader, [])
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
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return {name: list(column) for name, column in zip(header, columns, strict=True)}


def format_table(columns: Columns, delimiter: str) -> str:
    """The text of a table of columns; None becomes an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def from_columns(
    edges: Columns, nodes: Columns | None = None, *, columns: Sequence[str] | None = None, inputs: Any = None,
    outputs: Any = None, break_cycles: str = "error",
) -> NamedGraph:  # fmt: skip
    """A graph from an edge table and perhaps a node table.

    Parameters
    ----------
    edges : dict of str to sequence
        Names or whole numbers in the sender and receiver columns, numbers in the weight column.
    nodes : dict of str to sequence, optional
        Without it the nodes are those of the edges: numbers ascending, names as they first appear.
    columns : (sender, receiver) or (sender, receiver, weight), optional
        The columns' names, where they are none of those known.
    inputs, outputs : sequences of names, optional
        A number is a name, too: 1 is the node that the table calls 1.
    break_cycles : str
        As for `named_graph`.
    """
    sender, receiver, weight = columns_of(edges, columns)
    pairs = [_names(edges[sender], sender), _names(edges[receiver], receiver)]
    options: dict[str, Any] = {}
    if nodes is None:
        pairs = _whole_numbers(pairs)
        names = _in_order(pairs)
    else:
        names, options = node_table(nodes)
    refuse_twins(names)
    position = {name: node for node, name in enumerate(names)}
    ids = []
    for column, values in zip((sender, receiver), pairs, strict=True):
        unknown = next((name for name in values if name not in position), None)
        if unknown is not None:
            raise GraphError(f"column {column!r} names {unknown!r}, but the node table has no such name")
        ids.append([position[name] for name in values])
    weights = None
    if weight is not None:
        weights = [finite_number(value, f"{weight} of edge", row) for row, value in enumerate(edges[weight])]
    for what, wanted in (("inputs", inputs), ("outputs", outputs)):
        if wanted is not None:
            options[what] = resolved(what, wanted, names)
    return named_graph(ids[0], ids[1], names, weights=weights, break_cycles=break_cycles, **options)


def node_table(nodes: Columns) -> tuple[list[str], dict[str, Any]]:
    """The names of a node table, and what it states as arguments of `named_graph`."""
    if "name" not in nodes:
        raise GraphError(f"the node table has the columns {list(nodes)}; one called name is wanted")
    names = _names(nodes["name"], "name")
    known = {name: nodes[name] for name in ("input", "output", "activation", "aggregation", "bias") if name in nodes}
    return names, node_options([dict(zip(known, row, strict=True)) for row in zip(*known.values(), strict=True)])


def to_columns(graph: NamedGraph) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """(edge table, node table) of a graph as dicts of lists."""
    edges: dict[str, list[Any]] = {
        "sender": [graph.names[node] for node in graph.senders.tolist()],
        "receiver": [graph.names[node] for node in graph.receivers.tolist()],
    }
    if graph.weights is not None:
        edges["weight"] = graph.weights.tolist()
    attributes = node_attributes(graph)
    nodes: dict[str, list[Any]] = {"name": list(graph.names)}
    more = [] if graph.aggregations is None else ["aggregation"]
    for name in ("input", "output", "activation", *more, "bias"):
        nodes[name] = [one.get(name) for one in attributes]
    return edges, nodes


def columns_of(edges: Columns, columns: Sequence[str] | None = None) -> tuple[str, str, str | None]:
    """The names of the (sender, receiver, weight or None) columns. Raises GraphError where one is missing."""
    if columns is not None:
        if len(columns) not in (2, 3) or any(name not in edges for name in columns):
            raise GraphError(f"the wanted columns are {list(columns)}, the table has {list(edges)}")
        return columns[0], columns[1], columns[2] if len(columns) == 3 else None
    lower = {name.strip().lower(): name for name in edges}
    known = [next((lower[name] for name in names if name in lower), None) for names in (SENDERS, RECEIVERS, WEIGHTS)]
    for what, name, names in (("sender", known[0], SENDERS), ("receiver", known[1], RECEIVERS)):
        if name is None:
            raise GraphError(
                f"no column of {list(edges)} is known as the {what}; call it one of {', '.join(names)}, "
                "or say which columns to use"
            )
    return str(known[0]), str(known[1]), known[2]


def _names(values: Sequence[Any], column: str) -> list[str]:
    if all(isinstance(value, str) for value in values):
        return list(values)
    names = []
    for row, value in enumerate(values):
        if isinstance(value, float) and value.is_integer():  # tables with gaps keep whole numbers as floats
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise GraphError(f"column {column!r} holds {value!r} in row {row}; give names or whole numbers")
        names.append(str(value))
    return names


def _whole_numbers(pairs: list[list[str]]) -> list[list[str]]:
    """Names without `.0` where all are whole numbers and some were written as floats."""
    names = {name for pair in pairs for name in pair}
    floats = {name for name in names if re.fullmatch(r"-?\d+\.0+", name)}
    if not floats or not all(name in floats or re.fullmatch(r"-?\d+", name) for name in names):
        return pairs
    plain = {name: name.partition(".")[0] for name in floats}
    if both := sorted(name for name in floats if plain[name] in names):
        raise GraphError(f"the nodes {plain[both[0]]!r} and {both[0]!r} are one number; write ids as whole numbers")
    return [[plain.get(name, name) for name in pair] for pair in pairs]


def _in_order(pairs: list[list[str]]) -> list[str]:
    names = list(dict.fromkeys(name for pair in zip(*pairs, strict=True) for name in pair))
    numbers = all(name.isascii() and name.isdigit() and len(name) < 19 for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if numbers else names
