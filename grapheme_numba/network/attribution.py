"""Which inputs, nodes and edges an answer comes from: gradient times value, by name, to Parquet.

How much each node and edge of a network had to do with what is explained, added up over batches.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from grapheme_numba import float_mode
from grapheme_numba.arguments import array
from grapheme_numba.errors import ShapeError
from grapheme_numba.graph.formats.files import write_columns
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.kernels.engine.contributions import edge_contributions, node_contributions
from grapheme_numba.network.arrays import Array, matrix
from grapheme_numba.network.parameters import checked_network

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN


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

    def __init__(self, dag: "DagNN") -> None:
        self.dag, self.n_example = dag, 0
        self.nodes, self.edges = np.zeros(dag.n_node), np.zeros(dag.n_edge)

    def backward(self, gy: Array) -> Array:
        """dL/dx (batch, n_input) of the latest forward pass, whose examples are added; gradients stay as they are."""
        dag = self.dag
        gx = dag.backward_latest(gy, dag.gradients[:0], True)
        tiles, weights = dag.latest_tiles(), dag.parameters[: dag.n_edge]
        rows = dag.passes.rows
        graph = dag.dag if rows is None else rows.dag
        node_contributions(tiles.activations, tiles.deltas, graph, len(gx), self.nodes)
        edge_contributions(tiles.activations, tiles.deltas, graph, weights, len(gx), self.edges)
        self.n_example += len(gx)
        return gx

    def means(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Means over the examples: (n_node,) by the caller's ids, (n_edge,) in the caller's edge order."""
        order, n = self.dag.dag, max(1, self.n_example)
        nodes, edges = np.empty_like(self.nodes), np.empty_like(self.edges)
        nodes[order.node_order], edges[order.edge_order] = self.nodes / n, self.edges / n
        return nodes, edges


BATCH = 1024


class Attribution(NamedTuple):
    """What `attribute` found.

    Attributes
    ----------
    inputs : (n_example, n_input) float64
        Gradient times input. For a network without biases and with activations that are linear on either
        side of 0 (linear, relu, leaky_relu), a row sums to the output that was asked for.
    nodes : (n_node,) float64
        Mean over examples of |activation * gradient of the pre-activation|, by node id.
    edges : (n_edge,) float64
        Mean over examples of |weight * activation of the sender * gradient of that product|, in the caller's
        edge order; where the receiver sums, the gradient is that of its pre-activation.
    graph : NamedGraph
    """

    inputs: npt.NDArray[np.float64]
    nodes: npt.NDArray[np.float64]
    edges: npt.NDArray[np.float64]
    graph: NamedGraph

    def save(self, folder: str | Path) -> None:
        """Write `inputs.parquet`, `nodes.parquet` and `edges.parquet` into `folder`, all by name.

        Inputs: the column `example`, then one column per input. Raises OutputError.
        """
        folder, names = Path(folder), self.graph.names
        folder.mkdir(parents=True, exist_ok=True)
        columns = {names[node]: self.inputs[:, column] for column, node in enumerate(self.graph.inputs.tolist())}
        number = "example" if "example" not in columns else "example number"
        write_columns(folder / "inputs.parquet", {number: np.arange(len(self.inputs)), **columns})
        write_columns(folder / "nodes.parquet", {"name": list(names), "saliency": self.nodes})
        write_columns(
            folder / "edges.parquet",
            {
                "sender": [names[node] for node in self.graph.senders.tolist()],
                "receiver": [names[node] for node in self.graph.receivers.tolist()],
                "weight": cast(Array, self.graph.weights),  # a network always has some
                "saliency": self.edges,
            },
        )


@float_mode.standard()
def attribute(
    dag: "DagNN", x: npt.ArrayLike, output: npt.ArrayLike | None = None, *, names: Iterable[str] | None = None
) -> Attribution:
    """Gradient times input per input, and the saliency of every node and edge, in batches of `BATCH`.

    Parameters
    ----------
    dag : DagNN
        Its gradients are left as they are.
    x : (n_example, n_input)
    output : int, name, (n_example,) int or (n_example, n_output) float, optional
        What is explained: one output, an output for each example, or weights of all outputs. By default
        the largest output of each example.
    names : sequence of str (n_node,), optional
        Instead of those of the network.

    Returns
    -------
    Attribution

    Raises
    ------
    ShapeError
        `x` or `output` does not fit the network.
    """
    x = matrix("x", x, checked_network(dag).n_input, dag.dtype)
    graph = NamedGraph.of(dag, names)
    inputs = np.empty(x.shape)
    saliency = Saliency(dag)
    for start in range(0, len(x), BATCH):
        part = x[start : start + BATCH]
        rows = slice(start, start + len(part))
        gradient = saliency.backward(_explained(output, dag.forward_latest(part, False), graph, rows, len(x)))
        inputs[rows] = gradient.astype(np.float64) * part
    return Attribution(inputs, *saliency.means(), graph)


def _explained(output: npt.ArrayLike | None, y: Array, graph: NamedGraph, rows: slice, n_example: int) -> Array:
    """dL/dy of the outputs that are explained in `rows`."""
    n_output = y.shape[1]
    if isinstance(output, str):
        named = [graph.names[node] for node in graph.outputs.tolist()]
        if output not in named:
            raise ShapeError(f"output is {output!r}; the network's outputs are {', '.join(named[:10])}")
        output = named.index(output)
    if output is None:
        chosen = y.argmax(axis=1)
    else:
        output = array("output", output)
        if output.shape == (n_example, n_output) and output.dtype.kind in "fiu":
            return output[rows].astype(y.dtype)
        if output.shape not in ((), (n_example,)) or output.dtype.kind not in "iu":
            raise ShapeError(
                f"output has dtype {output.dtype} and shape {output.shape}; give a number or name, or an array of "
                f"shape ({n_example},) or ({n_example}, {n_output})"
            )
        if output.size and (output.min() < 0 or output.max() >= n_output):
            raise ShapeError(f"output runs from {output.min()} to {output.max()}; there are 0 to {n_output - 1}")
        chosen = np.broadcast_to(output, (n_example,))[rows]
    return (np.arange(n_output) == chosen[:, None]).astype(y.dtype)
