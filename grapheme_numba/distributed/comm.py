"""The ranks of a run: one process here, or many that `mpiexec` started on one host or more.

Only buffers travel (bytes and arrays, never pickles). `all_gather` carries a few bytes from everyone to everyone
and is where a failure of one becomes the failure of all. Vectors lie in memory that the ranks of a host
share (MPI-3 windows), so within a host nothing travels at all: `barrier` waits until all have written. Between
hosts the i-th ranks of all of them exchange pieces along a rail of their own.
mpi4py is imported only where `mpiexec` started us.
"""

import contextlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.distributed.host import Cores, HostMemory, own_mask
from grapheme_numba.distributed.launcher import is_open_mpi, lacks_mpi, n_announced
from grapheme_numba.distributed.roll_call import RanksSilent, RollCall
from grapheme_numba.distributed.watcher import way_on
from grapheme_numba.errors import GraphemeError, UsageError

PIECE_BYTES = 1 << 28  # broadcast at once: MPI counts elements in 32 bits
PATIENCE = 0.005  # seconds of yielding before a waiting rank begins to sleep
NAP = 5e-5
LONG, LONG_NAP = 1.0, 1e-3  # after so many seconds of waiting it sleeps longer at a time
NAME_BYTES = 64  # of a host's name
SHORT = 4096, 1024  # bytes that travel at the first exchange of `all_gather`, for up to 16 ranks and for more
HEAD = 24  # bytes before them: exit code, length, whether an exchange has begun
ALONE = Cores(np.ones((1, 1), np.uint8), 0)
Parts = tuple[Sequence[int], Sequence[int]]  # counts and displacements


class RankFailed(GraphemeError):
    """The failure of one rank, raised on all. `rank` failed, `exit_code` is its error's."""

    def __init__(self, text: str, exit_code: int, rank: int) -> None:
        super().__init__(text)
        self.exit_code, self.rank = exit_code, rank


class Serial:
    """One process alone: every collective operation is over at once.

    rank, size : place among the ranks, and their number; host_rank, host_size : the same on this host
    host, hosts : number of this host, and the ranks of each; n_rail : ranks that every host has at least
    broken : whether an error struck where the others can no longer learn of it
    """

    rank, size, host_rank, host_size, broken = 0, 1, 0, 1, False
    host, n_rail = 0, 1
    hosts: Sequence[Sequence[int]] = [[0]]
    unbroken: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    why: Callable[[], str] = str

    def limit_waiting(self, seconds: float) -> None:
        """How long ranks may wait for others."""

    def working(self, doing: str) -> AbstractContextManager[None]:
        """Around long work between two collective operations: the others learn that it goes on."""
        return contextlib.nullcontext()

    def use_cores(self, n_thread: int | None) -> int | None:
        """Kernel threads of this rank where `n_thread` are requested; None: all cores."""
        return n_thread

    def all_gather(self, payload: bytes = b"", doing: str = "") -> list[bytes]:
        """Every rank's payload, in rank order. `doing` says what others may have to do first that takes long.

        Raises RankFailed on all when one of them has failed, RanksSilent when one does not come.
        """
        return [payload]

    def broadcast(self, data: bytes | None, doing: str = "") -> bytes:
        """Rank 0's bytes; the others give None. `doing` as for `all_gather`."""
        return b"" if data is None else data

    def reserve(self, n_byte: int) -> None:
        """Before `memory` of so many bytes."""

    def memory(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array, not set, that all ranks of this host see and write. The next of this name may take its place."""
        from grapheme_numba.network.execution_plan import (
            aligned_empty,  # it brings the kernels, and signals are not heard yet
        )

        return aligned_empty(shape, dtype)

    def barrier(self) -> None:
        """Go on when all ranks of this host are here; each then sees what the others wrote before."""


class Ranks:
    """The ranks of an MPI communicator, with the members of `Serial`.

    A rank that waits yields its core and runs Python, so signals are heard; `holding` is a context
    manager under which they only set a flag, because a collective operation must not be left half-way.
    """

    def __init__(self, mpi: Any) -> None:  # the module mpi4py.MPI
        self._mpi, self._world = mpi, mpi.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()
        self.holding: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        self.report: Callable[[str], None] = lambda line: None  # to the process that watches the ranks
        self.why: Callable[[], str] = lambda: ""  # that process sent SIGTERM
        self.goes_on_with: tuple[str, str] = "", ""  # folder of the run, command that resumes it
        self.broken, self.cores = False, ALONE
        self.post: Callable[[], Any] | None = None  # gives the request of the exchange that `begin` begins
        self._under_way: Any = None  # its request
        self._row = np.zeros(HEAD + SHORT[self.size > 16], np.uint8)
        self._rows = np.zeros((self.size, self._row.size), np.uint8)
        name = np.frombuffer(os.uname().nodename.encode()[:NAME_BYTES].ljust(NAME_BYTES, b"\0"), np.uint8)
        names = np.empty((self.size, NAME_BYTES), np.uint8)
        self._world.Allgather(name, names)  # the first meeting: the process that watches limits it
        self.host_names = [one.tobytes().rstrip(b"\0").decode(errors="replace") for one in names]
        self.roll = RollCall(mpi, self._world.Dup(), self.host_names)
        self._settle_down(self._world.Split_type(mpi.COMM_TYPE_SHARED))
        masks = np.empty((self.host_size, len(mine := own_mask())), np.uint8)
        self._wait(self._host.Iallgather(mine, masks))
        self.cores = Cores(masks, self.host_rank)

    def _settle_down(self, host: Any) -> None:
        """Learn who shares memory with whom."""
        self._host, self._shared = host, HostMemory(self._mpi, host)
        self.host_rank, self.host_size = host.Get_rank(), host.Get_size()
        first = np.array([self.rank], np.int64)
        self._wait(host.Ibcast(first, 0))
        firsts = np.empty(self.size, np.int64)
        self._wait(self._world.Iallgather(first, firsts))
        self.hosts = [np.flatnonzero(firsts == one).tolist() for one in np.unique(firsts)]
        self.host = next(i for i, ranks in enumerate(self.hosts) if self.rank in ranks)
        self.n_rail = min(map(len, self.hosts))
        on_rail = self.host_rank < self.n_rail
        self._wait(self._world.Ibarrier())  # a call that blocks has no limit, so all have to be there before it
        self._rail = self._world.Split(self.host_rank if on_rail else self._mpi.UNDEFINED, self.host)

    def limit_waiting(self, seconds: float) -> None:
        """How long ranks may wait for others; then all end with RanksSilent."""
        self.roll.limit = seconds

    def working(self, doing: str) -> AbstractContextManager[None]:
        """Around long work between two collective operations: the others learn that it goes on."""
        return self.roll.working(doing)

    def use_cores(self, n_thread: int | None) -> int:
        """This rank's kernel threads: `n_thread`, or as many as its share of the host's cores, to which it is bound."""
        return self.cores.use(n_thread)

    def host_processes(self, own: int) -> list[tuple[int, int, int]]:
        """(rank, process, watching process) of the ranks of this host; `own` watches this one."""
        found = np.empty((self.host_size, 3), np.int64)
        self._wait(self._host.Iallgather(np.array([self.rank, os.getpid(), own], np.int64), found))
        return [(int(rank), int(process), int(watcher)) for rank, process, watcher in found]

    def all_gather(self, payload: bytes = b"", doing: str = "") -> list[bytes]:
        """Every rank's payload, in rank order. `doing` says what others may have to do first that takes long.

        Raises RankFailed on all when one of them has failed, RanksSilent when one does not come.
        """
        return self._all_gather(payload, 0, doing)

    def fail(self, text: str, exit_code: int) -> None:
        """Fail on all ranks, each at its next collective operation. Raises RankFailed, as it does there."""
        self._all_gather(text.encode(), exit_code)

    def _all_gather(self, payload: bytes, exit_code: int, doing: str = "") -> list[bytes]:
        row, rows = self._row, self._rows
        head = row[:HEAD].view(np.int64)
        head[:] = exit_code, len(payload), self._under_way is not None
        part = payload[: row.size - HEAD]
        row[HEAD : HEAD + len(part)] = np.frombuffer(part, np.uint8)
        self._wait(self._world.Iallgather(row, rows), doing)
        codes, lengths, begun = rows[:, :HEAD].copy().view(np.int64).T
        if begun.any():
            self._complete()
        if lengths.max() <= row.size - HEAD:
            found = [one[HEAD : HEAD + length].tobytes() for one, length in zip(rows, lengths, strict=True)]
        else:
            ends = np.cumsum(lengths)
            bodies = np.empty(int(ends[-1]), np.uint8)
            self._wait(self._world.Iallgatherv(np.frombuffer(payload, np.uint8), [bodies, parts(lengths)]))
            found = [one.tobytes() for one in np.split(bodies, ends[:-1])]
        failed = np.flatnonzero(codes)
        if len(failed):
            first = int(failed[0])
            place = f"on rank {first}: " if first else ""
            raise RankFailed(place + found[first].decode(), int(codes[first]), first)
        return found

    def broadcast(self, data: bytes | None, doing: str = "") -> bytes:
        """Rank 0's bytes; the others give None. `doing` as for `all_gather`."""
        size = int(self.all_gather(b"" if data is None else str(len(data)).encode(), doing)[0])
        buffer = np.empty(size, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        for first in range(0, size, PIECE_BYTES):
            self._wait(self._world.Ibcast(buffer[first : first + PIECE_BYTES], 0))
        return buffer.tobytes() if data is None else data

    def reserve(self, n_byte: int) -> None:
        """Collective, before `memory`: where a host cannot share so much, every rank becomes a host of its own."""
        short = self.host_rank == 0 and self.host_size > 1 and self._shared.room() < n_byte
        if any(self.all_gather(b"short" if short else b"")):
            self._settle_down(self._mpi.COMM_SELF)

    def memory(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array, not set, that all ranks of this host see and write. Collective, after `reserve`.

        The next array of the same name may take its place.
        """
        self._wait(self._host.Ibarrier())
        return self._shared.array(name, shape, dtype)

    def barrier(self) -> None:
        """Go on when all ranks of this host are here; each then sees what the others wrote before."""
        self._shared.fence()
        self._wait(self._host.Ibarrier())
        self._shared.fence()

    def exchange(
        self, send: npt.NDArray[Any], send_parts: Parts, receive: npt.NDArray[Any], receive_parts: Parts
    ) -> None:
        """Along the rail: parts (counts, displacements) of `send` go to the hosts, those of `receive` come in."""
        self._wait(self.post_exchange(send, send_parts, receive, receive_parts))

    def post_exchange(
        self, send: npt.NDArray[Any], send_parts: Parts, receive: npt.NDArray[Any], receive_parts: Parts
    ) -> Any:
        """`exchange`, begun: its request."""
        return self._rail.Ialltoallv([send, send_parts], [receive, receive_parts])

    def begin(self) -> None:
        """Begin the exchange `post`, for the next `all_gather` to complete.

        A rank that has failed posts it as well: the others have begun, and MPI waits for all.
        """
        self._under_way = self.post and self.post()

    def _complete(self) -> None:
        if self._under_way is None:
            self.begin()
        request, self._under_way = self._under_way, None
        self._wait(request)

    def spread(self, whole: npt.NDArray[Any], bounds: Sequence[int]) -> None:
        """Along the rail: fill `whole`, of which host i has the elements bounds[i] : bounds[i + 1]."""
        counts = np.diff(bounds)
        place = counts.tolist(), [int(first) for first in bounds[:-1]]
        self._wait(self._rail.Iallgatherv(self._mpi.IN_PLACE, [whole, place]))

    def part(self) -> None:
        """Meet for the last time: the MPI library would wait for all ranks without a limit."""
        self._wait(self._world.Ibarrier())
        self.roll.forget()

    def announce(self, folder: str, command: str) -> None:
        """The run's folder and the command that resumes it, for what is said when a rank is lost."""
        self.goes_on_with = folder, command
        self.report(f"folder {folder}")
        self.report(f"command {command}")

    def way_on(self) -> str:
        """How the run goes on after its ranks have ended."""
        return way_on(*self.goes_on_with)

    @contextlib.contextmanager
    def unbroken(self) -> Iterator[None]:
        """Around work between two collective operations that no rank may leave: an error in here ends the job hard."""
        self.broken = True
        yield
        self.broken = False

    def abort(self, exit_code: int) -> None:
        """End every rank now."""
        self._world.Abort(exit_code)

    def _wait(self, request: Any, doing: str = "") -> None:
        # Spinning inside MPI would starve the ranks that share the core, and Python's signal handlers.
        try:
            if request.Test():
                return
            with self.holding():
                began = now = time.monotonic()
                until, call = began + (0 if self.cores.crowded else PATIENCE), began + self.roll.call_after
                while not request.Test():
                    if (now := time.monotonic()) > until:
                        if now > call:
                            self.roll.call(began, now, doing)
                        time.sleep(NAP if now < began + LONG else LONG_NAP)
                    os.sched_yield()
                if now > call:
                    self.roll.over(now)
        except self._mpi.Exception as error:
            raise RanksSilent(f"the connection to another rank was lost (MPI says: {error})") from None


def parts(counts: npt.NDArray[np.int64]) -> Parts:
    """(counts, displacements) of parts that follow one another."""
    ends = np.cumsum(counts)
    return [int(count) for count in counts], [int(end - count) for end, count in zip(ends, counts, strict=True)]


def join() -> Serial | Ranks:
    """The communicator of this process. Without a launcher, or with one rank, nothing is imported.

    Raises UsageError where several ranks were started but cannot find each other.
    """
    expected = n_announced()
    if expected is None or expected == 1:
        return Serial()
    if lacks_mpi():
        raise UsageError(
            f"srun started {expected} processes that cannot find each other; add --mpi=pmi2, or another of "
            "srun --mpi=list for which the MPI library was built"
        )
    if importlib.util.find_spec("mpi4py") is None:
        raise UsageError(
            "several ranks were started, but mpi4py is not installed; pip install '.[mpi]' in a clone on every host"
        )
    if is_open_mpi():
        # Open MPI gives each rank a terminal, for which Numba's colours end with an escape, also in a pipe.
        os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")
        # With several libraries there mpi4py takes MPICH's, which ends the process in a launch of Open MPI.
        os.environ.setdefault("MPI4PY_MPIABI", "openmpi")
    import mpi4py

    mpi4py.rc.thread_level = "funneled"  # only the main thread communicates
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if is_open_mpi():
            raise UsageError(
                f"Open MPI's launcher started {expected} ranks, but mpi4py does not find its library ({error}); use "
                "the mpiexec of the library that is there, or install Open MPI's where MPI4PY_LIBMPI names it"
            ) from None
        raise UsageError(f"mpi4py finds no MPI library: {error}; install one, as with pip install mpich") from None
    size = MPI.COMM_WORLD.Get_size()
    if expected and size != expected:
        raise UsageError(
            f"the launcher started {expected} ranks, but the MPI library sees {size}: they are of different MPIs; "
            "use the mpiexec that belongs to the library of mpi4py, or name its library with MPI4PY_MPIABI=mpich or "
            "MPI4PY_MPIABI=openmpi (with srun, another --mpi)"
        )
    return Ranks(MPI) if size > 1 else Serial()
