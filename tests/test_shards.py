"""The fixed tree over virtual shards and the passes over its planes: against plain sums, for every way to share it."""

import numpy as np
import pytest

from grapheme_numba.distributed.comm import ALONE, RankFailed, Serial, parts
from grapheme_numba.distributed.gradients import Node, additions, as_table, own_shards, whole_nodes
from grapheme_numba.distributed.team import Requests, Team, merged
from grapheme_numba.errors import UsageError
from grapheme_numba.kernels.engine import gradient_shards as kernels
from grapheme_numba.kernels.engine.updates import CHUNK, in_order
from grapheme_numba.network.execution_plan import aligned_empty
from grapheme_numba.optim.optimizers import MOMENTS, both_moments, build, gradient_norm


def naive(node, vectors):
    """The sum of a node, as its definition says."""
    if node.stop - node.first == 1:
        return vectors[node.first]
    left, right = node.halves
    return naive(left, vectors) + naive(right, vectors)


def planes_of(nodes, vectors):
    """The sum of each node, one below the other."""
    planes = aligned_empty((len(nodes), vectors.shape[1]), vectors.dtype)
    for row, node in enumerate(nodes):
        planes[row] = naive(node, vectors)
    return planes


@pytest.mark.parametrize("n_shard", [1, 2, 3, 5, 8, 11])
def test_every_sharing_adds_the_same_tree(rng, n_shard):
    """Ranks anywhere on two hosts: the planes of a host are added first, then the hosts' sums."""
    vectors, root = rng.standard_normal((n_shard, 50)).astype(np.float32), Node(0, n_shard)
    wanted = naive(root, vectors)
    for size in range(1, n_shard + 1):
        owned = [own_shards(rank, size, n_shard) for rank in range(size)]
        for hosts in (
            [range(size)],
            [range(size // 2), range(size // 2, size)],
            [range(0, size, 2), range(1, size, 2)],
        ):
            sums = {}
            for ranks in filter(None, hosts):
                nodes = [node for rank in ranks for node in whole_nodes(owned[rank], root)]
                planes, rows = planes_of(nodes, vectors), {node: row for row, node in enumerate(nodes)}
                for node in whole_nodes({shard for rank in ranks for shard in owned[rank]}, root):
                    how = additions(node, rows)
                    kernels.fold(planes, as_table(how.pairs), (0, 1))
                    sums[node] = planes[how.row].copy()
            planes, rows = np.array(list(sums.values())), {node: row for row, node in enumerate(sums)}
            how = additions(root, rows)
            kernels.fold(planes, as_table(how.pairs), (0, 1))
            np.testing.assert_array_equal(planes[how.row], wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fresh", [True, False])
def test_pieces_of_a_fold_make_the_whole(rng, fresh, dtype):
    """Four planes, added by three ranks in blocks of their own; the squares are those of the norm."""
    n = 5 * CHUNK + 17
    vectors, before = rng.standard_normal((4, n)).astype(dtype), rng.standard_normal(n).astype(dtype)
    total, squares = before.copy(), np.full(6, np.nan)
    for chunks in ((0, 2), (2, 5), (5, 6)):
        first, stop = chunks[0] * CHUNK, min(chunks[1] * CHUNK, n)
        block = vectors[:, first:stop].copy()
        kernels.fold_into(block, as_table([(0, 1), (2, 3)]), (0, 2), chunks, first, fresh, total, squares)
    wanted = (vectors[0] + vectors[1]) + (vectors[2] + vectors[3])
    wanted = wanted if fresh else before + wanted
    np.testing.assert_array_equal(total, wanted)
    assert np.sqrt(in_order(squares)) == gradient_norm(wanted)
    again = np.full(6, np.nan)
    kernels.chunk_squares(total, (0, 6), again)
    np.testing.assert_array_equal(again, squares)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_single_plane_is_the_sum(rng, fresh):
    vector, total, squares = rng.standard_normal((1, 40)), np.ones(40), np.empty(1)
    kernels.fold_into(vector, as_table([]), (0, -1), (0, 1), 0, fresh, total, squares)
    np.testing.assert_array_equal(total, vector[0] if fresh else vector[0] + 1)
    assert squares[0] == pytest.approx(np.square(total).sum(), rel=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_handed_over_is_what_was_there(rng, dtype):
    """Whatever part of it stays in this core's cache; zeros stay behind."""
    for n in (0, 1, 15, 16, 33, CHUNK, 2 * CHUNK + 7):
        for own in ((0, 0), (1, 2), (0, 3)):
            values, public = rng.standard_normal(n).astype(dtype), aligned_empty((n + 3,), dtype)
            wanted, public[n:] = values.copy(), 7
            kernels.hand_over(own, values, public)
            np.testing.assert_array_equal(public[:n], wanted)
            assert (public[n:] == 7).all() and not values.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", list(MOMENTS))
def test_a_public_step_is_the_private_one(rng, name, dtype):
    """The same parameters, moments and squares, in the place that others read and in the one that only we do."""
    n, optimizer = 2 * CHUNK + 7, build(name, 0.01)
    private, public = rng.standard_normal(n).astype(dtype), aligned_empty((n,), dtype)
    own = private.copy()
    state, moments = optimizer.init(private), optimizer.init(private).moments
    for count in (1, 2):
        gradient = rng.standard_normal(n).astype(dtype)
        squares, public[:] = np.full(3, np.nan), np.nan
        rates, both = optimizer.rates(count, 0.1, 0.5), both_moments(moments, public)
        kernels.step(optimizer.rule, gradient, rates, both, squares, own, public)
        state, finite = optimizer.update_and_clear(private, gradient, state, 0.1, 0.5)
        assert finite and not gradient.any()
        np.testing.assert_array_equal(public, private)
        np.testing.assert_array_equal(own, private)
        assert np.sqrt(in_order(squares)) == gradient_norm(private)
        assert all(np.array_equal(moments[key], state.moments[key]) for key in moments)


def test_ranks_own_all_shards_once():
    for n_shard in range(1, 20):
        for size in range(1, n_shard + 1):
            owned = [shard for rank in range(size) for shard in own_shards(rank, size, n_shard)]
            assert owned == list(range(n_shard))


def test_a_rank_of_neighbouring_powers_holds_one_node():
    assert whole_nodes(range(4, 8), Node(0, 8)) == [Node(4, 8)]
    assert whole_nodes(range(2, 5), Node(0, 8)) == [Node(2, 4), Node(4, 5)]
    assert whole_nodes({0, 1, 4, 5}, Node(0, 8)) == [Node(0, 2), Node(4, 6)]


def test_a_team_refuses_idle_ranks():
    comm = Serial()
    comm.size = 5
    with pytest.raises(UsageError, match="5 ranks, but the run has 4 gradient shards to give them: start 4 at most"):
        Team(comm, 4)


def test_the_first_reason_and_any_save_win():
    assert merged([Requests(), Requests("b", False), Requests("c", True)]) == Requests("b", True)
    assert merged([Requests(), Requests()]) == Requests()


def test_parts_follow_one_another():
    assert parts(np.array([2, 0, 3])) == ([2, 0, 3], [0, 2, 2])


def test_an_agreed_error_has_the_code_of_the_first():
    with pytest.raises(RankFailed, match="on rank 2: disk full") as caught:
        raise RankFailed("on rank 2: disk full", 74, 2)
    assert (caught.value.exit_code, caught.value.rank) == (74, 2)


def test_alone_nobody_is_bound():
    assert (ALONE.n, ALONE.bound, ALONE.crowded) == (1, False, False)
