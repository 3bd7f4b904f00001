"""Ready-made topologies as edge lists: each returns (senders, receivers, inputs, outputs, n_node).

Beside them `rewire`, the null model of a topology: the same degrees, otherwise random.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, randomness
from grapheme_numba.errors import GraphError
from grapheme_numba.graph.dag import Ids, levels_of
from grapheme_numba.graph.formats.dispatch import load_graph
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.kernels.graph import random_edges
from grapheme_numba.kernels.graph.random_edges import preferential_senders

Topology: TypeAlias = tuple[Ids, Ids, Ids, Ids, int]


def _whole(name: str, value: int, least: int) -> int:
    return arguments.whole(name, value, least, GraphError)


def _ids(start: int, stop: int) -> Ids:
    return np.arange(start, stop, dtype=np.int32)


def text_chain(text: str) -> Topology:
    """One node per character, each with an edge to the next; all are inputs, the last is the output."""
    if not isinstance(text, str) or not text:
        raise GraphError(f"text is {arguments.shown(text)}; give a string of at least one character")
    n_node = len(text)
    return _ids(0, n_node - 1), _ids(1, n_node), _ids(0, n_node), _ids(n_node - 1, n_node), n_node


def image_grid(height: int, width: int) -> Topology:
    """One node per pixel in row-major order, with edges to the right and downwards; the last is the output."""
    height, width = _whole("height", height, 1), _whole("width", width, 1)
    node = _ids(0, height * width).reshape(height, width)
    senders = np.concatenate([node[:, :-1].ravel(), node[:-1].ravel()])
    receivers = np.concatenate([node[:, 1:].ravel(), node[1:].ravel()])
    return senders, receivers, node.ravel(), node.ravel()[-1:], height * width


def classifier(n_in: int, n_hidden: int, n_out: int) -> Topology:
    """Dense layers n_in -> n_hidden -> n_out."""
    widths = [_whole(name, n, 1) for name, n in (("n_in", n_in), ("n_hidden", n_hidden), ("n_out", n_out))]
    starts = np.cumsum([0, *widths]).tolist()
    senders, receivers = [], []
    for layer in range(2):
        sender, receiver = _ids(starts[layer], starts[layer + 1]), _ids(starts[layer + 1], starts[layer + 2])
        senders.append(np.tile(sender, len(receiver)))
        receivers.append(np.repeat(receiver, len(sender)))
    n_node = int(starts[-1])
    return np.concatenate(senders), np.concatenate(receivers), _ids(0, n_in), _ids(n_node - n_out, n_node), n_node


def _distinct_rows(generator: np.random.Generator, n_row: int, n_choice: int, n_pick: int) -> npt.NDArray[np.int64]:
    """(n_row, n_pick) sorted choices without repeats within a row, uniformly."""
    if n_pick * 3 >= n_choice:
        return np.sort(generator.random((n_row, n_choice)).argpartition(n_pick - 1, axis=1)[:, :n_pick], axis=1)
    rows = np.sort(generator.integers(0, n_choice, (n_row, n_pick)), axis=1)
    while True:
        repeated = np.flatnonzero((rows[:, 1:] == rows[:, :-1]).any(axis=1))
        if not repeated.size:
            return rows
        # Drawing a whole row again keeps every set equally likely; few rows are left each time only
        # while n_pick is small against n_choice, so large ones are drawn by Floyd's method below.
        if n_pick * n_pick > 4 * n_choice:
            for row in repeated:
                rows[row] = np.sort(generator.choice(n_choice, n_pick, replace=False))
        else:
            rows[repeated] = np.sort(generator.integers(0, n_choice, (len(repeated), n_pick)), axis=1)


def layered(widths: Sequence[int], fan_in: int, skip: float = 0.0, seed: int = 0) -> Topology:
    """Layers in which each node has `fan_in` senders in the layer before; a share `skip` from earlier ones."""
    widths = arguments.listed("widths", widths, "the width of each layer", GraphError)
    widths = [_whole("a width", width, 1) for width in widths]
    fan_in = _whole("fan_in", fan_in, 1)
    if len(widths) < 2:
        raise GraphError(f"widths has {len(widths)} entries; a layered network needs at least two layers")
    if not arguments.is_number(skip, 0, 1):
        raise GraphError(f"skip is {arguments.shown(skip)}; give a share between 0 and 1")
    generator = randomness.generator(seed)
    starts = np.cumsum([0, *widths]).tolist()
    senders, receivers = [], []
    for layer in range(1, len(widths)):
        before = int(starts[layer - 1])
        n_far = min(round(skip * fan_in), before)
        n_near = max(1, min(fan_in - n_far, widths[layer - 1]))
        picks = [before + _distinct_rows(generator, widths[layer], widths[layer - 1], n_near)]
        if n_far:
            picks.insert(0, _distinct_rows(generator, widths[layer], before, n_far))
        rows = np.concatenate(picks, axis=1).astype(np.int32)
        senders.append(rows.ravel())
        receivers.append(np.repeat(_ids(starts[layer], starts[layer + 1]), rows.shape[1]))
    n_node = int(starts[-1])
    outputs = _ids(starts[-2], n_node)
    return np.concatenate(senders), np.concatenate(receivers), _ids(0, widths[0]), outputs, n_node


def random(n_node: int, n_edge: int, n_in: int, n_out: int, seed: int = 0) -> Topology:
    """`n_edge` distinct edges u -> v, u < v, uniformly among those that do not enter an input."""
    n_node, n_edge = _whole("n_node", n_node, 1), _whole("n_edge", n_edge, 0)
    n_in, n_out = _whole("n_in", n_in, 1), _whole("n_out", n_out, 1)
    if max(n_in, n_out) > n_node:
        raise GraphError(f"n_in is {n_in} and n_out is {n_out}, but there are only {n_node} nodes")
    # Edge number k counts pairs by receiver: receiver v owns the numbers v*(v-1)/2 ... + v - 1.
    first, most = n_in * (n_in - 1) // 2, n_node * (n_node - 1) // 2
    if n_edge > most - first:
        raise GraphError(f"n_edge is {n_edge}, but {n_node} nodes with {n_in} inputs allow at most {most - first}")
    generator = randomness.generator(seed)
    numbers = _distinct_numbers(generator, most - first, n_edge) + first
    receivers = ((1 + np.sqrt(1 + 8 * numbers.astype(np.float64))) / 2).astype(np.int64)
    receivers -= receivers * (receivers - 1) // 2 > numbers
    receivers += (receivers + 1) * receivers // 2 <= numbers
    senders = numbers - receivers * (receivers - 1) // 2
    return (
        senders.astype(np.int32), receivers.astype(np.int32), _ids(0, n_in), _ids(n_node - n_out, n_node), n_node,
    )  # fmt: skip


def _distinct_numbers(generator: np.random.Generator, n_choice: int, n_pick: int) -> npt.NDArray[np.int64]:
    """Sorted distinct numbers below `n_choice`, uniformly."""
    if n_pick * 3 >= n_choice:
        return np.sort(generator.permutation(n_choice)[:n_pick])
    found = np.empty(0, np.int64)
    while found.size < n_pick:
        found = np.unique(np.concatenate([found, generator.integers(0, n_choice, n_pick - found.size)]))
    return found


def small_world(n_node: int, n_neighbor: int, rewire: float, n_in: int, n_out: int, seed: int = 0) -> Topology:
    """Watts and Strogatz (1998): each node linked to its `n_neighbor` next ones on a ring, a share rewired.

    Every link is directed to the node with the higher number, and links into inputs are left out.
    """
    n_node, n_neighbor = _whole("n_node", n_node, 3), _whole("n_neighbor", n_neighbor, 1)
    n_in, n_out = _whole("n_in", n_in, 1), _whole("n_out", n_out, 1)
    if n_neighbor >= n_node // 2:
        raise GraphError(f"n_neighbor is {n_neighbor}; give less than half of the {n_node} nodes")
    if not arguments.is_number(rewire, 0, 1):
        raise GraphError(f"rewire is {arguments.shown(rewire)}; give a share between 0 and 1")
    generator = randomness.generator(seed)
    near = np.repeat(np.arange(n_node), n_neighbor)
    far = (near + np.tile(np.arange(1, n_neighbor + 1), n_node)) % n_node
    far = np.where(generator.random(near.size) < rewire, generator.integers(0, n_node, near.size), far)
    low, high = np.minimum(near, far), np.maximum(near, far)
    keep = (low != high) & (high >= n_in)
    keys = np.unique(high[keep].astype(np.int64) * n_node + low[keep])
    senders, receivers = (keys % n_node).astype(np.int32), (keys // n_node).astype(np.int32)
    return senders, receivers, _ids(0, n_in), _ids(n_node - n_out, n_node), n_node


def scale_free(n_node: int, fan_in: int, n_in: int, n_out: int, seed: int = 0) -> Topology:
    """Every node after the inputs has `fan_in` senders, drawn in proportion to their out-degree + 1.

    Out-degrees follow a power law (Price 1976, directed by age). First nodes inputs, last outputs.
    """
    n_in, n_out = _whole("n_in", n_in, 1), _whole("n_out", n_out, 1)
    n_node, fan_in = _whole("n_node", n_node, n_in + n_out), _whole("fan_in", fan_in, 1)
    if fan_in > n_in:
        raise GraphError(f"fan_in is {fan_in}, but the first node after the inputs has only {n_in} nodes before it")
    senders = np.empty((n_node - n_in, fan_in), np.int32)
    preferential_senders(n_in, fan_in, _state(seed), senders)
    senders.sort(axis=1)
    receivers = np.repeat(_ids(n_in, n_node), fan_in)
    return senders.ravel(), receivers, _ids(0, n_in), _ids(n_node - n_out, n_node), n_node


def block_modular(
    n_block: int, block_size: int, fan_in: int, between: float, n_in: int, n_out: int, seed: int = 0
) -> Topology:
    """Blocks of nodes that listen to their own block, but for a share `between` of their edges.

    Each hidden node draws `fan_in` senders (repeats are dropped) from the earlier nodes and the inputs of
    its own block, or, with probability `between`, from all earlier nodes of other blocks. Inputs are dealt
    to the blocks in turn; each output draws its senders from all hidden nodes.
    """
    n_block, block_size = _whole("n_block", n_block, 1), _whole("block_size", block_size, 1)
    fan_in, n_in, n_out = _whole("fan_in", fan_in, 1), _whole("n_in", n_in, 1), _whole("n_out", n_out, 1)
    if n_in < n_block:
        raise GraphError(f"n_in is {n_in}, but each of the {n_block} blocks needs an input of its own")
    if not arguments.is_number(between, 0, 1):
        raise GraphError(f"between is {arguments.shown(between)}; give a share between 0 and 1")
    generator = randomness.generator(seed)
    n_hidden = n_block * block_size
    # Node n_in + k * n_block + b is number k of block b, and input i belongs to block i mod n_block.
    hidden = np.repeat(np.arange(n_hidden), fan_in)
    block, number = hidden % n_block, hidden // n_block
    own_inputs = (n_in - block + n_block - 1) // n_block
    pick = (generator.random(hidden.size) * (own_inputs + number)).astype(np.int64)
    own = np.where(pick < own_inputs, pick * n_block + block, n_in + (pick - own_inputs) * n_block + block)
    other = (generator.random(hidden.size) * (n_in + number * n_block)).astype(np.int64)
    other_block = np.where(other < n_in, other, other - n_in) % n_block
    leaves = (generator.random(hidden.size) < between) & (other_block != block)
    keys = [(n_in + hidden) * (n_in + n_hidden) + np.where(leaves, other, own)]
    listeners = np.repeat(np.arange(n_out), fan_in)
    keys.append(
        (n_in + n_hidden + listeners) * (n_in + n_hidden) + n_in + generator.integers(0, n_hidden, listeners.size)
    )
    receivers, senders = np.divmod(np.unique(np.concatenate(keys)), n_in + n_hidden)
    n_node = n_in + n_hidden + n_out
    return senders.astype(np.int32), receivers.astype(np.int32), _ids(0, n_in), _ids(n_node - n_out, n_node), n_node


def _state(seed: int) -> npt.NDArray[np.uint64]:
    return np.random.SeedSequence(randomness.checked(seed)).generate_state(1, np.uint64) | np.uint64(1)


TRIES_PER_EDGE = 20


def rewire(source: Any, seed: int = 0) -> Any:
    """A random graph in which every node has the in-degree and the out-degree it has in `source`.

    Pairs of edges exchange their receivers, `TRIES_PER_EDGE` times per edge, wherever no edge is repeated
    and every edge still goes from a lower to a higher level of `source`: so it stays acyclic and gets no
    deeper. (With any topological order instead of the levels, a net of 3 layers became 124 levels deep.)
    A weight stays with its sender.

    Parameters
    ----------
    source : NamedGraph, DagNN, or anything `load_graph` reads
    seed : int

    Returns
    -------
    NamedGraph, or DagNN for a DagNN
    """
    graph = load_graph(source)
    state = _state(seed)
    receivers = graph.receivers.copy()
    if graph.n_edge > 1:
        rank = levels_of(graph.senders, graph.receivers, graph.n_node)
        random_edges.swap_receivers(graph.senders, rank, state, TRIES_PER_EDGE * graph.n_edge, receivers)
    graph = graph._replace(receivers=receivers)
    is_network = not isinstance(source, NamedGraph) and hasattr(type(source), "from_graph")
    return type(source).from_graph(graph, dtype=source.precision) if is_network else graph


WEIGHT = 1.0 / 16.0
FAN_IN = 32
# The challenge's bias for each of its widths.
BIAS = {1024: -0.30, 4096: -0.35, 16384: -0.40, 65536: -0.45}


def stage_senders(n_neuron: int, stage: int) -> Ids:
    """The senders of every node of one stage, int32 (n_neuron, 32), ascending."""
    residues = _residues(n_neuron)
    stage_count = residues.bit_length() - 1
    if not 0 <= stage < stage_count:
        raise GraphError(f"stage is {stage}; {n_neuron} neurons have the stages 0 to {stage_count - 1}")
    receivers = np.arange(n_neuron)[:, None]
    copies = residues * np.arange(16)[None, :]
    near = receivers % residues + copies
    far = (receivers + (1 << stage)) % residues + copies
    return np.sort(np.concatenate([near, far], axis=1), axis=1).astype(np.int32)


def layers(n_neuron: int, n_layer: int, seed: int = 0) -> Ids:
    """The senders of every layer, int32 (n_layer, n_neuron, 32): row j holds node j's senders, ascending.

    Raises GraphError where n_neuron is not 16 times a power of two of at least 2, or n_layer is below 1.
    """
    stage_count = _residues(n_neuron).bit_length() - 1
    n_layer = arguments.whole("n_layer", n_layer, 1, GraphError)
    stages = [stage_senders(n_neuron, stage) for stage in range(stage_count)]
    generator = randomness.generator(seed)
    found = np.empty((n_layer, n_neuron, FAN_IN), np.int32)
    for first in range(0, n_layer, stage_count):
        permutation = generator.permutation(n_neuron).astype(np.int32) if first else None
        for layer in range(first, min(first + stage_count, n_layer)):
            senders = stages[layer - first]
            found[layer] = senders if permutation is None else np.sort(permutation[senders], axis=1)
    return found


def radixnet(n_neuron: int, n_layer: int, seed: int = 0) -> Topology:
    """RadiX-Net as one graph: (senders, receivers, inputs, outputs, n_node), `n_layer` layers after the inputs."""
    _residues(n_neuron)
    n_layer = arguments.whole("n_layer", n_layer, 1, GraphError)
    offsets = n_neuron * np.arange(n_layer, dtype=np.int32)
    senders = layers(n_neuron, n_layer, seed) + offsets[:, None, None]
    n_node = n_neuron * (n_layer + 1)
    receivers = np.repeat(np.arange(n_neuron, n_node, dtype=np.int32), FAN_IN)
    ids = np.arange(n_node, dtype=np.int32)
    return senders.ravel(), receivers, ids[:n_neuron], ids[-n_neuron:], n_node


def _residues(n_neuron: int) -> int:
    residues = n_neuron // 16 if arguments.is_whole(n_neuron, 32, 1 << 26) else 0
    if not residues or n_neuron % 16 or residues & (residues - 1):
        raise GraphError(
            f"n_neuron is {arguments.shown(n_neuron)}; give 16 times a power of two, as 1024, 4096, 16384 or 65536"
        )
    return residues
