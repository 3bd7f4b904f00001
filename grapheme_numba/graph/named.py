"""`NamedGraph`: the one form in which graphs travel between files, other libraries and networks.

Node names as arrays, so that they live in a checkpoint beside the topology.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import shown
from grapheme_numba.errors import GraphError
from grapheme_numba.graph import checks
from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS
from grapheme_numba.graph.dag import Ids

if TYPE_CHECKING:
    import networkx
    import onnx
    import scipy.sparse
    import torch


BREAKS = ("error", "feedback-arc")


class NamedGraph(NamedTuple):
    """A directed acyclic graph whose nodes have names. Make one with `named_graph` or `load_graph`.

    Attributes
    ----------
    senders, receivers : int32 (n_edge,)
        Node ids of the two ends of each edge, in the order of the source.
    weights : float64 (n_edge,) or None
        None where the source states none: a network then draws its own.
    inputs, outputs : int32 (n_input,), (n_output,)
        Node ids.
    names : tuple of str (n_node,)
        All different.
    activations : tuple of str (n_node,) or None
        None where the source states none; inputs are always linear.
    biases : float64 (n_node,) or None
    aggregations : tuple of str (n_node,) or None
        What nodes do with their weighted inputs; None where all sum.
    """

    senders: Ids
    receivers: Ids
    weights: npt.NDArray[np.float64] | None
    inputs: Ids
    outputs: Ids
    names: tuple[str, ...]
    activations: tuple[str, ...] | None = None
    biases: npt.NDArray[np.float64] | None = None
    aggregations: tuple[str, ...] | None = None

    @property
    def n_node(self) -> int:
        return len(self.names)

    @property
    def n_edge(self) -> int:
        return len(self.senders)

    @classmethod
    def of(cls, dag: Any, names: Iterable[str] | None = None) -> "NamedGraph":
        """The graph and parameters of a `DagNN`, with `names` or those it was built with."""
        if not callable(getattr(dag, "topology", None)):
            raise GraphError(f"dag is {shown(dag)}; give a DagNN")
        arrays = dag.topology()
        known, kinds, combined = list(ACTIVATIONS), list(AGGREGATIONS), arrays.get("aggregation")
        names = names if names is not None else getattr(dag, "names", None)
        return cls(
            arrays["senders"], arrays["receivers"], np.array(dag.weights, np.float64), arrays["inputs"],
            arrays["outputs"], tuple(names) if names is not None else tuple(map(str, range(dag.n_node))),
            tuple(known[code] for code in arrays["activation"]), np.array(dag.biases, np.float64),
            None if combined is None else tuple(kinds[code] for code in combined),
        )  # fmt: skip

    def to_scipy(self) -> "scipy.sparse.csr_array":
        """A SciPy CSR array (n_node, n_node): entry [i, j] is the weight of edge i -> j, 1 where there are none."""
        from scipy.sparse import csr_array

        weights = np.ones(self.n_edge) if self.weights is None else self.weights
        return csr_array((weights, (self.senders, self.receivers)), shape=(self.n_node, self.n_node))

    def to_networkx(self) -> "networkx.DiGraph[Any]":
        """A NetworkX `DiGraph` with the names as nodes and weights, biases and activations as attributes."""
        from networkx import DiGraph

        result = DiGraph()
        for name, attributes in zip(self.names, node_attributes(self), strict=True):
            result.add_node(name, **attributes)
        for sender, receiver, weight in self.to_edge_list():
            result.add_edge(sender, receiver, **({} if weight is None else {"weight": weight}))
        return result

    def to_edge_list(self) -> list[tuple[str, str, float | None]]:
        """A list of (sender name, receiver name, weight), weight None where the graph has none."""
        names, n_edge = self.names, self.n_edge
        weights: Sequence[float | None] = [None] * n_edge if self.weights is None else self.weights.tolist()
        return [
            (names[s], names[r], w)
            for s, r, w in zip(self.senders.tolist(), self.receivers.tolist(), weights, strict=True)
        ]

    def to_torch(self) -> "torch.nn.Module":
        """A `torch.nn.Module` with the same outputs; needs PyTorch."""
        from grapheme_numba.graph.export.torch import to_torch

        return to_torch(self)

    def to_onnx(self, path: str | Path | None = None) -> "onnx.ModelProto":
        """An ONNX model of plain operators with the same outputs, also written to `path`; needs `onnx`."""
        from grapheme_numba.graph.export.onnx import to_onnx

        return to_onnx(self, path)


def named_graph(
    senders: npt.ArrayLike, receivers: npt.ArrayLike, names: Iterable[str], *, weights: npt.ArrayLike | None = None,
    inputs: Any = None, outputs: Any = None, activations: Iterable[str] | None = None,
    biases: npt.ArrayLike | None = None, aggregations: Iterable[str] | None = None, break_cycles: str = "error",
) -> NamedGraph:  # fmt: skip
    """Check a graph and freeze it.

    Parameters
    ----------
    senders, receivers : integer sequences (n_edge,)
        Node ids, that is positions in `names`.
    names : sequence of str (n_node,)
    weights : float sequence (n_edge,), optional
    inputs, outputs : sequences of ids or names, optional
        By default the nodes with no incoming, or no outgoing, edges; isolated nodes are neither.
    activations : sequence of str (n_node,), optional
    biases : float sequence (n_node,), optional
    aggregations : sequence of str (n_node,), optional
        sum, mean, product, max or min; without it all sum.
    break_cycles : "error" or "feedback-arc"
        What a cycle does: raise CycleError, or lose edges by the heuristic of Eades, Lin and Smyth (1993),
        with a warning that says how many and which.

    Returns
    -------
    NamedGraph

    Raises
    ------
    GraphError, CycleError
        With the names of the nodes at fault.
    """
    nodes = checks.checked_names(names)
    n_node = len(nodes)
    tails, heads = checks.checked_ids("sender", senders, n_node), checks.checked_ids("receiver", receivers, n_node)
    if len(tails) != len(heads):
        raise GraphError(f"{len(tails)} senders and {len(heads)} receivers; give one of each per edge")
    edge_weights, node_biases = checks.finite("weight", weights, len(tails)), checks.finite("bias", biases, n_node)
    checks.refuse_repeats(tails, heads, nodes)
    if break_cycles not in BREAKS:
        raise GraphError(f"break_cycles is {break_cycles!r}; choose one of {', '.join(BREAKS)}")
    if break_cycles == "error":
        checks.refuse_cycles(tails, heads, nodes)
    else:
        keep = checks.acyclic_edges(tails, heads, nodes)
        tails, heads = tails[keep], heads[keep]
        edge_weights = edge_weights if edge_weights is None else edge_weights[keep]
    input_ids, output_ids = checks.ports(tails, heads, nodes, inputs, outputs)
    functions = None if activations is None else checks.checked_activations(activations, nodes, input_ids)
    kinds = None
    if aggregations is not None:
        kinds = checks.checked_aggregations(aggregations, nodes, np.setdiff1d(input_ids, heads).tolist())
    if node_biases is not None and node_biases[input_ids].any():
        node = input_ids[np.flatnonzero(node_biases[input_ids])[0]]
        raise GraphError(f"input {nodes[node]!r} has the bias {node_biases[node]}; inputs have none, set it to 0")
    for array in (tails, heads, edge_weights, input_ids, output_ids, node_biases):
        if array is not None:
            array.flags.writeable = False
    return NamedGraph(tails, heads, edge_weights, input_ids, output_ids, nodes, functions, node_biases, kinds)


def name_arrays(names: Iterable[str] | None) -> dict[str, npt.NDArray[Any]]:
    """{} for None, else `name_bytes` uint8 (UTF-8, one after the other) and `name_ends` int64 (n_node,)."""
    if names is None:
        return {}
    encoded = [name.encode("utf-8", "surrogatepass") for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return {"name_bytes": np.frombuffer(b"".join(encoded), np.uint8), "name_ends": ends}


def names_of(arrays: Mapping[str, npt.NDArray[Any]], n_node: int) -> tuple[str, ...] | None:
    """The names (n_node,) that `name_arrays` put among `arrays`, or None. Raises GraphError where they do not fit."""
    if "name_ends" not in arrays:
        return None
    data, ends = bytes(np.asarray(arrays.get("name_bytes", ()), np.uint8)), np.asarray(arrays["name_ends"]).tolist()
    starts = [0, *ends[:-1]]
    if len(ends) != n_node or ends[-1] != len(data) or any(a > b for a, b in zip(starts, ends, strict=True)):
        raise GraphError(f"the names of {len(ends)} nodes in {len(data)} bytes do not fit {n_node} nodes")
    try:
        return tuple(data[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, ends, strict=True))
    except UnicodeDecodeError as error:
        raise GraphError(f"the node names are not UTF-8: {error}") from None


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
