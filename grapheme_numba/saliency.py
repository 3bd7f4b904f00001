"""How much each node and edge of a network had to do with what is explained, added up over batches."""

import numpy as np

from grapheme_numba.kernels.engine.contributions import edge_contributions, node_contributions


class Saliency:
    """Sums over the examples that went through `backward`.

    Attributes
    ----------
    n_example : int
    nodes : (n_node,) float64
        Sum over examples of |activation * gradient of the pre-activation|, by internal number.
    edges : (n_edge,) float64
        Sum over examples of |weight * activation * gradient|, in internal order.
    """

    def __init__(self, dag):
        self.dag, self.n_example = dag, 0
        self.nodes, self.edges = np.zeros(dag.n_node), np.zeros(dag.n_edge)

    def backward(self, gy):
        """dL/dx (batch, n_input) of the latest forward pass, whose examples are added; gradients stay as they are."""
        dag = self.dag
        before = dag.requires_grad, dag.keeps_deltas
        dag.requires_grad, dag.keeps_deltas = False, True
        try:
            gx = dag.backward_accumulate(gy)
        finally:
            dag.requires_grad, dag.keeps_deltas = before
        tiles, weights = dag._tiles, dag.parameters[: dag.n_edge]
        node_contributions(tiles.activations, tiles.deltas, dag.dag, len(gx), self.nodes)
        edge_contributions(tiles.activations, tiles.deltas, dag.dag, weights, len(gx), self.edges)
        self.n_example += len(gx)
        return gx

    def means(self):
        """Means over the examples: (n_node,) by the caller's ids, (n_edge,) in the caller's edge order."""
        order, n = self.dag.dag, max(1, self.n_example)
        nodes, edges = np.empty_like(self.nodes), np.empty_like(self.edges)
        nodes[order.node_order], edges[order.edge_order] = self.nodes / n, self.edges / n
        return nodes, edges
