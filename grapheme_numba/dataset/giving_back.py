"""Freed memory back to the system: both allocators keep large pieces for a next time that may never come."""

import ctypes

import pyarrow as pa

LARGE = 8 << 20  # bytes of one block or row group, after which memory is given back: ordinary ones are half of it
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU library; elsewhere Arrow's part alone


def give_back() -> None:
    """Return what the heap and Arrow's pool hold unused.

    A millisecond after a large block. 12 lines of a million numbers: 514 MB without it. A fixed threshold for
    `mmap` (`mallopt`) does as much, but for the whole program, whose other parts want their memory kept.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)
