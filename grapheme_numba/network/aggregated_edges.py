"""Where the edges into nodes that do not sum have their deltas (`kernels.engine.aggregations`)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.dag import Dag


class Rows(NamedTuple):
    """A graph as the backward pass finds its way through the deltas.

    Attributes
    ----------
    dag : Dag
        Its `t_indices` are rows of `Tiles.deltas`: the receiver's where the receiver sums, else the edge's own.
    first : int64 (n_node,)
        The row of the first incoming edge of each node that does not sum; the others follow in CSR order.
    """

    dag: Dag
    first: npt.NDArray[np.int64]


def rows_of(dag: Dag) -> Rows:
    """The rows of the deltas: first those of the nodes, then one per edge into a node that does not sum, in CSR order.

    Raises GraphError where there would be more than an int32 can number.
    """
    if dag.n_node + dag.n_edge_row > np.iinfo(np.int32).max:
        raise GraphError(
            f"{dag.n_edge_row} edges enter nodes that do not sum, and {dag.n_node} nodes are too many beside them; "
            "let more nodes sum"
        )
    in_degree = np.where(dag.aggregation != 0, np.diff(dag.indptr), 0)
    first = dag.n_node + np.cumsum(in_degree) - in_degree
    # Sorted by receiver, edges that stood in sender order stand in CSR order.
    by_receiver = np.argsort(dag.t_indices, kind="stable")
    own = by_receiver[dag.aggregation[dag.t_indices[by_receiver]] != 0]
    t_indices = dag.t_indices.copy()
    t_indices[own] = np.arange(dag.n_node, dag.n_node + len(own), dtype=np.int32)
    return Rows(dag._replace(t_indices=t_indices), first.astype(np.int64))
