"""The fixed tree over virtual shards: its sum against a plain one, for every way to share it out."""

from itertools import pairwise

import numpy as np
import pytest

from grapheme_numba.distributed import Agreed, Serial, parts
from grapheme_numba.errors import UsageError
from grapheme_numba.training.shards import Node, ShardedSum, own_shards, whole_nodes
from grapheme_numba.training.team import Team, Wish, first_wish


class Together:
    """Ranks of one process that only need their exchange: each call is answered when all have made theirs."""

    def __init__(self, size):
        self.size = size

    def run(self, n_shard, vectors):
        """Every rank's sum, with the ranks' chunks exchanged by hand."""
        sums = []
        for rank in range(self.size):
            comm = Serial()
            comm.rank, comm.size = rank, self.size
            one = ShardedSum(comm, n_shard, np.zeros(vectors.shape[1], np.float32))
            one.add_own(lambda index, one=one: np.add(one.gradients, vectors[one.own[index]], out=one.gradients))
            sums.append(one)
        known = {}
        for one in sums:
            mine = one.owners[one.comm.rank]
            for node in mine:
                known[node] = one.gradients if len(mine) == 1 else one._buffers[node]
        return known, sums[0].root


def naive(node, vectors):
    """The sum of a node, as its definition says."""
    if node.stop - node.first == 1:
        return vectors[node.first]
    left, right = node.halves
    return naive(left, vectors) + naive(right, vectors)


@pytest.mark.parametrize("n_shard", [1, 2, 3, 5, 8, 11])
def test_every_sharing_gives_the_nodes_of_the_same_tree(rng, n_shard):
    vectors = rng.standard_normal((n_shard, 50)).astype(np.float32)
    for size in range(1, n_shard + 1):
        known, root = Together(size).run(n_shard, vectors)
        held = sorted(known)
        assert held[0].first == 0 and held[-1].stop == n_shard
        assert all(a.stop == b.first for a, b in pairwise(held))
        for node, sums in known.items():
            np.testing.assert_array_equal(sums, naive(node, vectors))
        assert root == Node(0, n_shard)


def test_ranks_own_all_shards_once():
    for n_shard in range(1, 20):
        for size in range(1, n_shard + 1):
            owned = [shard for rank in range(size) for shard in own_shards(rank, size, n_shard)]
            assert owned == list(range(n_shard))


def test_a_rank_of_neighbouring_powers_holds_one_node():
    assert whole_nodes(range(4, 8), Node(0, 8)) == [Node(4, 8)]
    assert whole_nodes(range(2, 5), Node(0, 8)) == [Node(2, 4), Node(4, 5)]


def test_a_team_refuses_idle_ranks():
    comm = Serial()
    comm.size = 5
    with pytest.raises(UsageError, match="there are 5 ranks, but the run has 4 shards to give them: start 4 at most"):
        Team(comm, 4)


def test_the_first_reason_and_any_save_win():
    assert first_wish([Wish(), Wish("b", False), Wish("c", True)]) == Wish("b", True)
    assert first_wish([Wish(), Wish()]) == Wish()


def test_parts_follow_one_another():
    assert parts(np.array([2, 0, 3])) == ([2, 0, 3], [0, 2, 2])


def test_an_agreed_error_has_the_code_of_the_first():
    with pytest.raises(Agreed, match="on rank 2: disk full") as caught:
        raise Agreed("on rank 2: disk full", 74, 2)
    assert (caught.value.exit_code, caught.value.rank) == (74, 2)
