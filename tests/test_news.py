"""What watchers of several hosts tell each other: the first loss is named, and once."""

import socket
import threading
import time

import pytest

from grapheme_numba.distributed import news
from grapheme_numba.distributed.news import News


@pytest.fixture
def hosts(monkeypatch):
    """Three watchers that have met; the first stands beside the launcher. They wait long, so that a busy machine
    changes nothing."""
    found = [News() for _ in range(3)]
    for own, one in enumerate(found):
        one.meet("word", own, [f"127.0.0.1:{other.port}" for other in found])
    for one in found:
        while len(one._others) < 2:
            pass
    monkeypatch.setattr(news, "ANSWER", 20.0)
    yield found
    for one in found:
        one.socket.close()


def heard(one):
    """What `one` has heard of once something has come."""
    while not one.heard and not one.said:
        one.receive()
    return one.heard


def settled(one, what, speaks):
    """`settle` in a thread of its own, and where its result will lie."""
    result = []
    thread = threading.Thread(target=lambda: result.append(one.settle(what, speaks)))
    thread.start()
    return thread, result


def test_who_heard_first_of_another_says_nothing(hosts):
    launcher, second, third = hosts
    thread, said = settled(second, "rank 1 was lost", False)
    assert heard(launcher) == "rank 1 was lost"
    assert heard(third) == "rank 1 was lost"
    assert third.settle("rank 2 was lost", False) == ""
    launcher.name()
    thread.join(60)
    assert said == [""]


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_that_saw_something_at_once_the_first_is_named(hosts, first):
    """The claims cross: each was made before the other had come, as where datagrams are slow."""
    now = time.monotonic()
    launcher, other = hosts[:2]
    launcher._began, other._began = now, now + (0.4 if first == 0 else -0.4)
    slow = 1.0  # seconds on the way
    launcher._claims[1] = other._began + slow, "rank 1 was lost"
    launcher._gaps[1] = launcher._began + slow - other._began
    assert launcher._first("rank 0 was lost") == f"rank {first} was lost"


def test_without_an_answer_each_speaks_for_itself(hosts, monkeypatch):
    monkeypatch.setattr(news, "ANSWER", 0.01)
    assert hosts[1].settle("rank 1 was lost", False) == "rank 1 was lost"
    alone = News()
    assert alone.settle("rank 0 was lost", False) == "rank 0 was lost"
    alone.socket.close()


def test_gaps_are_told_to_who_claims(hosts, monkeypatch):
    monkeypatch.setattr(news, "COLLECT", 20.0)
    launcher, second, _ = hosts
    thread, said = settled(second, "rank 1 was lost", False)
    heard(launcher)
    launcher._claims.clear()  # as if it had not come yet
    beside, named = settled(launcher, "rank 0 was lost", True)
    while 1 not in launcher._gaps:
        assert beside.is_alive()
    launcher._claims[1] = time.monotonic(), "rank 1 was lost"
    launcher.said = True  # end the wait
    launcher._send("x", 0)
    hosts[2]._tell("said 2 -")
    beside.join(60)
    thread.join(60)
    assert launcher._gaps[1] > 0
    assert named and said == [""]


@pytest.mark.parametrize("text", ["", "word", "other said 1 -", "word gap one", "\xff\xfe said", "word gap 1 soon"])
def test_what_others_send_changes_nothing(hosts, text):
    launcher, second, _ = hosts
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(text.encode("latin-1"), ("127.0.0.1", launcher.port))
    second._tell("claim 1 rank 1 was lost")
    assert heard(launcher) == "rank 1 was lost"
    assert not launcher.said
