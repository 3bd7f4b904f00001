"""A small process beside the ranks of a host: it says which rank was lost, and leaves nothing behind.

A launcher whose rank was lost kills the others at once, without a helpful message and with their files in shared memory
left; one whose own process or connection was lost may wait for ever. This process is not among those that they kill.
Each rank starts one before it looks for the others; then one a host stays. It is a program of its own, which
imports nothing but this folder's `news` and `processes`, and reads lines from its standard input:

    hosts WORD I H:PORT ...  the watchers that stay, on all hosts, and the number of this one's
    ranks N R:PID ...   all ranks have met: so many in all, and these on this host
    folder PATH         of the run, in which a checkpoint may lie
    command TEXT        which resumes the run
    limit SECONDS       that ranks may take until they have met
    failed              this rank ends before it has met the others
    silent              this rank ends because others are silent; it has said so
    dismissed           another process watches this rank
    done                all is well, and this rank takes leave of the MPI library

On its standard output stand its process and the port of its `News`, and later why it sent SIGTERM.
"""

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterable

from grapheme_numba.distributed.news import News
from grapheme_numba.distributed.processes import (
    CONNECTIONS,
    NOT_OURS,
    is_leaving,
    launchers_of,
    send_signal,
    shared_files,
    standard_error_of,
)

GRACE = 5.0  # seconds that the launcher has to end the others before we do
SAVING = 8.0  # seconds that ranks have to save together when the launcher was lost
LEAVING = 6.0  # seconds that ranks have to take leave of the MPI library, all at the same time
LEAST = 1.5  # seconds between two steps against a launcher that stays
HEADS = frozenset({"mpiexec", "mpiexec.hydra", "mpirun", "orterun", "prterun", "srun"})
WHOLE = ("checkpoint_last/manifest.json", "checkpoint_best/manifest.json")


def way_on(folder: str, command: str) -> str:
    """How the run goes on: the checkpoint and the command that resumes it."""
    if any(os.path.exists(os.path.join(folder, name)) for name in WHOLE):
        return f"resume from {folder}/checkpoint_last with: {command}"
    return "there is no checkpoint yet, so start the same command again"


def say(text: str, *descriptors: int) -> None:
    """One line for the first of these that somebody reads."""
    for descriptor in descriptors:
        try:
            os.write(descriptor, text.encode() + b"\n")
        except OSError:
            continue  # closed, or its reader has gone
        return


class Watch:
    """What is watched: the ranks of this host and the launcher's processes, each by its pidfd."""

    def __init__(self, process: int, news: News) -> None:
        self.poll, self.news = select.poll(), news
        self.ranks: dict[int, tuple[int, int]] = {}  # pidfd -> (rank, process)
        self.launchers: dict[int, tuple[str, int]] = {}  # pidfd -> (name, process)
        self.files: set[str] = set()
        self.facts = {"folder": "", "command": ""}
        self.n_rank = 0  # unknown before they have met
        self.until: float | None = None
        self.limit = 0.0
        self.quiet = False  # whether somebody has said why all ends
        self.heard_at = [2]  # our standard error, which the launcher passes on, then the launchers', the highest first
        signal.signal(signal.SIGUSR1, self.be_quiet)
        self.poll.register(0, select.POLLIN)
        self.poll.register(news.socket, select.POLLIN)
        self.add_rank(-1, process)
        self.add_launchers(process)

    def open(self, process: int) -> int | None:
        """The pidfd of a process, watched; None where it has ended."""
        try:
            descriptor = os.pidfd_open(process)
        except OSError:
            return None
        self.poll.register(descriptor, select.POLLIN)
        return descriptor

    def add_rank(self, rank: int, process: int) -> bool:
        """Watch a rank; False where it has ended."""
        known = next((one for one, (_, other) in self.ranks.items() if other == process), None)
        descriptor = self.open(process) if known is None else known
        if descriptor is not None:
            self.ranks[descriptor] = rank, process
        return descriptor is not None

    def add_launchers(self, process: int) -> None:
        """Watch what stands above a rank."""
        known = {one for _, one in self.launchers.values()}
        for launcher, name in launchers_of(process).items():
            descriptor = None if launcher in known else self.open(launcher)
            if descriptor is None:
                continue
            self.launchers[descriptor] = name, launcher
            if name not in NOT_OURS | CONNECTIONS:
                with contextlib.suppress(OSError):
                    self.heard_at.insert(1, standard_error_of(descriptor, launcher))

    def be_quiet(self, *_: object) -> None:
        """A rank of this host ends because others are silent, and has said so."""
        self.quiet = True

    def run(self) -> None:
        """Watch until all is well, or until everything has ended."""
        held = b""
        while True:
            wait = None if self.until is None else max(0.0, self.until - time.monotonic()) * 1000
            ready = [descriptor for descriptor, _ in self.poll.poll(wait)]
            if 0 in ready:
                data = os.read(0, 1 << 16)
                *lines, held = (held + data).split(b"\n")
                if not data:
                    self.poll.unregister(0)
                for line in lines:
                    if self.hear(*line.decode().split(" ", 1)):
                        return
                if lines:
                    continue
            if not ready:
                self.explain(f"the ranks of this job did not find each other within {self.limit:g} s (--rank-timeout)")
                return self.end(0.0)
            if self.news.socket.fileno() in ready:
                self.read_news()
            if any(descriptor in self.ranks for descriptor in ready):
                # On a busy host the launcher may have killed the others before the lost one is quite gone.
                lost = [one for descriptor, one in self.ranks.items() if descriptor in ready or is_leaving(one[1])]
                self.explain(self.sentence(lost))
                return self.end(GRACE)
            if gone := [self.launchers[descriptor] for descriptor in ready if descriptor in self.launchers]:
                # The ranks can still save together.
                names = " and ".join(f"{name} (process {process})" for name, process in gone)
                self.heard_at.append(self.heard_at.pop(0))  # what ranks print goes nowhere now, or will soon
                were = "was" if len(gone) == 1 else "were"
                say(self.explain(f"{names} of the launcher {were} lost on {os.uname().nodename}"), 1)
                for descriptor in self.ranks:
                    send_signal(descriptor, signal.SIGTERM)
                return self.end(SAVING)

    def hear(self, key: str, text: str = "") -> bool:
        """Take one line; whether it was the last."""
        if key == "hosts":
            word, own, *hosts = text.split()
            self.news.meet(word, int(own), hosts)
        elif key == "ranks":
            n_rank, *places = text.split()
            self.n_rank, self.until = int(n_rank), None
            there = [self.add_rank(*map(int, place.split(":"))) for place in places]
            for place in places:
                self.add_launchers(int(place.split(":")[1]))
            self.files = shared_files(process for _, process in self.ranks.values())
            if not all(there):
                self.explain("a rank was lost before training began")
                self.end(GRACE)
                return True
        elif key == "limit":
            self.limit = float(text)
            self.until = time.monotonic() + self.limit
        elif key in ("silent", "failed"):
            self.quiet, self.until = True, None
            self.news.name()
        elif key in self.facts:
            self.facts[key] = text
        elif key == "done":
            self.quiet = True
            self.end(LEAVING, only_after_kill=True)
        return key in ("done", "dismissed")

    def sentence(self, lost: list[tuple[int, int]]) -> str:
        """The message about the lost (rank, process) pairs."""
        host = os.uname().nodename
        if not self.n_rank:
            return f"a rank (process {lost[0][1]} on {host}) was lost before training began"
        names = " and ".join(f"rank {rank} (process {process} on {host})" for rank, process in lost)
        return f"{names} {'was' if len(lost) == 1 else 'were'} lost"

    @property
    def is_beside_launcher(self) -> bool:
        """Whether the launcher's own process, which the user sees, is on this host."""
        return any(name in HEADS for name, _ in self.launchers.values())

    def read_news(self) -> None:
        """What other hosts have lost: beside the launcher it is named here."""
        self.news.receive()
        if self.news.heard and self.is_beside_launcher:
            self.name(self.news.heard)
            self.news.name()
        self.quiet = self.quiet or self.news.said

    def explain(self, what: str) -> str:
        """Say once why all ends, if no other watcher does; the cause that was found."""
        if self.quiet:
            return self.news.heard or what
        found = self.news.settle(what, self.is_beside_launcher)
        if found:
            self.name(found)
        self.quiet = True
        return found or self.news.heard or what

    def name(self, what: str) -> None:
        """Say why all ends, where nobody has done so."""
        if not self.quiet:
            number = f"all {self.n_rank} ranks" if self.n_rank else "the whole job"
            say(f"error: {what}, so {number} end{'' if self.n_rank else 's'}; {way_on(**self.facts)}", *self.heard_at)
        self.quiet = True

    def end(self, grace: float, only_after_kill: bool = False) -> None:
        """See that the ranks and then the launcher end, and take away what the ranks held in shared memory.

        The launcher may stay where the ranks have ended by themselves and `only_after_kill` says so.
        """
        ours = {one for one, (name, _) in self.launchers.items() if name not in NOT_OURS}
        wires = {one for one in ours if self.launchers[one][0] in CONNECTIONS}
        patient = time.monotonic() + GRACE
        if not self.finish(grace) and only_after_kill:
            return
        for those, number in ((wires, signal.SIGTERM), (ours, signal.SIGTERM), (ours, signal.SIGKILL)):
            if not self.left(ours, max(LEAST, patient - time.monotonic())):
                return
            for descriptor in those:
                send_signal(descriptor, number)

    def finish(self, grace: float) -> bool:
        """See that the ranks end, and take away what they held in shared memory; whether they had to be killed.

        Standard error is let go: launchers wait for it.
        """
        for descriptor in self.heard_at:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        self.files |= shared_files(process for _, process in self.ranks.values())
        killed = self.left(self.ranks, grace)
        if killed:
            for descriptor in self.ranks:
                send_signal(descriptor, signal.SIGKILL)
            self.left(self.ranks, LEAST)
        for name in self.files:
            with contextlib.suppress(OSError):  # it is gone
                os.unlink(name)
        return killed

    def left(self, descriptors: Iterable[int], seconds: float) -> bool:
        """Whether some of these processes are still there after so long."""
        poll, alive, until = select.poll(), set(descriptors), time.monotonic() + seconds
        for descriptor in alive:
            poll.register(descriptor, select.POLLIN)
        while alive:
            for descriptor, _ in poll.poll(max(0.0, until - time.monotonic()) * 1000):
                alive.discard(descriptor)
                poll.unregister(descriptor)
            if time.monotonic() >= until:
                break
        return bool(alive)


def main(process: int) -> None:
    """Watch a rank, in a process that goes on when this one has ended."""
    news = News()
    # Slurm kills the children of what it kills, so the one that watches is nobody's child.
    if child := os.fork():
        os.write(1, b"%d %d\n" % (child, news.port))
        os._exit(0)
    Watch(process, news).run()
