"""Graphs of NetworkX."""

from typing import Any

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.node_attributes import node_options, resolved
from grapheme_numba.graph.named import NamedGraph, named_graph


def from_networkx(source: Any, *, inputs: Any = None, outputs: Any = None, break_cycles: str = "error") -> NamedGraph:
    """A graph from a NetworkX `DiGraph`.

    Read are the edge attribute `weight` and the node attributes `activation`, `aggregation`, `bias`, `input` and
    `output` (positions or flags); nodes are called by `str` of themselves. `inputs` and `outputs` name nodes, as
    objects of the graph or by `str` of them.
    """
    if not source.is_directed():
        raise GraphError("the NetworkX graph is not directed; give a DiGraph, whose edges say which end sends")
    position = {node: number for number, node in enumerate(source.nodes)}
    names = [str(node) for node in source.nodes]
    edges = list(source.edges(data="weight"))
    with_weight = sum(weight is not None for *_, weight in edges)
    if 0 < with_weight < len(edges):
        sender, receiver, _ = next(edge for edge in edges if edge[2] is None)
        raise GraphError(f"the edge {sender!r} -> {receiver!r} has no weight but others have; give all or none")
    options = node_options([source.nodes[node] for node in source.nodes])
    for what, wanted in (("inputs", inputs), ("outputs", outputs)):
        if wanted is not None:
            options[what] = resolved(what, wanted, names, position)
    return named_graph(
        [position[sender] for sender, *_ in edges],
        [position[receiver] for _, receiver, _ in edges],
        names,
        weights=[weight for *_, weight in edges] if with_weight else None,
        break_cycles=break_cycles,
        **options,
    )
