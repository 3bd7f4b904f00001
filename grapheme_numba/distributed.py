"""The ranks of a run: one process here, or many that `mpiexec` started on one host or more.

Only buffers travel (bytes and arrays, never pickles), and always through two meetings of all ranks:
`meet` carries a few bytes from everyone to everyone and is where a failure of one becomes the failure of
all; `exchange` and `spread` move the pieces of a vector. mpi4py is imported only where `mpiexec` started us.
"""

import contextlib
import importlib.util
import os
import time
from collections.abc import Sequence

import numpy as np

from grapheme_numba.errors import GraphemeError, UsageError
from grapheme_numba.launcher import n_announced

PIECE_BYTES = 1 << 28  # broadcast at once: MPI counts elements in 32 bits
PATIENCE = 0.005  # seconds of yielding before a waiting rank begins to sleep
NAP = 2e-4


class Agreed(GraphemeError):
    """The failure of one rank, raised on all. `rank` failed, `exit_code` is its error's."""

    def __init__(self, text: str, exit_code: int, rank: int):
        super().__init__(text)
        self.exit_code, self.rank = exit_code, rank


class Serial:
    """One process alone: every meeting is over at once.

    rank, size : place among the ranks, and their number; host_size : ranks on this host
    broken : whether an error struck where the others cannot hear of it any more
    """

    rank, size, host_rank, host_size, broken = 0, 1, 0, 1, False

    def threads(self) -> int | None:
        """Kernel threads of this rank where none are asked for; None: all cores."""
        return None

    def meet(self, payload: bytes = b"") -> list[bytes]:
        """Every rank's payload, in rank order. Raises Agreed on all when one of them has failed."""
        return [payload]

    def broadcast(self, data: bytes | None) -> bytes:
        """Rank 0's bytes; the others give None."""
        return data


class Ranks:
    """The ranks of an MPI communicator, with the members of `Serial`.

    A rank that waits yields its core and runs Python, so signals are heard; `holding` is a context
    manager under which they only leave a word, because a meeting must not be left half-way.
    """

    def __init__(self, mpi):
        self._mpi, self._world = mpi, mpi.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self._host = self._world.Split_type(mpi.COMM_TYPE_SHARED)
        self.host_rank, self.host_size = self._host.Get_rank(), self._host.Get_size()
        self.holding = contextlib.nullcontext
        self.broken = False

    def threads(self) -> int:
        """This rank's share of the host's cores: those it is bound to, or as many as every rank here gets."""
        return max(1, len(os.sched_getaffinity(0)) // self.host_size)

    def host_processes(self) -> list[tuple[int, int]]:
        """(rank, process id) of the ranks of this host."""
        found = np.empty((self.host_size, 2), np.int64)
        self._wait(self._host.Iallgather(np.array([self.rank, os.getpid()], np.int64), found))
        return [(int(rank), int(process)) for rank, process in found]

    def meet(self, payload: bytes = b"") -> list[bytes]:
        """Every rank's payload, in rank order. Raises Agreed on all when one of them has failed."""
        return self._meet(payload, 0)

    def fail(self, text: str, exit_code: int) -> None:
        """Tell the others, at whatever meeting they come to next. Raises Agreed, as it does there."""
        self._meet(text.encode(), exit_code)

    def _meet(self, payload: bytes, exit_code: int) -> list[bytes]:
        heads = np.empty((self.size, 2), np.int64)
        self._wait(self._world.Iallgather(np.array([exit_code, len(payload)], np.int64), heads))
        ends = np.cumsum(heads[:, 1])
        bodies = np.empty(int(ends[-1]), np.uint8)
        if bodies.size:
            self.spread(np.frombuffer(payload, np.uint8), bodies, heads[:, 1])
        found = [part.tobytes() for part in np.split(bodies, ends[:-1])]
        failed = np.flatnonzero(heads[:, 0])
        if len(failed):
            first = int(failed[0])
            place = f"on rank {first}: " if first else ""
            raise Agreed(place + found[first].decode(), int(heads[first, 0]), first)
        return found

    def broadcast(self, data: bytes | None) -> bytes:
        """Rank 0's bytes; the others give None."""
        size = int(self.meet(b"" if data is None else str(len(data)).encode())[0])
        buffer = np.empty(size, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        for first in range(0, size, PIECE_BYTES):
            self._wait(self._world.Ibcast(buffer[first : first + PIECE_BYTES], 0))
        return buffer.tobytes() if data is None else data

    def exchange(self, send: np.ndarray, send_counts, receive: np.ndarray, receive_counts) -> None:
        """Part i of `send` goes to rank i; part i of `receive` comes from it. Parts follow one another."""
        give, take = parts(send_counts), parts(receive_counts)
        self._wait(self._world.Ialltoallv([send, give], [receive, take]))

    def spread(self, piece: np.ndarray, whole: np.ndarray, counts) -> None:
        """Fill `whole` with every rank's piece, in rank order; `counts` are their sizes."""
        self._wait(self._world.Iallgatherv(piece, [whole, parts(counts)]))

    @contextlib.contextmanager
    def unbroken(self):
        """Around work between two meetings that no rank may leave: an error in here ends the job hard."""
        self.broken = True
        yield
        self.broken = False

    def abort(self, exit_code: int) -> None:
        """End every rank now."""
        self._world.Abort(exit_code)

    def _wait(self, request) -> None:
        # Spinning inside MPI would starve the ranks that share the core, and Python's signal handlers.
        with self.holding():
            until = None
            while not request.Test():
                if until is None:
                    until = time.monotonic() + PATIENCE
                elif time.monotonic() > until:
                    time.sleep(NAP)
                os.sched_yield()


def parts(counts) -> tuple[Sequence[int], Sequence[int]]:
    """(counts, displacements) of parts that follow one another."""
    ends = np.cumsum(counts)
    return [int(count) for count in counts], [int(end - count) for end, count in zip(ends, counts, strict=True)]


def join():
    """The communicator of this process. Without a launcher, or with one rank, nothing is imported.

    Raises UsageError where several ranks were started but cannot find each other.
    """
    expected = n_announced()
    if expected is None or expected == 1:
        return Serial()
    if importlib.util.find_spec("mpi4py") is None:
        raise UsageError(
            "several ranks were started, but mpi4py is not installed; pip install 'grapheme-numba[mpi]' on every host"
        )
    import mpi4py

    mpi4py.rc.thread_level = "funneled"  # only the main thread communicates
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"mpi4py finds no MPI library: {error}; install one, as with pip install mpich") from None
    size = MPI.COMM_WORLD.Get_size()
    if expected and size != expected:
        raise UsageError(
            f"the launcher started {expected} ranks, but the MPI library sees {size}: they are of different MPIs; "
            "use the mpiexec that belongs to the library of mpi4py"
        )
    return Ranks(MPI) if size > 1 else Serial()
