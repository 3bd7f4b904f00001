"""`DagNN`: a neural network on any directed acyclic graph. Checks once, owns the parameters, calls kernels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode
from grapheme_numba.errors import CheckpointError, GraphemeError, ShapeError
from grapheme_numba.graph import topologies
from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS, build_dag
from grapheme_numba.graph.dag import Dag
from grapheme_numba.graph.formats.dispatch import checked_options, load_graph
from grapheme_numba.graph.named import name_arrays, names_of
from grapheme_numba.kernels.engine.tiles import Tiles
from grapheme_numba.kernels.graph import topology
from grapheme_numba.network import arrays, parameters, saved, summary
from grapheme_numba.network.initializers import initial_weights
from grapheme_numba.network.parameters import GraphParameters, ReceiverWeights
from grapheme_numba.network.passes import Passes, Tape

Array = npt.NDArray[Any]  # of the network's dtype
Edges = tuple[Array, Array, Array, Array, int]
Network = TypeVar("Network", bound="DagNN")
SETTINGS = ("requires_grad", "keeps_deltas", "strategy")  # what a copy keeps beside the network itself


def _rebuild(cls: type[Network], arrays_by_name: dict[str, Array], dtype: str, settings: dict[str, Any]) -> Network:
    options = {name: arrays_by_name.pop(name) for name in ("weights", "biases")}
    order = {name: arrays_by_name.pop(name) for name in ("node_order", "level_start")}
    dag = cls.from_topology(arrays_by_name, dtype=dtype, **options)
    fresh = dag.dag
    if any(not np.array_equal(order[name], getattr(fresh, name)) for name in order):  # drop-and-grow replaced edges
        parameters.in_order(dag, **order)
    for name, value in settings.items():
        setattr(dag, name, value)
    return dag


class DagNN(GraphParameters):
    """One weight per edge, one bias and one activation function per node.

    Build it with `from_edges` or one of the other constructors. Edge arrays are in the caller's edge
    order and node arrays in the caller's node ids, whatever the internal order.

    Attributes
    ----------
    n_node, n_edge, n_level, n_input, n_output : int
    dtype : numpy dtype, float32 or float64
    precision : "float32", "float64" or "bfloat16"
        The `dtype` it was built with; with bfloat16 only activations and deltas are, and `dtype` is float32.
    requires_grad : bool
        False: `backward_accumulate` returns dL/dx but adds nothing; the forward pass takes tiles that suit it alone.
    keeps_deltas : bool
        True: the backward pass leaves dL/d(pre-activation) of all nodes and examples in its memory.
    parameters, gradients, receiver_weights
        As in `GraphParameters`.
    names : tuple of str (n_node,) or None
        What the nodes are called, where the graph came with names.
    """

    def __init__(self, dag: Dag, weights: npt.ArrayLike, biases: npt.ArrayLike, dtype: npt.DTypeLike) -> None:
        self._precision = arrays.precision(dtype)
        self.dtype, self.precision = self._precision.dtype, self._precision.name
        self.requires_grad: bool = True
        self.keeps_deltas: bool = False
        self.names: tuple[str, ...] | None = None
        n_parameter = dag.n_edge + dag.n_node
        self.parameters: Array = np.zeros(n_parameter, self.dtype)
        self.gradients: Array = np.zeros_like(self.parameters)
        self.adopt(dag)
        self.weights, self.biases = weights, biases

    def adopt(self, dag: Dag) -> None:
        """Work on another `Dag` of as many nodes and edges from now on; the flat vectors are the caller's matter."""
        strategy = self.strategy if hasattr(self, "passes") else "auto"
        self.dag = dag
        self.n_node, self.n_edge, self.n_level = dag.n_node, dag.n_edge, dag.n_level
        self.n_input, self.n_output = len(dag.inputs), len(dag.outputs)
        self.passes = Passes(dag, self._precision)
        self.strategy = strategy
        first = np.array_equal(np.sort(dag.inputs), np.arange(self.n_input))
        # Nearly always the first nodes: a slice costs a tenth of what an index costs.
        self._input_biases = slice(self.n_edge, self.n_edge + self.n_input) if first else self.n_edge + dag.inputs

    # --- making one -----------------------------------------------------------------------------

    @classmethod
    @float_mode.standard()
    def from_edges(
        cls, senders: npt.ArrayLike, receivers: npt.ArrayLike, *, inputs: npt.ArrayLike, outputs: npt.ArrayLike,
        n_node: int | None = None, weights: npt.ArrayLike | None = None, biases: npt.ArrayLike | None = None,
        activation: str | Sequence[str] = "leaky_relu", init: str = "dynamic_xavier", seed: int = 0,
        dtype: npt.DTypeLike = "float32", aggregation: str | Sequence[str] = "sum",
    ) -> Self:  # fmt: skip
        """A network from an edge list.

        Parameters
        ----------
        senders, receivers : integer arrays (n_edge,)
            The two ends of each edge, as node ids.
        inputs, outputs : integer arrays
            Nodes that take external input, and nodes that are read. Input nodes are linear without bias.
        n_node : int, optional
            By default one more than the largest id named.
        weights : array (n_edge,), optional
            Initial weights instead of `init`.
        biases : array (n_node,), optional
            Initial biases; 0 by default, and always 0 for inputs.
        activation : str or sequence of str (n_node,)
            linear, relu, leaky_relu, sigmoid, tanh, gelu, silu, softplus, elu, sin or gaussian.
        init : str
            dynamic_xavier, xavier, he, uniform or zero.
        seed : int
            Seed of `init`.
        dtype : "float32", "float64" or "bfloat16"
            The last: activations and deltas are kept with 8 significant bits, all else and all arrays are float32.
        aggregation : str or sequence of str (n_node,)
            What a node's bias and external input are added to: the sum, mean, product, max or min of its weighted
            inputs, as neat-python has them; of no inputs 1 for a product, else 0 (inputs that nothing enters are
            what they are given). Max and min give their gradient to the first input that attains them, in the
            internal order of the senders.

        Raises
        ------
        GraphError, CycleError, ShapeError
            With the edge, node or cycle at fault.
        """
        numbers = arrays.precision(dtype)
        dag = build_dag(
            senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, activation=activation,
            aggregation=aggregation,
        )  # fmt: skip
        if weights is None:
            weights = initial_weights(init, np.asarray(senders), np.asarray(receivers), dag.n_node, seed, numbers.dtype)
        return cls(dag, weights, np.zeros(dag.n_node, numbers.dtype) if biases is None else biases, numbers.name)

    @classmethod
    def _from_topology(cls, edges: Edges, **options: Any) -> Self:
        senders, receivers, inputs, outputs, n_node = edges
        return cls.from_edges(senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, **options)

    @classmethod
    def from_text(cls, text: str, **options: Any) -> Self:
        """A chain with one node per character: every node an input, the last one the output."""
        return cls._from_topology(topologies.text_chain(text), **options)

    @classmethod
    def from_image(cls, height: int, width: int, **options: Any) -> Self:
        """A pixel grid: every pixel an input with edges from its left and upper neighbours, the last the output."""
        return cls._from_topology(topologies.image_grid(height, width), **options)

    @classmethod
    def classifier(cls, n_in: int, n_hidden: int, n_out: int, **options: Any) -> Self:
        """A dense network with one hidden layer and linear outputs."""
        edges = topologies.classifier(n_in, n_hidden, n_out)
        if "activation" not in options:
            options["activation"] = ["leaky_relu"] * (n_in + n_hidden) + ["linear"] * n_out
        return cls._from_topology(edges, **options)

    @classmethod
    def layered(cls, widths: Sequence[int], fan_in: int, skip: float = 0.0, seed: int = 0, **options: Any) -> Self:
        """Layers of `widths` nodes; each node has `fan_in` senders, a share `skip` of them from earlier layers."""
        return cls._from_topology(topologies.layered(widths, fan_in, skip, seed), seed=seed, **options)

    @classmethod
    def random(cls, n_node: int, n_edge: int, n_in: int, n_out: int, seed: int = 0, **options: Any) -> Self:
        """`n_edge` distinct edges at random from lower to higher nodes; first nodes inputs, last outputs."""
        return cls._from_topology(topologies.random(n_node, n_edge, n_in, n_out, seed), seed=seed, **options)

    @classmethod
    def small_world(
        cls, n_node: int, n_neighbor: int, rewire: float, n_in: int, n_out: int, seed: int = 0, **options: Any
    ) -> Self:
        """A ring lattice with rewired edges (Watts and Strogatz 1998), each directed to the higher node."""
        edges = topologies.small_world(n_node, n_neighbor, rewire, n_in, n_out, seed)
        return cls._from_topology(edges, seed=seed, **options)

    @classmethod
    def scale_free(cls, n_node: int, fan_in: int, n_in: int, n_out: int, seed: int = 0, **options: Any) -> Self:
        """Hubs: every node has `fan_in` senders, those with more edges chosen more often (Price 1976)."""
        return cls._from_topology(topologies.scale_free(n_node, fan_in, n_in, n_out, seed), seed=seed, **options)

    @classmethod
    def block_modular(
        cls, n_block: int, block_size: int, fan_in: int, between: float, n_in: int, n_out: int, seed: int = 0,
        **options: Any,
    ) -> Self:  # fmt: skip
        """Blocks of nodes that listen to their own block, but for a share `between` of their edges."""
        edges = topologies.block_modular(n_block, block_size, fan_in, between, n_in, n_out, seed)
        return cls._from_topology(edges, seed=seed, **options)

    @classmethod
    def radixnet(cls, n_neuron: int, n_layer: int, seed: int = 0, **options: Any) -> Self:
        """The layered networks of the Sparse DNN Graph Challenge: every input reaches every output equally often."""
        return cls._from_topology(topologies.radixnet(n_neuron, n_layer, seed), seed=seed, **options)

    @classmethod
    def from_graph(
        cls, source: Any, *, activation: str | Sequence[str] = "leaky_relu", aggregation: str | Sequence[str] = "sum",
        graph_options: dict[str, Any] | None = None, **options: Any,
    ) -> Self:  # fmt: skip
        """A network on a graph of your own, with its names, and its weights where it states them.

        Parameters
        ----------
        source : path, NamedGraph, or an object of another library
            Whatever `load_graph` reads.
        activation, aggregation : str or sequence of str (n_node,)
            Where the graph states none.
        graph_options : dict, optional
            Arguments of `load_graph`: inputs, outputs, break_cycles, ...
        **options
            init, seed and dtype, as for `from_edges`.
        """
        graph = load_graph(source, **checked_options(graph_options))
        dag = cls.from_edges(
            graph.senders, graph.receivers, inputs=graph.inputs, outputs=graph.outputs, n_node=graph.n_node,
            weights=graph.weights, biases=graph.biases, activation=graph.activations or activation,
            aggregation=graph.aggregations or aggregation, **options,
        )  # fmt: skip
        dag.names = graph.names
        return dag

    @classmethod
    def from_topology(cls, arrays_by_name: dict[str, npt.NDArray[Any]], **options: Any) -> Self:
        """A network from what `topology` gave; `options` as for `from_edges`."""
        names, kinds = list(ACTIVATIONS), list(AGGREGATIONS)
        codes, combined = arrays_by_name["activation"], arrays_by_name.get("aggregation")
        if combined is not None:
            options["aggregation"] = [kinds[code] for code in combined]
        dag = cls.from_edges(
            arrays_by_name["senders"], arrays_by_name["receivers"], inputs=arrays_by_name["inputs"],
            outputs=arrays_by_name["outputs"], n_node=len(codes),
            activation=[names[code] for code in codes], **options,
        )  # fmt: skip
        dag.names = names_of(arrays_by_name, dag.n_node)
        return dag

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or a pickle is made of the topology, its internal order and the parameters, not of the memory at work.

        The order decides how sums round, and to whom flat vectors in internal order belong (an optimiser's moments).
        """
        settings = {name: getattr(self, name) for name in SETTINGS}
        return _rebuild, (type(self), self._arrays(), self.precision, settings)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of the network, by name: `topology`, its internal order, weights and biases."""
        return {
            **self.topology(), "weights": np.array(self.weights, subok=False),
            "biases": np.array(self.biases, subok=False), "node_order": self.dag.node_order,
            "level_start": self.dag.level_start,
        }  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write all of the network to a safetensors file; `gn.load` reads it. Raises OutputError where that fails."""
        saved.write(path, self._arrays(), self.precision)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The network that `save` wrote, with the same bits.

        Raises
        ------
        MissingInputError
            There is no such file.
        CheckpointError
            It is no saved network, of another version, or damaged.
        """
        path = arguments.path("path", path)
        arrays_by_name, precision = saved.read(path)
        try:
            return _rebuild(cls, arrays_by_name, precision, {})
        except (GraphemeError, ValueError, TypeError, IndexError) as error:
            raise CheckpointError(f"{path} makes no network: {error}") from None

    def __repr__(self) -> str:
        return summary.line(self)

    def summary(self) -> str:
        """A table of levels, degrees and memory."""
        return summary.table(self)

    # --- passes ---------------------------------------------------------------------------------

    def forward(self, x: npt.ArrayLike) -> Array:
        """Outputs (batch, n_output) for inputs `x` (batch, n_input), any batch of at least one example.

        Several threads may call it at once. Raises ShapeError for another shape or dtype and for NaN or
        infinity, naming the first place; NonFiniteError where an output is beyond the range of the dtype.
        """
        return self.forward_latest(x, self.requires_grad, finite=True)

    def forward_latest(self, x: npt.ArrayLike, learns: bool, finite: bool = False) -> Array:
        """As `forward`; without `finite`, outputs that are not finite come back. `learns`: gradients are wanted."""
        x = arrays.matrix("x", x, self.n_input, self.dtype)
        passes = self.passes
        latest = passes.latest
        room = latest.room or passes.room()
        y, latest.tiles, suspect = passes.forward(x, self.parameters, learns, room)
        latest.batch = len(x)
        if suspect:
            latest.batch = 0
            arrays.refuse_non_finite("x", x)
            if finite:
                arrays.refuse_overflow(y)
            latest.batch = len(x)
        return y

    def backward_accumulate(self, gy: npt.ArrayLike) -> Array:
        """dL/dx (batch, n_input) from `gy` = dL/dy (batch, n_output) of the latest forward pass of this thread.

        Adds dL/dweight and dL/dbias, summed over the examples, to the gradients. Raises ShapeError when
        `gy` does not belong to the latest forward pass or is not finite (then nothing is added).
        """
        if not self.requires_grad:
            return self.backward_latest(gy, self.gradients[:0], self.keeps_deltas)
        with self.passes.lock:
            return self.backward_latest(gy, self.gradients, self.keeps_deltas)

    def backward_latest(self, gy: npt.ArrayLike, gradients: Array, keeps_deltas: bool) -> Array:
        """As `backward_accumulate`, but adds into `gradients` (n_edge + n_node,), or nothing where it is empty."""
        gy = arrays.matrix("gy", gy, self.n_output, self.dtype)
        latest = self._latest()
        if len(gy) != latest.batch:
            raise ShapeError(f"gy has {len(gy)} rows but the latest forward pass had {latest.batch}; they must agree")
        arrays.refuse_non_finite("gy", gy)
        passes = self.passes
        gx, latest.tiles = passes.backward(gy, self.parameters, latest.tiles, gradients, keeps_deltas, latest.room)
        return gx

    def record(self, x: npt.ArrayLike) -> tuple[Array, Tape]:
        """Outputs (batch, n_output), and a tape whose `backward(gy)` gives dL/dx whenever it is called.

        Any number of tapes may be open, in any thread; each holds the memory of its pass. Raises what `forward` does.
        """
        x = arrays.matrix("x", x, self.n_input, self.dtype)
        passes = self.passes
        room = passes.lend()
        y, used, suspect = passes.forward(x, self.parameters, self.requires_grad, room)
        if suspect:
            arrays.refuse_non_finite("x", x)
            arrays.refuse_overflow(y)
        return y, Tape(self, room, used, len(x))

    def activations(self) -> Array:
        """Every node's output (batch, n_node) in the latest forward pass of this thread, by the caller's node ids."""
        latest = self._latest()
        return self.passes.activations(latest.tiles, latest.batch)

    @property
    def strategy(self) -> str:
        """How threads share the work: "auto" (a cost model chooses), "tiles" or "levels". Same bits always."""
        return self.passes.plan.strategy

    @strategy.setter
    def strategy(self, name: str) -> None:
        self.passes.plan.force(name)

    @property
    def receiver_weights(self) -> ReceiverWeights:  # type: ignore[override]  # there an attribute, here it is found
        return self.passes.receiver_weights

    def latest_tiles(self) -> Tiles:
        """The working memory of this thread's latest pass. Raises ShapeError where there is none."""
        tiles: Tiles = self._latest().tiles
        return tiles

    def _latest(self) -> Any:
        latest = self.passes.latest
        if not latest.batch:
            raise ShapeError(
                "there is no forward pass to go back from; call forward(x) first, in the same thread, "
                "or use record(x) and its tape"
            )
        return latest

    def topology(self) -> dict[str, npt.NDArray[Any]]:
        """The graph as arrays in the caller's order: senders, receivers, inputs, outputs, activation.

        `aggregation` is among them where not all nodes sum. Where the nodes have names, `name_bytes` (UTF-8) and
        `name_ends` hold them.
        """
        dag, order = self.dag, self.dag.node_order
        senders, receivers = np.empty(self.n_edge, np.int32), np.empty(self.n_edge, np.int32)
        internal = np.empty(self.n_edge, np.int32)
        topology.rows_of(dag.t_indptr, internal)
        senders[dag.edge_order], receivers[dag.edge_order] = order[internal], order[dag.t_indices]
        codes, combined = np.empty((2, self.n_node), np.uint8)
        codes[order] = dag.activation
        combined[order] = dag.aggregation if dag.aggregation.size else 0
        more = {"aggregation": combined} if dag.aggregation.size else {}
        return {
            "senders": senders, "receivers": receivers, "inputs": order[dag.inputs],
            "outputs": order[dag.outputs], "activation": codes, **more, **name_arrays(self.names),
        }  # fmt: skip
