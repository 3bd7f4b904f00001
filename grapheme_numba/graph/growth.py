"""Topologies with hubs and with modules: each returns (senders, receivers, inputs, outputs, n_node)."""

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.topologies import _ids, _whole
from grapheme_numba.kernels.graph.random_edges import preferential_senders


def scale_free(n_node, fan_in, n_in, n_out, seed=0):
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


def block_modular(n_block, block_size, fan_in, between, n_in, n_out, seed=0):
    """Blocks of nodes that listen to their own block, but for a share `between` of their edges.

    Each hidden node draws `fan_in` senders (repeats are dropped) from the earlier nodes and the inputs of
    its own block, or, with probability `between`, from all earlier nodes of other blocks. Inputs are dealt
    to the blocks in turn; each output draws its senders from all hidden nodes.
    """
    n_block, block_size = _whole("n_block", n_block, 1), _whole("block_size", block_size, 1)
    fan_in, n_in, n_out = _whole("fan_in", fan_in, 1), _whole("n_in", n_in, 1), _whole("n_out", n_out, 1)
    if n_in < n_block:
        raise GraphError(f"n_in is {n_in}, but each of the {n_block} blocks needs an input of its own")
    if not 0.0 <= between <= 1.0:
        raise GraphError(f"between is {between!r}; give a share between 0 and 1")
    generator = np.random.Generator(np.random.Philox(seed))
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


def _state(seed):
    return np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)
