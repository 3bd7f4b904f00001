"""Seeded random networks for the tests: the odd shapes first, then any number of random ones.

A case is a dict of the arguments of `DagNN.from_edges`, so that the same case builds the package's
network and the plain-Python twin. Nothing here imports the package.
"""

import naive
import numpy as np

ACTIVATIONS = tuple(naive.ACTIVATIONS)


def case(n_node, edges, inputs, outputs, rng, activation=None, weight_scale=1.0):
    """Arguments of `DagNN.from_edges` for the given edges, with drawn weights, biases and activations.

    edges : list of (sender, receiver); activation : one name, one per node, or None to draw one per node.
    """
    senders = np.array([edge[0] for edge in edges], dtype=np.int64)
    receivers = np.array([edge[1] for edge in edges], dtype=np.int64)
    fan_in = np.bincount(receivers, minlength=n_node) if len(edges) else np.zeros(n_node, dtype=np.int64)
    weights = rng.normal(size=len(edges)) * weight_scale
    if len(edges):
        weights /= np.sqrt(fan_in[receivers])
    biases = rng.normal(size=n_node) * 0.5
    biases[np.asarray(inputs, dtype=np.int64)] = 0.0
    if activation is None:
        activation = [ACTIVATIONS[i] for i in rng.integers(len(ACTIVATIONS), size=n_node)]
    return dict(
        senders=senders,
        receivers=receivers,
        inputs=np.asarray(inputs, dtype=np.int64),
        outputs=np.asarray(outputs, dtype=np.int64),
        n_node=n_node,
        weights=weights,
        biases=biases,
        activation=activation,
    )


def twin(arguments):
    """The plain-Python network of a case."""
    activation = arguments["activation"]
    names = [activation] * arguments["n_node"] if isinstance(activation, str) else list(activation)
    return naive.Graph(
        arguments["n_node"],
        arguments["senders"].tolist(),
        arguments["receivers"].tolist(),
        arguments["inputs"].tolist(),
        arguments["outputs"].tolist(),
        arguments["weights"].tolist(),
        arguments["biases"].tolist(),
        names,
        arguments.get("aggregation"),
    )


def random_dag(seed, max_node=40, activation=None):
    """A random DAG whose node ids say nothing about the order: skip edges, isolated nodes, inputs with edges."""
    rng = np.random.default_rng([7, seed])
    n_node = int(rng.integers(2, max_node + 1))
    order = rng.permutation(n_node)
    density = rng.uniform(0.05, 0.6)
    edges = [
        (int(order[i]), int(order[j])) for j in range(n_node) for i in range(j) if rng.random() < density * 4 / (j + 3)
    ]
    rng.shuffle(edges)
    edges = [(int(a), int(b)) for a, b in edges] or [(int(order[0]), int(order[-1]))]
    n_input = int(rng.integers(1, max(2, n_node // 3) + 1))
    inputs = rng.permutation(n_node)[:n_input]
    reached = _reached_from(inputs, edges, n_node)
    candidates = [node for node in rng.permutation(n_node).tolist() if node in reached]
    outputs = candidates[: int(rng.integers(1, max(2, len(candidates) // 2) + 1))]
    return case(n_node, edges, inputs, outputs, rng, activation)


def _reached_from(inputs, edges, n_node):
    """Nodes that some input reaches: an output outside them is (rightly) warned about."""
    following = [[] for _ in range(n_node)]
    for sender, receiver in edges:
        following[sender].append(receiver)
    reached, frontier = set(np.asarray(inputs).tolist()), list(np.asarray(inputs).tolist())
    while frontier:
        for node in following[frontier.pop()]:
            if node not in reached:
                reached.add(node)
                frontier.append(node)
    return reached


def single_node(rng):
    """One node, which is input and output, and no edge."""
    return case(1, [], [0], [0], rng, "linear")


def input_is_output(rng):
    """Node 1 is an input with an incoming edge, and also an output; node 2 follows it."""
    return case(3, [(0, 1), (1, 2)], [0, 1], [1, 2], rng, "tanh")


def two_components_and_isolated(rng):
    """Two networks side by side, an isolated node, an isolated input, and ids that run against the order."""
    edges = [(9, 5), (5, 1), (9, 1), (8, 6), (6, 0), (6, 2), (8, 2)]
    return case(11, edges, [9, 8, 10], [1, 0, 2], rng)


def deep_chain(rng, n_node=500):
    """A chain with skips of 7, so that the signal survives; ids shuffled."""
    order = rng.permutation(n_node)
    edges = [(order[i], order[i + 1]) for i in range(n_node - 1)]
    edges += [(order[i], order[i + 7]) for i in range(0, n_node - 7, 5)]
    edges = [(int(a), int(b)) for a, b in edges]
    return case(n_node, edges, [order[0]], [order[-1], order[n_node // 2]], rng, "tanh")


def wide_fan_in(rng, fan_in=1000):
    """One hidden node that a thousand inputs feed, and one output that it and every 10th input feed."""
    edges = [(i, fan_in) for i in range(fan_in)] + [(i, fan_in + 1) for i in range(0, fan_in, 10)]
    edges.append((fan_in, fan_in + 1))
    return case(fan_in + 2, edges, np.arange(fan_in), [fan_in + 1], rng, "sigmoid")


def wide_fan_out(rng, fan_out=300):
    """One input that feeds three hundred nodes, all of which are outputs."""
    edges = [(0, 1 + i) for i in range(fan_out)]
    return case(fan_out + 1, edges, [0], 1 + rng.permutation(fan_out), rng)


def character_chain(rng, length=12):
    """Every node is an input and has the one before it as sender: what `from_text` builds."""
    edges = [(i, i + 1) for i in range(length - 1)]
    return case(length, edges, np.arange(length), [length - 1], rng, "linear")


def repeated_output(rng):
    """A hidden node and its successor both outputs, in falling id order."""
    return case(5, [(0, 2), (1, 2), (2, 3), (2, 4), (0, 4), (3, 4)], [1, 0], [4, 3, 2], rng)


ODD = {
    "single node": single_node,
    "input is output": input_is_output,
    "two components": two_components_and_isolated,
    "deep chain": deep_chain,
    "fan-in 1000": wide_fan_in,
    "fan-out 300": wide_fan_out,
    "character chain": character_chain,
    "outputs in a row": repeated_output,
}


def odd(name):
    """One of the odd networks, always the same draw."""
    return ODD[name](np.random.default_rng([11, list(ODD).index(name)]))


def dense_blocks(rng):
    """Dense layers around the block size of the kernels: 17 -> 33 -> 16 -> 15 -> 1, with a skip from the first."""
    widths = [17, 33, 16, 15, 1]
    starts = np.cumsum([0, *widths])
    edges = [
        (int(a), int(b))
        for layer in range(4)
        for b in range(starts[layer + 1], starts[layer + 2])
        for a in range(starts[layer], starts[layer + 1])
    ]
    edges += [(i, int(starts[-2])) for i in range(17)]
    return case(int(starts[-1]), edges, np.arange(17), [int(starts[-2]), 20], rng)


ODD["dense blocks"] = dense_blocks
