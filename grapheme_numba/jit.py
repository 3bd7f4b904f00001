"""How kernels are compiled: the flag sets, the cache folder, the threading layer and the threads.

Import this before anything that imports Numba: the cache folder has to be known when Numba starts.
"""

import ctypes
import os
import sys
from pathlib import Path

from grapheme_numba.files import kernel_cache, locks


def _preload_tbb() -> None:
    """Load the tbb wheel's library, which lies in <prefix>/lib, where no system loader looks.

    With it a parallel region costs 2 microseconds; GNU OpenMP costs 3 to 12 and aborts forked children.
    """
    library = Path(sys.prefix) / "lib" / "libtbb.so.12"
    if library.exists():
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError:
            return  # Numba falls back to omp, and `threading_layer` says so.


if "NUMBA_CACHE_DIR" not in os.environ:
    _sources = [Path(__file__), *sorted((Path(__file__).parent / "kernels").rglob("*.py"))]
    os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache.choose(_sources))
kernel_cache.make_or_refuse(Path(os.environ["NUMBA_CACHE_DIR"]))
_preload_tbb()

import numba  # noqa: E402
from numba.core.caching import IndexDataCacheFile  # noqa: E402


def _lock_cache_saves() -> None:
    """Let one process at a time save a compiled kernel.

    Numba reads its index, takes the next free file name, and writes index and code without a lock: two
    processes that compile different signatures of one kernel take the same name, and then float32 calls
    run float64 code for good (3 processes saving 100 entries each: 11 wrong, 30 lost; none with the lock,
    `test_concurrent_compilers_keep_the_cache_right`).
    """
    save = IndexDataCacheFile.save

    def locked_save(self, key, data):
        with locks.exclusive(Path(self._cache_path) / "save.lock"):
            save(self, key, data)

    IndexDataCacheFile.save = locked_save


_lock_cache_saves()

# No fast-math: the same source must give the same bits in every kernel it is inlined into, so nothing
# may be reassociated or contracted behind our back (and `isnan` must survive). Kernels that want fused
# multiply-adds or several partial sums say so themselves (`kernels/engine/simd.py`, fixed-chunk sums).
SERIAL = {"cache": True, "error_model": "numpy", "nogil": True}
PARALLEL = {**SERIAL, "parallel": True}
# For sums over one fixed chunk, in one serial function of their own: several partial sums side by side
# (8 times as fast), in an order that depends on the chunk's length alone.
SUMS = {**SERIAL, "fastmath": {"reassoc", "nsz"}}
# For functions whose arguments are vectors: a call would pass them through memory.
INLINE = {**SERIAL, "forceinline": True}
# For kernels that take many arrays through many small functions and allocate none: no reference counts, whose
# atomic adds cost half of the time (encoding a row: 300 ns instead of 600; scanning JSON: 660 MB/s instead of 420).
BORROWED = {**SERIAL, "_nrt": False}
BORROWED_INLINE = {**INLINE, "_nrt": False}


def cache_in_use() -> bool:
    """Whether the cache folder holds any compiled kernel."""
    return any(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi"))


def set_threads(n_thread: int | None) -> int:
    """Set the number of kernel threads (None: all cores this process may use); return it."""
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(most if n_thread is None else max(1, min(int(n_thread), most)))
    return numba.get_num_threads()


def n_threads() -> int:
    """The number of threads the next kernel call uses."""
    return numba.get_num_threads()


def threading_layer() -> str:
    """The threading layer in use (tbb, omp or workqueue); only known after the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return "not started"
