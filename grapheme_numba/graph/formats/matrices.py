"""Graphs as matrices and as objects of SciPy and NetworkX."""

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.named import named_graph


def from_matrix(matrix, names=None, **options):
    """A graph from a square matrix: entry [i, j] is the weight of the edge from i to j.

    Parameters
    ----------
    matrix : (n_node, n_node) NumPy array or SciPy sparse array
        Of an array every nonzero entry is an edge, of a sparse one every stored entry.
    names : sequence of str, optional
        The node numbers without it.
    **options
        As for `named_graph`.
    """
    if hasattr(matrix, "tocoo"):
        matrix = matrix.tocoo()
        rows, columns, weights = matrix.row, matrix.col, matrix.data
    else:
        matrix = np.asarray(matrix)
        if matrix.ndim == 2 and matrix.dtype.kind in "fiub":
            rows, columns = np.nonzero(matrix)
            weights = matrix[rows, columns]
    shape = matrix.shape
    if len(shape) != 2 or shape[0] != shape[1] or matrix.dtype.kind not in "fiub":
        raise GraphError(
            f"the matrix has shape {shape} and dtype {matrix.dtype}; give numbers in (n_node, n_node), "
            "where [i, j] is the weight of the edge from i to j"
        )
    names = list(map(str, range(shape[0]))) if names is None else names
    # A mask says which edges there are; True is no weight.
    weights = None if matrix.dtype.kind == "b" else np.asarray(weights, np.float64)
    return named_graph(rows, columns, names, weights=weights, **options)


def to_scipy(graph):
    """CSR array (n_node, n_node) with entry [i, j] the weight of edge i -> j, 1 where there are no weights."""
    from scipy.sparse import csr_array

    weights = np.ones(graph.n_edge) if graph.weights is None else graph.weights
    return csr_array((weights, (graph.senders, graph.receivers)), shape=(graph.n_node, graph.n_node))


def from_networkx(source, **options):
    """A graph from a NetworkX `DiGraph`.

    Read are the edge attribute `weight` and the node attributes `activation`, `bias`, `input` and `output`
    (the last two are positions); nodes are called by `str` of themselves.
    """
    if not source.is_directed():
        raise GraphError("the NetworkX graph is not directed; give a DiGraph, whose edges say which end sends")
    position = {node: number for number, node in enumerate(source.nodes)}
    edges = list(source.edges(data="weight"))
    with_weight = sum(weight is not None for *_, weight in edges)
    if 0 < with_weight < len(edges):
        sender, receiver, _ = next(edge for edge in edges if edge[2] is None)
        raise GraphError(f"the edge {sender!r} -> {receiver!r} has no weight but others have; give all or none")
    attributes = [source.nodes[node] for node in source.nodes]
    stated = {}
    for role in ("input", "output"):
        places = [(data[role], number) for number, data in enumerate(attributes) if data.get(role) is not None]
        if places:
            stated[f"{role}s"] = [number for _, number in sorted(places)]
    if any("activation" in data for data in attributes):
        stated["activations"] = [data.get("activation", "linear") for data in attributes]
    if any("bias" in data for data in attributes):
        stated["biases"] = [data.get("bias", 0.0) for data in attributes]
    stated.update({name: value for name, value in options.items() if value is not None})
    return named_graph(
        [position[sender] for sender, *_ in edges],
        [position[receiver] for _, receiver, _ in edges],
        [str(node) for node in source.nodes],
        weights=[weight for *_, weight in edges] if with_weight else None,
        **stated,
    )


def to_networkx(graph):
    """The NetworkX `DiGraph` that `from_networkx` reads back."""
    from networkx import DiGraph

    result = DiGraph()
    result.add_nodes_from(graph.names)
    for role, ids in (("input", graph.inputs), ("output", graph.outputs)):
        for number, node in enumerate(ids.tolist()):
            result.nodes[graph.names[node]][role] = number
    for node, name in enumerate(graph.names):
        if graph.activations is not None:
            result.nodes[name]["activation"] = graph.activations[node]
        if graph.biases is not None:
            result.nodes[name]["bias"] = float(graph.biases[node])
    for sender, receiver, weight in graph.to_edge_list():
        result.add_edge(sender, receiver, **({} if weight is None else {"weight": weight}))
    return result
