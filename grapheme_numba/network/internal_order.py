"""The internal order of a network's nodes and edges, given back to a copy of it."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError
from grapheme_numba.kernels.graph import topology

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN


def in_order(dag: "DagNN", node_order: npt.ArrayLike, level_start: npt.ArrayLike) -> None:
    """Give a network the internal order of nodes of another with the same edges, in place.

    The order decides how sums round: a network that resumes from a checkpoint needs the one that it had.

    Parameters
    ----------
    dag : DagNN
    node_order : (n_node,) int32
        As in `Dag`.
    level_start : (n_level + 1,) int64
        As in `Dag`; the levels need not be the lowest possible.

    Raises
    ------
    GraphError
        It is no order of these nodes, or an edge does not rise in it.
    """
    old, arrays = dag.dag, dag.topology()
    node_order, level_start = np.ascontiguousarray(node_order, np.int32), np.ascontiguousarray(level_start, np.int64)
    n_node, n_edge = dag.n_node, dag.n_edge
    fits = node_order.shape == (n_node,) and np.array_equal(np.sort(node_order), np.arange(n_node))
    fits = fits and level_start.ndim == 1 and len(level_start) > 1 and bool(np.all(np.diff(level_start) >= 0))
    if not fits or level_start[0] != 0 or level_start[-1] != n_node:
        raise GraphError("the stored order is not one of this network's nodes; use another checkpoint")
    number = np.empty(n_node, np.int32)
    number[node_order] = np.arange(n_node, dtype=np.int32)
    level = np.repeat(np.arange(len(level_start) - 1), np.diff(level_start))
    senders, receivers = number[arrays["senders"]], number[arrays["receivers"]]
    if np.any(level[senders] >= level[receivers]):
        raise GraphError("an edge does not rise in the stored order of nodes; use another checkpoint")
    t_indptr, by_receiver, edge_order = np.empty(n_node + 1, np.int64), *np.empty((2, n_edge), np.int32)
    topology.group_by(receivers, np.arange(n_edge, dtype=np.int32), t_indptr, by_receiver)
    topology.group_by(senders, by_receiver, t_indptr, edge_order)
    t_indices = receivers[edge_order]
    indptr, indices = np.empty_like(t_indptr), np.empty_like(t_indices)
    topology.transpose(t_indptr, t_indices, indptr, indices)
    before = [dag.to_caller_order(vector) for vector in (dag.parameters, dag.gradients)]
    moved = np.argsort(old.node_order)[node_order]
    by_node = old.activation[moved], old.is_input[moved], old.is_output[moved]
    ports = number[arrays["inputs"]], number[arrays["outputs"]]
    combined = old.aggregation[moved] if old.aggregation.size else old.aggregation
    edges = indptr, indices, t_indptr, t_indices, level_start
    dag.adopt(type(old)(*edges, *by_node, *ports, node_order, edge_order, combined))
    dag.parameters[:], dag.gradients[:] = map(dag.from_caller_order, before)
