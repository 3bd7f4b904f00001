"""A graph as an object of SciPy or NetworkX."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from grapheme_numba.graph.named import NamedGraph


def to_scipy(graph: "NamedGraph") -> "scipy.sparse.csr_array":
    """CSR array (n_node, n_node) with entry [i, j] the weight of edge i -> j, 1 where there are no weights."""
    from scipy.sparse import csr_array

    weights = np.ones(graph.n_edge) if graph.weights is None else graph.weights
    return csr_array((weights, (graph.senders, graph.receivers)), shape=(graph.n_node, graph.n_node))


def to_networkx(graph: "NamedGraph") -> "networkx.DiGraph[Any]":
    """The NetworkX `DiGraph` that `load_graph` reads back."""
    from networkx import DiGraph

    result = DiGraph()
    for name, attributes in zip(graph.names, node_attributes(graph), strict=True):
        result.add_node(name, **attributes)
    for sender, receiver, weight in graph.to_edge_list():
        result.add_edge(sender, receiver, **({} if weight is None else {"weight": weight}))
    return result


def node_attributes(graph: "NamedGraph") -> list[dict[str, Any]]:
    """For each node its position among the inputs and outputs, its activation and bias, as far as there is one.

    Where not all nodes sum, each has its aggregation, too.
    """
    attributes: list[dict[str, Any]] = [{} for _ in graph.names]
    for role, ids in (("input", graph.inputs), ("output", graph.outputs)):
        for number, node in enumerate(ids.tolist()):
            attributes[node][role] = number
    for node, one in enumerate(attributes):
        if graph.activations is not None:
            one["activation"] = graph.activations[node]
        if graph.aggregations is not None:
            one["aggregation"] = graph.aggregations[node]
        if graph.biases is not None:
            one["bias"] = float(graph.biases[node])
    return attributes
