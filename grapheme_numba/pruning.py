"""Networks with fewer edges and nodes: pruned by magnitude, rid of what no output depends on."""

from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import UsageError
from grapheme_numba.graph.named import NamedGraph, named_graph
from grapheme_numba.kernels.sparsity import drop_and_grow


class Thinned(NamedTuple):
    """A smaller network, and what it kept of the larger one.

    dag : DagNN
    edges : (n_edge of the larger,) bool, in the caller's order
    nodes : (n_node of the larger,) bool, by the caller's ids
    """

    dag: object
    edges: np.ndarray
    nodes: np.ndarray

    def vector(self, flat, larger):
        """Those entries of a flat vector of the `larger` network that belong to the smaller, in its order."""
        flat = larger.to_caller_order(flat)
        return self.dag.from_caller_order(flat[np.concatenate([self.edges, self.nodes])])


def prune(dag, density):
    """A network with the share `density` of the edges: those with the largest weights. No node is cut off.

    Parameters
    ----------
    dag : DagNN
    density : float
        In (0, 1].

    Returns
    -------
    DagNN
        With the same nodes, names, weights and biases.
    """
    if not 0.0 < density <= 1.0:
        raise UsageError(f"density is {density!r}; give a share above 0 and at most 1")
    edges = edges_to_keep(dag, round(density * dag.n_edge))
    return thinned(dag, edges, np.ones(dag.n_node, bool)).dag


def without_dead_nodes(dag):
    """A network with the same outputs, without the nodes that no output depends on. Inputs stay.

    Returns
    -------
    DagNN
    """
    return thinned(dag, np.ones(dag.n_edge, bool), living_nodes(dag)).dag


def edges_to_keep(dag, n_kept):
    """(n_edge,) bool in the caller's order: the `n_kept` edges with the largest weights, and every node's largest."""
    keep = np.empty(dag.n_edge, bool)
    keep[dag.dag.edge_order] = ~smallest_edges(dag, dag.n_edge - n_kept)
    return keep


def living_nodes(dag):
    """(n_node,) bool by the caller's ids: inputs, and nodes that an output depends on."""
    reached = dag.dag.is_output.copy()
    drop_and_grow.reach_backwards(dag.dag.indptr, dag.dag.indices, reached)
    keep = np.empty(dag.n_node, bool)
    keep[dag.dag.node_order] = (reached | dag.dag.is_input).astype(bool)
    return keep


def thinned(dag, edges, nodes):
    """The network of the kept edges and nodes, with its names, weights and biases.

    Parameters
    ----------
    dag : DagNN
    edges : (n_edge,) bool
        In the caller's order; edges of nodes that go, go too.
    nodes : (n_node,) bool
        By the caller's ids; inputs and outputs have to stay.

    Returns
    -------
    Thinned
    """
    graph = NamedGraph.of(dag)
    # An edge between inputs may stay behind: it changes nothing that is read, and costs what it costs.
    edges = edges & nodes[graph.senders] & nodes[graph.receivers]
    number = np.cumsum(nodes) - 1
    smaller = named_graph(
        number[graph.senders[edges]], number[graph.receivers[edges]],
        [name for name, kept in zip(graph.names, nodes, strict=True) if kept], weights=graph.weights[edges],
        inputs=number[graph.inputs], outputs=number[graph.outputs],
        activations=[name for name, kept in zip(graph.activations, nodes, strict=True) if kept],
        biases=graph.biases[nodes],
    )  # fmt: skip
    result = type(dag).from_graph(smaller, dtype=dag.dtype)
    result.names = smaller.names if dag.names is not None else None
    return Thinned(result, edges, nodes)


def smallest_edges(dag, n_wanted):
    """A mask (n_edge,) of the `n_wanted` edges of smallest weight, without the strongest of any receiver.

    It stands in internal order.
    """
    lost = np.zeros(dag.n_edge, bool)
    sizes = np.abs(dag.parameters[: dag.n_edge], dtype=np.float32, casting="same_kind").view(np.uint32)
    drop_and_grow.choose_smallest(sizes, dag.dag.t_indices, dag.n_node, n_wanted, lost)
    return lost
