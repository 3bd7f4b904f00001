"""`DagNN`: a neural network on any directed acyclic graph. Checks once, owns the memory, calls kernels."""

import numpy as np

from grapheme_numba.errors import GraphError, ShapeError, UsageError
from grapheme_numba.graph.build import ACTIVATIONS, build_dag
from grapheme_numba.graph.formats.dispatch import load_graph
from grapheme_numba.graph.generators import radixnet, topologies
from grapheme_numba.graph.named import name_arrays, names_of
from grapheme_numba.kernels.engine import backward, forward, parameters, tiles, updates
from grapheme_numba.kernels.graph import topology
from grapheme_numba.network import arrays, execution_plan
from grapheme_numba.network.initializers import initial_weights
from grapheme_numba.network.receiver_weights import ReceiverWeights
from grapheme_numba.network.workspace import Workspace


def _rebuild(cls, arrays_by_name, dtype):
    options = {name: arrays_by_name.pop(name) for name in ("weights", "biases")}
    return cls.from_topology(arrays_by_name, dtype=dtype, **options)


class DagNN:
    """One weight per edge, one bias and one activation function per node.

    Build it with `from_edges` or one of the other constructors. Edge arrays are in the caller's edge
    order and node arrays in the caller's node ids, whatever the internal order.

    Attributes
    ----------
    n_node, n_edge, n_level, n_input, n_output : int
    dtype : numpy dtype, float32 or float64
    requires_grad : bool
        False: `backward_accumulate` returns dL/dx but adds nothing, and the forward pass may take the
        tiles that are best for it alone.
    keeps_deltas : bool
        True: the backward pass leaves dL/d(pre-activation) of every node and example in its memory, for
        attribution and for edges that grow where the gradient would be largest.
    parameters, gradients : ndarray (n_edge + n_node,)
        Weights then biases in internal order, flat, for optimisers. Call `parameters_changed` after
        writing into `parameters`.
    receiver_weights : ReceiverWeights
        The copy of the weights that the forward pass reads.
    names : tuple of str (n_node,) or None
        What the nodes are called, where the graph came with names.
    """

    def __init__(self, dag, weights, biases, dtype):
        self.dag, self.dtype = dag, np.dtype(dtype)
        self.n_node, self.n_edge, self.n_level = dag.n_node, dag.n_edge, dag.n_level
        self.n_input, self.n_output = len(dag.inputs), len(dag.outputs)
        self.requires_grad, self.names = True, None
        self.keeps_deltas = False
        self.parameters = np.zeros(self.n_edge + self.n_node, self.dtype)
        self.gradients = np.zeros_like(self.parameters)
        self.receiver_weights = ReceiverWeights(dag, self.dtype)
        self._workspace = Workspace(dag, self.dtype, topology.most_live_nodes(dag.indptr, dag.indices))
        self._plan = execution_plan.Plan(dag)
        self._tiles, self._batch = None, 0
        self.weights, self.biases = weights, biases

    # --- passes ---------------------------------------------------------------------------------

    @classmethod
    def from_edges(
        cls, senders, receivers, *, inputs, outputs, n_node=None, weights=None, biases=None,
        activation="leaky_relu", init="dynamic_xavier", seed=0, dtype="float32",
    ):  # fmt: skip
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
        dtype : "float32" or "float64"

        Raises
        ------
        GraphError, CycleError, ShapeError
            With the edge, node or cycle at fault.
        """
        dtype = arrays.float_dtype(dtype)
        dag = build_dag(senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, activation=activation)
        if weights is None:
            weights = initial_weights(init, np.asarray(senders), np.asarray(receivers), dag.n_node, seed, dtype)
        return cls(dag, weights, np.zeros(dag.n_node, dtype) if biases is None else biases, dtype)

    @classmethod
    def _from_topology(cls, edges, **options):
        senders, receivers, inputs, outputs, n_node = edges
        return cls.from_edges(senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, **options)

    @classmethod
    def from_text(cls, text, **options):
        """A chain with one node per character: every node an input, the last one the output."""
        return cls._from_topology(topologies.text_chain(text), **options)

    @classmethod
    def from_image(cls, height, width, **options):
        """A pixel grid: every pixel an input with edges from its left and upper neighbours, the last the output."""
        return cls._from_topology(topologies.image_grid(height, width), **options)

    @classmethod
    def classifier(cls, n_in, n_hidden, n_out, **options):
        """A dense network with one hidden layer and linear outputs."""
        edges = topologies.classifier(n_in, n_hidden, n_out)
        if "activation" not in options:
            options["activation"] = ["leaky_relu"] * (n_in + n_hidden) + ["linear"] * n_out
        return cls._from_topology(edges, **options)

    @classmethod
    def layered(cls, widths, fan_in, skip=0.0, seed=0, **options):
        """Layers of `widths` nodes; each node has `fan_in` senders, a share `skip` of them from earlier layers."""
        return cls._from_topology(topologies.layered(widths, fan_in, skip, seed), seed=seed, **options)

    @classmethod
    def random(cls, n_node, n_edge, n_in, n_out, seed=0, **options):
        """`n_edge` distinct edges at random from lower to higher nodes; first nodes inputs, last outputs."""
        return cls._from_topology(topologies.random(n_node, n_edge, n_in, n_out, seed), seed=seed, **options)

    @classmethod
    def small_world(cls, n_node, n_neighbor, rewire, n_in, n_out, seed=0, **options):
        """A ring lattice with rewired edges (Watts and Strogatz 1998), each directed to the higher node."""
        edges = topologies.small_world(n_node, n_neighbor, rewire, n_in, n_out, seed)
        return cls._from_topology(edges, seed=seed, **options)

    @classmethod
    def scale_free(cls, n_node, fan_in, n_in, n_out, seed=0, **options):
        """Hubs: every node has `fan_in` senders, those with more edges chosen more often (Price 1976)."""
        return cls._from_topology(topologies.scale_free(n_node, fan_in, n_in, n_out, seed), seed=seed, **options)

    @classmethod
    def block_modular(cls, n_block, block_size, fan_in, between, n_in, n_out, seed=0, **options):
        """Blocks of nodes that listen to their own block, but for a share `between` of their edges."""
        edges = topologies.block_modular(n_block, block_size, fan_in, between, n_in, n_out, seed)
        return cls._from_topology(edges, seed=seed, **options)

    @classmethod
    def radixnet(cls, n_neuron, n_layer, seed=0, **options):
        """The layered networks of the Sparse DNN Graph Challenge: every input reaches every output equally often."""
        return cls._from_topology(radixnet.radixnet(n_neuron, n_layer, seed), seed=seed, **options)

    @classmethod
    def from_graph(cls, source, *, activation="leaky_relu", graph_options=None, **options):
        """A network on a graph of your own, with its names, and its weights where it states them.

        Parameters
        ----------
        source : path, NamedGraph, or an object of another library
            Whatever `load_graph` reads.
        activation : str or sequence of str (n_node,)
            Where the graph states none.
        graph_options : dict, optional
            Arguments of `load_graph`: inputs, outputs, break_cycles, ...
        **options
            init, seed and dtype, as for `from_edges`.
        """
        graph = load_graph(source, **(graph_options or {}))
        dag = cls.from_edges(
            graph.senders, graph.receivers, inputs=graph.inputs, outputs=graph.outputs, n_node=graph.n_node,
            weights=graph.weights, biases=graph.biases, activation=graph.activations or activation, **options,
        )  # fmt: skip
        dag.names = graph.names
        return dag

    @classmethod
    def from_topology(cls, arrays_by_name, **options):
        """A network from what `topology` gave; `options` as for `from_edges`."""
        names = list(ACTIVATIONS)
        codes = arrays_by_name["activation"]
        dag = cls.from_edges(
            arrays_by_name["senders"], arrays_by_name["receivers"], inputs=arrays_by_name["inputs"],
            outputs=arrays_by_name["outputs"], n_node=len(codes),
            activation=[names[code] for code in codes], **options,
        )  # fmt: skip
        dag.names = names_of(arrays_by_name, dag.n_node)
        return dag

    def __reduce__(self):
        """A copy or a pickle is made of the topology and the parameters, not of the memory at work."""
        arrays_by_name = {**self.topology(), "weights": np.array(self.weights), "biases": np.array(self.biases)}
        return _rebuild, (type(self), arrays_by_name, self.dtype.name)

    def forward(self, x):
        """Outputs (batch, n_output) for inputs `x` (batch, n_input), any batch of at least one example.

        Raises ShapeError for another shape or dtype and for NaN or infinity, naming the first place.
        """
        x = arrays.matrix("x", x, self.n_input, self.dtype)
        weights = self.receiver_weights.of(self.parameters[: self.n_edge])
        choice = self._plan.forward(len(x), self._workspace, self.requires_grad)
        y = np.empty((len(x), self.n_output), self.dtype)
        status = np.zeros(len(choice.tiles.activations), np.uint8)
        biases = self.parameters[self.n_edge :]
        if choice.levels:
            forward.forward_levels(self.dag, weights, biases, x, choice.tiles, choice.shares, y, status)
        else:
            forward.forward_tiles(self.dag, weights, biases, x, choice.tiles, y, status)
        self._tiles, self._batch = choice.tiles, len(x)
        if status.any():
            self._batch = 0
            arrays.refuse_non_finite("x", x)
        return y

    def backward_accumulate(self, gy):
        """dL/dx (batch, n_input) from `gy` = dL/dy (batch, n_output) of the latest forward pass.

        Adds dL/dweight and dL/dbias, summed over the examples, to the gradients. Raises ShapeError when
        `gy` does not belong to the latest forward pass or is not finite (then nothing is added).
        """
        gy = arrays.matrix("gy", gy, self.n_output, self.dtype)
        self._check_forward()
        if len(gy) != self._batch:
            raise ShapeError(f"gy has {len(gy)} rows but the latest forward pass had {self._batch}; they must agree")
        arrays.refuse_non_finite("gy", gy)
        gradients = self.gradients if self.requires_grad else self.gradients[:0]
        weights = self.parameters[: self.n_edge]
        room, before = self._workspace, self._tiles
        choice = self._plan.backward(self._batch, room, before, gradients.size, self.keeps_deltas)
        self._tiles = choice.tiles
        gx = np.empty((self._batch, self.n_input), self.dtype)
        status = np.zeros(len(self._tiles.activations), np.uint8)
        if choice.levels:
            backward.backward_levels(self.dag, weights, choice.tiles, gy, choice.shares, gradients, gx, status)
        else:
            backward.backward_tiles(self.dag, weights, choice.tiles, gy, choice.planes, gradients, gx, status)
        return gx

    def activations(self):
        """Every node's output (batch, n_node) in the latest forward pass, by the caller's node ids."""
        self._check_forward()
        result = np.empty((self._batch, self.n_node), self.dtype)
        internal = np.empty(self.n_node, np.int32)
        internal[self.dag.node_order] = np.arange(self.n_node, dtype=np.int32)
        tiles.store_all_rows(self._tiles, internal, result)
        return result

    @property
    def strategy(self):
        """How threads share the work: "auto" (a cost model chooses), "tiles" or "levels". Same bits always."""
        return self._plan.strategy

    @strategy.setter
    def strategy(self, name):
        self._plan.force(name)

    def _check_forward(self):
        if not self._batch:
            raise ShapeError("there is no forward pass to go back from; call forward(x) first")

    # --- parameters -----------------------------------------------------------------------------

    @property
    def weights(self):
        """Weights (n_edge,) in the caller's edge order; assign an array or elements to change them."""
        return arrays.assignable(self._edges_to_caller(self.parameters), lambda new: setattr(self, "weights", new))

    @weights.setter
    def weights(self, values):
        values = arrays.vector("weights", values, self.n_edge, self.dtype)
        parameters.gather(values, self.dag.edge_order, self.parameters[: self.n_edge])
        self.parameters_changed()

    @property
    def biases(self):
        """Biases (n_node,) by the caller's node ids; those of inputs are 0 and stay 0."""
        return arrays.assignable(self._nodes_to_caller(self.parameters), lambda new: setattr(self, "biases", new))

    @biases.setter
    def biases(self, values):
        values = arrays.vector("biases", values, self.n_node, self.dtype)
        internal = values[self.dag.node_order]
        if internal[self.dag.is_input == 1].any():
            raise GraphError("a bias of an input node is not 0; inputs have no bias, set those entries to 0")
        self.parameters[self.n_edge :] = internal

    @property
    def edge_grads(self):
        """dL/dweight (n_edge,) in the caller's edge order, summed over the examples since `zero_grad`."""
        return self._edges_to_caller(self.gradients)

    @property
    def bias_grads(self):
        """dL/dbias (n_node,) by the caller's node ids, summed over the examples since `zero_grad`."""
        return self._nodes_to_caller(self.gradients)

    def parameters_changed(self):
        """Say that `parameters` was written to, so that the forward pass refreshes its weights."""
        self.receiver_weights.expire()

    def zero_grad(self):
        """Set every gradient to 0."""
        self.gradients[:] = 0

    def step(self, lr):
        """Plain gradient descent: `parameters -= lr * gradients`. The gradients stay until `zero_grad`."""
        updates.sgd(self.gradients, updates.StepRates(lr=float(arrays.rate(lr))), self.parameters)
        self.parameters_changed()

    def grad_norm(self):
        """Euclidean norm of all edge and bias gradients."""
        return float(np.sqrt(updates.sum_of_squares(self.gradients)))

    def clip_grad_norm(self, max_norm):
        """Scale the gradients so that their norm is at most `max_norm`; returns the norm before."""
        if not max_norm >= 0:
            raise UsageError(f"max_norm is {max_norm}; give a number of at least 0")
        norm = self.grad_norm()
        if norm > max_norm:
            self.gradients *= self.dtype.type(max_norm / norm)
        return norm

    def bind(self, parameters_view, gradients_view):
        """Move parameters and gradients into views of flat vectors owned by someone else.

        Both are 1-D, C-contiguous, of this dtype and n_edge + n_node long; they are overwritten.
        """
        parameters_view[:], gradients_view[:] = self.parameters, self.gradients
        self.parameters, self.gradients = parameters_view, gradients_view

    def to_caller_order(self, flat):
        """A flat vector (weights | biases) from internal into the caller's edge and node order."""
        return np.concatenate([self._edges_to_caller(flat), self._nodes_to_caller(flat)])

    def from_caller_order(self, flat):
        """The inverse of `to_caller_order`."""
        flat = arrays.vector("flat", flat, self.n_edge + self.n_node, self.dtype)
        return np.concatenate([flat[: self.n_edge][self.dag.edge_order], flat[self.n_edge :][self.dag.node_order]])

    def _edges_to_caller(self, flat):
        result = np.empty(self.n_edge, self.dtype)
        parameters.scatter(flat[: self.n_edge], self.dag.edge_order, result)
        return result

    def _nodes_to_caller(self, flat):
        result = np.empty(self.n_node, self.dtype)
        result[self.dag.node_order] = flat[self.n_edge :]
        return result

    # --- topology -------------------------------------------------------------------------------

    def topology(self):
        """The graph as arrays in the caller's order: senders, receivers, inputs, outputs, activation.

        Where the nodes have names, `name_bytes` (UTF-8) and `name_ends` hold them.
        """
        dag, order = self.dag, self.dag.node_order
        senders, receivers = np.empty(self.n_edge, np.int32), np.empty(self.n_edge, np.int32)
        internal = np.empty(self.n_edge, np.int32)
        topology.rows_of(dag.t_indptr, internal)
        senders[dag.edge_order], receivers[dag.edge_order] = order[internal], order[dag.t_indices]
        codes = np.empty(self.n_node, np.uint8)
        codes[order] = dag.activation
        return {
            "senders": senders, "receivers": receivers, "inputs": order[dag.inputs],
            "outputs": order[dag.outputs], "activation": codes, **name_arrays(self.names),
        }  # fmt: skip
