"""A graph of one's own as the hidden part of a model: between the brains' inputs and their outputs."""

import numpy as np

from grapheme_numba.brains.naming import port_names, unlike
from grapheme_numba.brains.topology import dealt, dealt_shares, layout_slices
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.named import named_graph
from grapheme_numba.network.initializers import initial_weights

SEED = 0x6AF7


def graft(layout, graph, fan_in, *, activation="leaky_relu", init="dynamic_xavier", seed=0):
    """`graph` between new input and output nodes, one per column of a layout.

    Each input of the graph becomes a hidden node that takes `fan_in` senders in equal numbers from every
    input range; each output node takes `fan_in` senders from the outputs of the graph. Senders are dealt
    out evenly, so every column is used. Names, edges and weights of the graph stay.

    Parameters
    ----------
    layout : Layout
    graph : NamedGraph
    fan_in : int
    activation : str
        Of the graph's nodes where it states none; its inputs are linear either way.
    init : str
        Of the new edges where the graph states weights; else the network draws all of them.
    seed : int

    Returns
    -------
    NamedGraph
        Inputs, then the nodes of the graph, then outputs (called as `port_names` says); ready for
        `DagNN.from_graph`.

    Raises
    ------
    UsageError
        `fan_in` is below 1.
    """
    if fan_in < 1:
        raise UsageError(f"fan_in is {fan_in}; give at least 1")
    slices = layout_slices(layout)
    ranges = sorted({one.input_range for one in slices}, key=lambda owned: owned.start)
    n_input, n_output = layout.n_input, layout.n_output
    inside = np.arange(n_input, n_input + graph.n_node)
    outputs = np.arange(n_input + graph.n_node, n_input + graph.n_node + n_output)
    rng = np.random.default_rng((seed, SEED))
    entering = dealt_shares(rng, [np.array(one) for one in ranges], inside[graph.inputs], fan_in)
    leaving = dealt(rng, inside[graph.outputs], outputs, fan_in)
    own = graph.senders.astype(np.int64) + n_input, graph.receivers.astype(np.int64) + n_input
    senders, receivers = map(np.concatenate, zip(own, entering, leaving, strict=True))
    n_node = n_input + graph.n_node + n_output
    weights = biases = None
    if graph.weights is not None:
        weights = initial_weights(init, senders, receivers, n_node, seed, np.dtype(np.float64))
        weights[: graph.n_edge] = graph.weights
    if graph.biases is not None:
        biases = np.zeros(n_node)
        biases[inside] = graph.biases
    kinds = list(graph.activations or [activation] * graph.n_node)
    for node in graph.inputs.tolist():
        kinds[node] = "linear"
    before, after = port_names(layout)
    before = unlike(before, graph.names)
    return named_graph(
        senders, receivers, [*before, *graph.names, *unlike(after, [*before, *graph.names])], weights=weights,
        inputs=np.arange(n_input), outputs=outputs, biases=biases,
        activations=["linear"] * n_input + kinds + ["linear"] * n_output,
    )  # fmt: skip
