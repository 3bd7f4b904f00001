"""How the cores of a host are dealt out to its ranks."""

import os

import numpy as np
import pytest

from grapheme_numba.distributed.host import Cores, own_mask


@pytest.fixture
def bound(monkeypatch):
    """What processes are bound to, instead of being bound."""
    found = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: found.append((process, cores)))
    return found


def everywhere(n_rank, n_core):
    return np.ones((n_rank, n_core), np.uint8)


def test_cores_are_divided_among_the_ranks_of_a_host(bound):
    shares = [Cores(everywhere(3, 8), rank) for rank in range(3)]
    assert [one.use(None) for one in shares] == [2, 2, 2]
    assert [cores for _, cores in bound] == [[0, 1], [2, 3], [4, 5]]
    assert not any(one.crowded or one.bound for one in shares)
    assert [shares[0].note(None), shares[0].note(2)] == [", bound to cores of their own", ""]


def test_cores_that_the_job_may_not_use_are_left_alone(bound):
    masks = np.zeros((2, 6), np.uint8)
    masks[:, [1, 2, 4, 5]] = 1
    assert [Cores(masks, rank).use(None) for rank in range(2)] == [2, 2]
    assert [cores for _, cores in bound] == [[1, 2], [4, 5]]


def test_what_the_launcher_bound_stays_and_is_used_whole(bound):
    masks = np.kron(np.eye(2, dtype=np.uint8), np.ones((1, 4), np.uint8))
    one = Cores(masks, 1)
    assert (one.use(None), one.bound, bound) == (4, True, [])
    assert one.note(None) == ", where the launcher has bound them"


def test_two_ranks_bound_to_each_socket_share_it(bound):
    masks = np.repeat(np.kron(np.eye(2, dtype=np.uint8), np.ones((1, 4), np.uint8)), 2, axis=0)
    assert [Cores(masks, rank).use(None) for rank in range(4)] == [2, 2, 2, 2]
    assert bound == []


def test_more_ranks_than_cores_share_them_unbound(bound):
    one = Cores(everywhere(4, 2), 3)
    assert (one.use(None), one.crowded, bound) == (1, True, [])
    assert one.note(None).startswith(", more than it has cores")


def test_who_names_a_number_of_threads_is_not_bound(bound):
    assert Cores(everywhere(2, 8), 0).use(3) == 3
    assert bound == []


def test_a_rank_alone_on_its_host_is_not_bound(bound):
    one = Cores(everywhere(1, 8), 0)
    assert (one.use(None), one.crowded, bound) == (8, False, [])


def test_the_mask_says_where_this_process_may_run():
    assert set(np.flatnonzero(own_mask())) == os.sched_getaffinity(0)
