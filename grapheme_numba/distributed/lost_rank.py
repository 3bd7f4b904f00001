"""A small process beside the ranks of a host that reports which of them was lost, when the launcher ends all the rest.

Launchers kill the others at once and without a helpful message. This one is not among those they kill. It
reads lines from its standard input: `folder PATH`, `command TEXT`, and `done` when all is well.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from grapheme_numba.distributed.comm import Ranks

GRACE = 5.0  # seconds that the launcher has to end the others before we do
PF_EXITING = 4  # among the kernel's flags of a process
WHOLE = ("checkpoint_last/manifest.json", "checkpoint_best/manifest.json")


class LostRankReporter:
    """Starts that process on the lowest rank of every host, and sends it what it needs to know.

    Used as a context manager around all that a rank does.
    """

    def __init__(self, comm: "Ranks") -> None:
        self._process: subprocess.Popen[bytes] | None = None
        processes = comm.host_processes()
        if comm.host_rank == 0 and hasattr(os, "pidfd_open"):
            places = [f"{rank}:{process}" for rank, process in processes]
            program = [sys.executable, "-I", "-S", __file__, str(comm.size), *places]
            given: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "start_new_session": True}
            self._process = subprocess.Popen(program, **given)

    def send(self, line: str) -> None:
        """Send one line."""
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(line.encode() + b"\n")
                self._process.stdin.flush()
            except OSError:
                self._process = None  # it is gone; the run does not depend on it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send("done")
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait()


def watch(n_rank: int, places: dict[int, int]) -> None:
    """Wait until a process of `places` (process -> rank) ends or standard input says `done`."""
    facts = {"folder": "", "command": ""}
    ranks = {os.pidfd_open(process): (rank, process) for process, rank in places.items()}
    files = shared_files(places)
    poll = select.poll()
    for descriptor in (0, *ranks):
        poll.register(descriptor, select.POLLIN)
    held = b""
    while True:
        ready = [descriptor for descriptor, _ in poll.poll()]
        if 0 in ready:
            data = os.read(0, 1 << 16)
            *lines, held = (held + data).split(b"\n")
            for key, _, text in (line.decode().partition(" ") for line in lines):
                if key == "done":
                    return
                facts[key] = text
            if not data:
                poll.unregister(0)
            if lines:
                continue
        if any(descriptor in ranks for descriptor in ready):
            # On a busy host the launcher may have killed the others before the lost one is quite gone.
            lost = [one for descriptor, one in ranks.items() if descriptor in ready or is_leaving(one[1])]
            os.write(2, sentence(lost, n_rank, **facts).encode() + b"\n")
            end(poll, ranks)
            return remove(files)


def is_leaving(process: int) -> bool:
    """Whether a process is on its way out."""
    try:
        with open(f"/proc/{process}/stat") as file:
            state, *numbers = file.read().rpartition(")")[2].split()
    except OSError:
        return True
    return state in "ZX" or bool(int(numbers[5]) & PF_EXITING)


def sentence(lost: list[tuple[int, int]], n_rank: int, folder: str, command: str) -> str:
    """The message about the lost (rank, process) pairs."""
    names = " and ".join(f"rank {rank} (process {process} on {os.uname().nodename})" for rank, process in lost)
    text = f"error: {names} {'was' if len(lost) == 1 else 'were'} lost, so all {n_rank} ranks end; "
    if any(os.path.exists(os.path.join(folder, name)) for name in WHOLE):
        return text + f"resume from {folder}/checkpoint_last with: mpiexec -n {n_rank} {command}"
    return text + "there is no checkpoint yet, so start the same command again"


def end(poll: "select.poll", ranks: Iterable[int]) -> None:
    """Kill what the launcher has left alive after GRACE seconds."""
    alive = set(ranks)
    wait = GRACE
    while alive and wait > 0:
        for descriptor, _ in poll.poll(0):
            if descriptor in alive:
                alive.remove(descriptor)
                poll.unregister(descriptor)
        if alive:
            select.select([], [], [], 0.1)
            wait -= 0.1
    for descriptor in alive:
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        except OSError:
            continue  # it has just ended


def shared_files(processes: Iterable[int]) -> set[str]:
    """What MPICH keeps in shared memory under a name for these processes, and only takes away when all end well."""
    found = set()
    for process in processes:
        with open(f"/proc/{process}/maps") as file:
            names = (line.rstrip("\n").partition("/dev/shm/")[2] for line in file)
            found |= {f"/dev/shm/{name}" for name in names if name.startswith("mpich_shm_") and " " not in name}
    return found


def remove(files: set[str]) -> None:
    """Take them away."""
    for name in files:
        try:
            os.unlink(name)
        except OSError:
            continue  # it is gone


if __name__ == "__main__":
    try:
        watch(int(sys.argv[1]), {int(place.split(":")[1]): int(place.split(":")[0]) for place in sys.argv[2:]})
    except (ProcessLookupError, FileNotFoundError):
        sys.exit("error: a rank was lost before training began; start the same command again")
