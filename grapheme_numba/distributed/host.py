"""The cores of a host, dealt out to the ranks that share it.

Memory that the ranks of a host share: MPI-3 windows, one for each array.
"""

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt


def own_mask() -> npt.NDArray[np.uint8]:
    """(cores of the host,) uint8: 1 for those that this process may use."""
    allowed = os.sched_getaffinity(0)
    mask = np.zeros(max(os.cpu_count() or 1, max(allowed) + 1), np.uint8)
    mask[list(allowed)] = 1
    return mask


class Cores:
    """A rank's share of the cores of its host.

    Parameters
    ----------
    masks : (n_rank, n_core) uint8
        `own_mask` of every rank of the host.
    index : int
        This rank's row.

    Attributes
    ----------
    n : int
        Threads that keep this rank's share busy, at least 1.
    bound : bool
        Whether the launcher gave the ranks different cores: then they stay where they are.
    crowded : bool
        Whether ranks have to share cores. A rank that waits then has to sleep, for a core that spins is
        another's loss.
    """

    def __init__(self, masks: npt.NDArray[np.uint8], index: int) -> None:
        mine = np.flatnonzero(masks[index])
        self.bound = bool((masks != masks[0]).any())
        # A core that k ranks may use counts as 1/k, whatever the launcher's masks look like.
        share = (1.0 / masks.sum(axis=0)[mine]).sum()
        self.n, self.crowded = max(1, int(share + 1e-9)), bool(share < 1 - 1e-9)
        self._own = mine[index * self.n : (index + 1) * self.n]
        self._binds = len(masks) > 1 and not (self.bound or self.crowded)

    def use(self, n_thread: int | None) -> int:
        """Kernel threads of this rank. Without a number it is bound to its share from here on.

        `n_thread` threads are left to the operating system: who names a number may have reasons.
        """
        if n_thread is not None:
            return n_thread
        if self._binds:
            os.sched_setaffinity(0, self._own.tolist())
        return self.n

    def note(self, n_thread: int | None) -> str:
        """The remark after the number of threads."""
        if self.crowded:
            return ", more than it has cores: expect every collective operation to wait for the scheduler"
        if self.bound:
            return ", where the launcher has bound them"
        return ", bound to cores of their own" if self._binds and n_thread is None else ""


PLACE = "/dev/shm"
LINE = 64  # bytes of a cache line


class HostMemory:
    """The shared arrays of the ranks of communicator `host`, of the MPI library `mpi`."""

    def __init__(self, mpi: Any, host: Any) -> None:  # mpi4py is there on ranks alone
        self._mpi, self._host = mpi, host
        self._windows: list[Any] = []
        self._held: dict[str, npt.NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array, not set, that starts on a cache line. All ranks of the host request it at the same point.

        The next array of the same name lies in the same place where that is large enough.
        """
        dtype = np.dtype(dtype)
        n, held = math.prod(shape) * dtype.itemsize, self._held.get(name)
        if held is None or len(held) < n:
            first = self._host.Get_rank() == 0
            window = self._mpi.Win.Allocate_shared(n + LINE if first else 0, 1, comm=self._host)
            window.Lock_all(self._mpi.MODE_NOCHECK)
            self._windows.append(window)
            whole = np.frombuffer(window.Shared_query(0)[0], np.uint8)
            held = self._held[name] = whole[-whole.ctypes.data % LINE :]  # of a page, so it is the same for all
        return held[:n].view(dtype).reshape(shape)

    def fence(self) -> None:
        """Let the others see what was written here, after the next barrier; and see what they wrote."""
        self._windows[0].Sync()

    @staticmethod
    def room() -> float:
        """Bytes that this host can still share; in a container often only 64 MiB."""
        try:
            found = os.statvfs(PLACE)
        except OSError:
            return math.inf  # no Linux: the library knows
        return found.f_bavail * found.f_frsize
