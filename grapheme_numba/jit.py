"""How kernels are compiled: the flag sets, the cache folder and the threads, in one place.

Import this before anything that imports Numba: the cache folder has to be known when Numba starts.
"""

import os
from pathlib import Path

if "NUMBA_CACHE_DIR" not in os.environ:
    # Numba's cache is pickle, so it must live where only this user can write.
    _folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grapheme_numba"
    _folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)

import numba

# Sums may be reordered inside one thread's loop and products fused into fma: the same binary gives
# the same bits. Left out on purpose: `nnan` and `ninf` (isnan would be compiled away) and `arcp`
# and `afn` (a vector body and its scalar remainder could then differ in the last bit).
FASTMATH = {"nsz", "contract", "reassoc"}

SERIAL = {"cache": True, "fastmath": FASTMATH, "error_model": "numpy", "nogil": True}
PARALLEL = {**SERIAL, "parallel": True}


def set_threads(n_thread: int | None) -> int:
    """Set the number of kernel threads (None: all cores this process may use); return it."""
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(most if n_thread is None else max(1, min(int(n_thread), most)))
    return numba.get_num_threads()


def n_threads() -> int:
    """The number of threads the next kernel call uses."""
    return numba.get_num_threads()
