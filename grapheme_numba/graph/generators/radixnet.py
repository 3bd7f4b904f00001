"""RadiX-Net: the synthetic sparse networks of the Sparse DNN Graph Challenge (Kepner and Robinett 2019).

Layers of `n_neuron` nodes with 32 in-edges each. With R = n_neuron / 16 residues there are n = log2(R)
stages; stage k joins i -> j where (i - j) mod R is 0 or 2**k. Layers take the stages in turn; the first
block of n layers is as it stands, in every later block all layers see their senders through one random
permutation. Every output of a block is reached from every input by equally many paths.
"""

import numpy as np

from grapheme_numba import arguments, randomness
from grapheme_numba.errors import GraphError
from grapheme_numba.graph.dag import Ids
from grapheme_numba.graph.generators.topologies import Topology

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
