"""Ranks that wait have a limit, and nothing stays behind: silent ranks, lost launchers, ranks that fail early."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from ranks import MPIEXEC, SMALL, command, environment, ranks_of
from runs import small_data

from grapheme_numba.distributed.processes import launchers_of, shared_files
from grapheme_numba.distributed.roll_call import LATER, WAITS, WORKS, RanksSilent, RollCall


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """96 examples, converted once."""
    return small_data(tmp_path_factory.mktemp("data"), 96)


def start(folder, data, *options, **streams):
    """A long job of 2 ranks, once its first checkpoint is there; its ranks and what they hold in shared memory."""
    more = ("--gradient-shards", "4", "--val-freq", "1000", "--epochs", "5000", *options)
    words = command(2, "agi", "--data", data, "--output", folder, *SMALL, *more)
    streams = {"stderr": subprocess.PIPE, **streams}
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, text=True, **streams)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint_last" / "manifest.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        os.sched_yield()
    ranks = ranks_of(process.pid)
    assert sorted(ranks) == [0, 1]
    return process, ranks, shared_files(ranks.values())


def all_gone(processes, files, seconds=20):
    """Wait until the processes have ended and the files are gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{one}") for one in processes) and not any(map(os.path.exists, files)):
            return True
        os.sched_yield()
    return False


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_silent_rank_is_named_and_ends_all(tmp_path, data, stopped):
    folder = tmp_path / "run"
    process, ranks, shared = start(folder, data, "--rank-timeout", "3")
    family = [process.pid, *ranks.values(), *launchers_of(ranks[0])]
    os.kill(ranks[stopped], signal.SIGSTOP)
    _, said = process.communicate(timeout=60)
    host = os.uname().nodename
    assert f"waiting for rank {stopped} on {host}, silent for " in said
    assert f"error: rank {stopped} on {host} did not answer for 3 s (--rank-timeout), so all ranks end; " in said
    assert f"resume from {folder}/checkpoint_last with: {MPIEXEC} -n 2 grapheme-train agi --resume auto" in said
    assert said.count("error:") == 1
    assert all_gone(family, shared)


def test_a_rank_that_answers_again_is_said(tmp_path, data):
    process, ranks, _ = start(tmp_path / "run", data, "--rank-timeout", "20")
    os.kill(ranks[1], signal.SIGSTOP)
    line = process.stderr.readline()
    while "waiting for rank 1" not in line:
        line = process.stderr.readline()
    os.kill(ranks[1], signal.SIGCONT)
    while "all ranks answer again" not in line:
        line = process.stderr.readline()
    os.kill(ranks[0], signal.SIGTERM)
    assert "because SIGTERM was received" in process.communicate(timeout=60)[1]
    assert process.returncode == 75


def test_a_second_signal_ends_a_waiting_rank_at_once(tmp_path, data):
    process, ranks, shared = start(tmp_path / "run", data)
    os.kill(ranks[1], signal.SIGSTOP)
    with suppress(ProcessLookupError):
        while process.poll() is None:
            os.kill(ranks[0], signal.SIGTERM)  # rank 0 waits for rank 1 by now, or will
            os.sched_yield()
    process.communicate(timeout=60)
    assert process.returncode
    assert all_gone(ranks.values(), shared)


def test_nothing_stays_behind_a_lost_rank_when_nobody_listens(tmp_path, data):
    process, ranks, shared = start(tmp_path / "run", data, stderr=subprocess.PIPE)
    process.stderr.close()
    os.kill(ranks[1], signal.SIGKILL)
    process.wait(60)
    assert shared and all_gone(ranks.values(), shared)


def test_ranks_end_with_their_launcher(tmp_path, data):
    process, ranks, shared = start(tmp_path / "run", data)
    family = [*ranks.values(), *launchers_of(ranks[0])]
    family.remove(process.pid)  # it stays a zombie until we wait for it
    process.kill()
    process.communicate(timeout=60)
    assert shared and all_gone(family, shared)


def test_ranks_end_with_the_proxy_of_their_launcher(tmp_path, data):
    """MPICH's mpiexec waits for ever then; its ranks save together first."""
    process, ranks, shared = start(tmp_path / "run", data)
    above = launchers_of(ranks[0])
    proxy = next(one for one, name in above.items() if name == "hydra_pmi_proxy")
    os.kill(proxy, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert f"error: hydra_pmi_proxy (process {proxy}) of the launcher was lost on {os.uname().nodename}" in said
    assert all_gone([*ranks.values(), *above], shared)


def together(*parts):
    """A job whose ranks have command lines of their own, run to its end."""
    words = [str(MPIEXEC)]
    for number, part in enumerate(parts):
        words += [":"] * (number > 0) + ["-n", "1", *command(1, *part)]
    return subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)


def test_a_rank_that_fails_before_it_joins_ends_all(tmp_path, data):
    good = ("agi", "--data", data, "--output", tmp_path / "run", *SMALL)
    began = time.monotonic()
    assert together(good, (*good, "--nonsense")).returncode
    assert time.monotonic() - began < 60
    assert not (tmp_path / "run").exists()


def test_ranks_with_other_options_are_refused(tmp_path, data):
    good = ("agi", "--data", data, "--output", tmp_path / "run", *SMALL)
    done = together((*good, "--epochs", 2), (*good, "--epochs", 3))
    host = os.uname().nodename
    assert done.returncode == 2
    assert f"rank 1 on {host} has --epochs 3, rank 0 on {host} has 2: start all ranks with the same opt" in done.stderr
    assert done.stderr.count("error:") == 1
    assert not (tmp_path / "run").exists()


class Network:
    """Stands for a communicator of 4 ranks: what is sent to rank 0 lies in `arrives`."""

    Exception, BYTE = OSError, None

    def __init__(self):
        self.arrives, self.sent = [], []

    def Get_rank(self):
        return 0

    def Get_size(self):
        return 4

    def Status(self):
        return SimpleNamespace(Get_source=lambda: self.now[0], Get_count=lambda kind: len(self.now[1]))

    def Improbe(self, status):
        if not self.arrives:
            return None
        self.now = self.arrives.pop(0)
        return SimpleNamespace(
            Recv=lambda buffer: np.copyto(buffer[: len(self.now[1])], np.frombuffer(self.now[1], "B"))
        )

    def Isend(self, data, rank):
        self.sent.append((rank, data.tobytes()))
        return SimpleNamespace(Test=lambda: True)


def roll_of(limit, *rounds):
    """What is said when rank 0 waits from second 0, and `rounds` of (second, [(rank, message)]) arrive."""
    network, said = Network(), []
    roll = RollCall(network, network, ["a", "b", "c", "c"])
    roll.limit, roll.say = limit, said.append
    for second, arrives in rounds:
        network.arrives += arrives
        roll.call(0.0, second, "")
    return said


def test_only_ranks_that_say_nothing_are_silent():
    waits = [(2, WAITS), (3, WAITS)]
    rounds = [(second, waits) for second in range(6, 630, 2)]
    with pytest.raises(RanksSilent, match=r"rank 1 on b did not answer for 600 s \(--rank-timeout\), so all") as error:
        roll_of(600.0, *rounds)
    assert error.value.speaks
    assert roll_of(600.0, *rounds[:20]) == [
        "waiting for rank 1 on b, silent for 32 s; after 600 s the run ends (--rank-timeout)"
    ]


def test_a_rank_that_works_may_take_longer_than_the_limit():
    works = [(1, WORKS + b"prepares the run"), (2, WAITS), (3, WAITS)]
    rounds = [(second, works) for second in range(6, 3000, 2)]
    assert roll_of(600.0, *rounds) == ["rank 1 on b prepares the run, the others wait"]


def test_ranks_that_all_wait_end_too():
    waits = [(rank, WAITS) for rank in (1, 2, 3)]
    with pytest.raises(RanksSilent, match="all ranks wait for each other since 600 s"):
        roll_of(600.0, *[(second, waits) for second in range(6, 700, 2)])


def test_hosts_are_named_once():
    network = Network()
    assert RollCall(network, network, ["a", "b", "c", "c"]).names([1, 2, 3]) == "rank 1 on b and ranks 2, 3 on c"
    assert LATER > 0
