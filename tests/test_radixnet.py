"""RadiX-Net against its definition, written out edge by edge."""

import numpy as np
import pytest

from grapheme_numba import errors
from grapheme_numba.graph import topologies


def _stage(n_neuron, stage):
    residues = n_neuron // 16
    return [
        [i for i in range(n_neuron) if (i - j) % residues in (0, 2**stage % residues)] for j in range(n_neuron)
    ]  # fmt: skip


@pytest.mark.parametrize("n_neuron", [64, 128])
def test_the_first_block_is_the_definition(n_neuron):
    stages = (n_neuron // 16).bit_length() - 1
    layers = topologies.layers(n_neuron, stages)
    assert layers.shape == (stages, n_neuron, 32)
    for stage in range(stages):
        assert layers[stage].tolist() == _stage(n_neuron, stage)


def test_later_blocks_see_their_senders_through_one_permutation():
    n_neuron, stages = 64, 2
    layers = topologies.layers(n_neuron, 3 * stages, seed=5)
    for first in (stages, 2 * stages):
        bases = [np.array(_stage(n_neuron, stage)) for stage in range(stages)]
        # A sender of the first block is known by the receivers it has in each stage; so is its image.
        for layer, base in enumerate(bases):
            sets = {tuple(np.flatnonzero((base == i).any(axis=1))) for i in range(n_neuron)}
            found = {tuple(np.flatnonzero((layers[first + layer] == i).any(axis=1))) for i in range(n_neuron)}
            assert found == sets
        assert not np.array_equal(layers[first], bases[0])
    assert not np.array_equal(layers[stages], layers[2 * stages])


def test_a_block_joins_every_pair_by_equally_many_paths():
    n_neuron = 256
    paths = np.eye(n_neuron, dtype=np.int64)
    for senders in topologies.layers(n_neuron, 4):
        paths = paths[senders].sum(axis=1)
    assert paths.min() == paths.max() == 32**4 // n_neuron


def test_as_one_graph():
    senders, receivers, inputs, outputs, n_node = topologies.radixnet(64, 3, seed=1)
    assert (len(senders), len(receivers), n_node) == (3 * 64 * 32, 3 * 64 * 32, 256)
    assert inputs.tolist() == list(range(64))
    assert outputs.tolist() == list(range(192, 256))
    assert (senders // 64 + 1 == receivers // 64).all()
    assert len({*zip(senders.tolist(), receivers.tolist())}) == len(senders)


def test_the_seed_decides_the_permutations():
    assert np.array_equal(topologies.layers(64, 6, seed=2), topologies.layers(64, 6, seed=2))
    assert not np.array_equal(topologies.layers(64, 6, seed=2), topologies.layers(64, 6, seed=3))


def test_sizes_that_have_no_stages():
    with pytest.raises(errors.GraphError, match="n_neuron is 1000; give 16 times a power of two"):
        topologies.layers(1000, 6)
    with pytest.raises(errors.GraphError, match="n_neuron is 16; give 16 times a power of two"):
        topologies.layers(16, 6)
    with pytest.raises(errors.GraphError, match="n_layer is 0; give a whole number of at least 1"):
        topologies.layers(64, 0)
    with pytest.raises(errors.GraphError, match="stage is 2; 64 neurons have the stages 0 to 1"):
        topologies.stage_senders(64, 2)
