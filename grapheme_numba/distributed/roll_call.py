"""Who is silent while ranks wait for each other, and how long that may last.

A meeting of ranks is over in microseconds or waits for whoever computes, so nothing of this runs until a rank has
waited for seconds. From then on it tells all others now and then that it waits, and reads what they tell. Ranks that
say nothing are silent: their host is gone, they hang, or they work long. Who works long says so as well, from a
timer of its main thread (only that one may communicate), so converting data may take hours. After `NOTICE`
the lowest rank that is not silent names the silent ones; after the limit (`--rank-timeout`) all ranks that can act end.
"""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np

from grapheme_numba.errors import StoppedEarly, few

if TYPE_CHECKING:
    from grapheme_numba.distributed.comm import Ranks

DEFAULT_LIMIT = 600.0  # seconds, before the run's configuration is known
NOTICE = 30.0  # seconds of waiting until the silent ranks are named
CALL = 5.0  # seconds of waiting until ranks tell each other that they wait
EVERY = 2.0  # seconds between two such messages; a rank is silent when three of them are missing
LATER = 5.0  # seconds that ranks leave to the one that speaks before they end
WAITS, WORKS = b"-", b"+"
LONGEST = 64  # bytes of a message


class RanksSilent(StoppedEarly):
    """Ranks did not come to a meeting in time. `speaks` says whether this rank explains it."""

    def __init__(self, text: str, speaks: bool = True) -> None:
        super().__init__(text)
        self.speaks = speaks


class RollCall:
    """The messages of waiting ranks.

    Parameters
    ----------
    mpi : the module mpi4py.MPI
    comm : a communicator of all ranks that nothing else uses
    hosts : list of str
        The host's name of each rank.
    """

    def __init__(self, mpi: Any, comm: Any, hosts: Sequence[str]) -> None:
        self._mpi, self._comm, self._hosts = mpi, comm, hosts
        self._rank, self._size = comm.Get_rank(), comm.Get_size()
        self.limit = DEFAULT_LIMIT
        self.say: Callable[[str], None] = lambda line: None
        self._sent: dict[int, Any] = {}  # requests that may still be under way, with what they send
        self._began: float | None = None  # of the wait that goes on
        self._next = 0.0
        self._heard: dict[int, float] = {}
        self._works: dict[int, str] = {}
        self._told: set[str] = set()

    @property
    def call_after(self) -> float:
        """Seconds of waiting after which `call` is due."""
        return min(CALL, self.limit / 10)

    def call(self, began: float, now: float, doing: str) -> None:
        """Of a rank that has waited since `began`: tell, listen, name the silent. `doing`: what takes others so long.

        Raises RanksSilent at the limit.
        """
        if began != self._began:  # what came before this wait says nothing about it
            self._receive(began)
            self._began, self._next = began, now
            self._heard, self._works, self._told = {}, {}, set()
        if now < self._next:
            return
        every = min(EVERY, self.limit / 20)
        self._next = now + every
        self._send(WAITS + doing.encode()[: LONGEST - 1])
        self._receive(now)
        last = {rank: self._heard.get(rank, began) for rank in range(self._size) if rank != self._rank}
        silent = [rank for rank, heard in last.items() if now - heard > 3 * every]
        waiting = [rank for rank in last if rank not in silent and rank not in self._works]
        speaks = all(self._rank < rank for rank in waiting)
        waited = now - began
        busy = {rank: text for rank, text in self._works.items() if rank not in silent}
        if speaks and waited > self.call_after + 2 * every:
            for text in sorted(set(busy.values())):
                self._once(f"{self.names([rank for rank, one in busy.items() if one == text])} {text}, the others wait")
            if doing and silent:
                self._once(f"{self.names(silent)} {doing}, the others wait")
        if speaks and silent and waited > min(NOTICE, self.limit / 2):
            self._once(
                f"waiting for {self.names(silent)}, silent for {now - max(last[rank] for rank in silent):.0f} s; "
                f"after {self.limit:.0f} s the run ends (--rank-timeout)",
                "silent",
            )
        overdue = [rank for rank in silent if now - last[rank] > self.limit + LATER * (not speaks)]
        if overdue:
            raise RanksSilent(
                f"{self.names(silent)} did not answer for {self.limit:g} s (--rank-timeout), so all ranks end", speaks
            )
        if not silent and not busy and waited > self.limit + LATER * (not speaks):
            raise RanksSilent(
                f"all ranks wait for each other since {self.limit:g} s (--rank-timeout): messages between them are "
                "lost; check the network",
                speaks,
            )

    def over(self, now: float) -> None:
        """The wait has ended after all."""
        if self._began is not None and "silent" in self._told:
            self.say(f"all ranks answer again after {now - self._began:.0f} s")
        self._began = None

    def forget(self) -> None:
        """Take what is still under way: the MPI library complains at its end of messages that nobody took."""
        self._receive(0.0)

    @contextmanager
    def working(self, doing: str) -> Iterator[None]:
        """Within, the others learn now and then that this rank works. In another than the main thread they do not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        message = WORKS + doing.encode()[: LONGEST - 1]

        def tell(number: int, frame: object) -> None:
            if self._began is None:
                self._send(message)

        before = signal.signal(signal.SIGALRM, tell)
        every = min(EVERY, self.limit / 20)
        signal.setitimer(signal.ITIMER_REAL, every, every)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def names(self, ranks: Sequence[int]) -> str:
        """The ranks with their hosts, as `rank 1 on b and ranks 2, 3 on c`."""
        found = [
            (host, [rank for rank in ranks if self._hosts[rank] == host])
            for host in dict.fromkeys(self._hosts[rank] for rank in ranks)
        ]
        parts = [f"rank{'s' * (len(own) > 1)} {few(own, 8)} on {host}" for host, own in found]
        return few(parts, 8, " and ")

    def _once(self, line: str, key: str = "") -> None:
        if (key or line) not in self._told:
            self._told.add(key or line)
            self.say(line)

    def _send(self, message: bytes) -> None:
        """To all others but those to whom the last message is still under way: nothing piles up before a dead host."""
        for rank in range(self._size):
            held = self._sent.get(rank)
            if rank == self._rank:
                continue
            try:
                if held is None or held[0].Test():
                    data = np.frombuffer(message, np.uint8).copy()
                    self._sent[rank] = self._comm.Isend(data, rank), data
            except self._mpi.Exception:
                continue  # its connection is lost: it is silent

    def _receive(self, now: float) -> None:
        """All messages that are there."""
        status, buffer = self._mpi.Status(), np.empty(LONGEST, np.uint8)
        try:
            while (message := self._comm.Improbe(status=status)) is not None:
                message.Recv(buffer)
                rank, data = status.Get_source(), buffer[: status.Get_count(self._mpi.BYTE)].tobytes()
                self._heard[rank] = now
                if data[:1] == WORKS:
                    self._works[rank] = data[1:].decode(errors="replace")
                else:
                    self._works.pop(rank, None)
        except self._mpi.Exception:
            return  # a connection is lost; what is missing is silent


# Without site packages, for the package costs seconds to import and the watcher needs three files of it.
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from grapheme_numba.distributed import watcher; watcher.main({})"
)


class LostRankReporter:
    """Starts that process, before this rank looks for the others, and sends it what it needs to know.

    Used as a context manager around all that a rank does; `joined` has to follow when the ranks have met. Left with an
    error before that, the watcher sees that the launcher ends, for ranks that already wait for this one do not.
    """

    def __init__(self) -> None:
        self._lines: IO[bytes] | None = None  # to the watcher; None where there is none
        self._answers: IO[bytes] | None = None  # from it
        self._watcher = self._of_host = 0  # process: of this rank, of the ranks of this host
        self._port = 0
        self._joined = False
        if hasattr(os, "pidfd_open"):
            program = [sys.executable, "-I", "-S", "-c", PROGRAM.format(os.getpid()), str(Path(__file__).parents[2])]
            started = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            if started.stdout is not None:
                self._watcher, self._port = map(int, started.stdout.readline().split() or (0, 0))
                os.set_blocking(started.stdout.fileno(), False)
            started.wait()
            self._lines, self._answers = started.stdin, started.stdout

    def joined(self, comm: "Ranks") -> None:
        """All ranks have met: the lowest of every host keeps its watcher."""
        self._joined = True
        found = comm.host_processes(self._watcher)
        self._of_host = found[0][2]
        sent = [one.decode().split() for one in comm.all_gather(f"{secrets.token_hex(8)} {self._port}".encode())]
        if comm.host_rank == 0:
            hosts = [f"{comm.host_names[ranks[0]]}:{sent[ranks[0]][1]}" for ranks in comm.hosts]
            self.send(f"hosts {sent[0][0]} {comm.host} {' '.join(hosts)}")
            self.send(f"ranks {comm.size} {' '.join(f'{rank}:{process}' for rank, process, _ in found)}")
        else:
            self._end("dismissed")

    def send(self, line: str) -> None:
        """Send one line."""
        if self._lines is not None:
            try:
                self._lines.write(line.encode() + b"\n")
                self._lines.flush()
            except OSError:
                self._lines = None  # it is gone; the run does not depend on it

    def why(self) -> str:
        """Why the watcher sent SIGTERM; empty where it did not, or watches no more."""
        lines = (self._answers and self._answers.read()) or b""
        return lines.decode().rpartition("\n")[0]

    def _end(self, line: str) -> None:
        self.send(line)
        if self._lines is not None:
            self._lines.close()
        self._lines = None

    def leave(self) -> None:
        """This rank is about to end because others are silent, and says so itself."""
        if self._lines is None and self._of_host:
            with suppress(OSError):
                os.kill(self._of_host, signal.SIGUSR1)
        self._end("silent")

    def __enter__(self) -> Self:
        self.send(f"limit {DEFAULT_LIMIT}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end("done" if self._joined or kind is None else "failed")


def end_launcher() -> None:
    """This rank fails before it has met the others, which may wait for it: let a watcher see that the launcher ends."""
    LostRankReporter()._end("failed")
