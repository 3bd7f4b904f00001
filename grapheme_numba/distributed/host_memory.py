"""Memory that the ranks of a host share: MPI-3 windows, one for each array."""

import math
import os

import numpy as np

PLACE = "/dev/shm"
LINE = 64  # bytes of a cache line


class HostMemory:
    """The shared arrays of the ranks of communicator `host`, of the MPI library `mpi`."""

    def __init__(self, mpi, host):
        self._mpi, self._host = mpi, host
        self._windows, self._held = [], {}

    def array(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
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
