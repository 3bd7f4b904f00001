"""The ways to build a `DagNN`: from edges, from a graph with names, from a ready-made topology."""

import numpy as np

from grapheme_numba import arrays
from grapheme_numba.graph import growth, radixnet, topologies
from grapheme_numba.graph.build import ACTIVATIONS, build_dag
from grapheme_numba.graph.interop import load_graph
from grapheme_numba.graph.name_arrays import names_of
from grapheme_numba.initializers import initial_weights


class Construction:
    """The constructors of `DagNN`, apart from what a network does."""

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
        return cls._from_topology(growth.scale_free(n_node, fan_in, n_in, n_out, seed), seed=seed, **options)

    @classmethod
    def block_modular(cls, n_block, block_size, fan_in, between, n_in, n_out, seed=0, **options):
        """Blocks of nodes that listen to their own block, but for a share `between` of their edges."""
        edges = growth.block_modular(n_block, block_size, fan_in, between, n_in, n_out, seed)
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


def _rebuild(cls, arrays_by_name, dtype):
    options = {name: arrays_by_name.pop(name) for name in ("weights", "biases")}
    return cls.from_topology(arrays_by_name, dtype=dtype, **options)
