"""Large pieces of work one at a time, and what they freed back to the system.

Both allocators keep large pieces for a next time that may never come.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

import pyarrow as pa

LARGE = 8 << 20  # bytes of one block or row group, after which memory is given back: ordinary ones are half of it
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU library; elsewhere Arrow's part alone


def release_memory() -> None:
    """Return what the heap and Arrow's pool hold unused.

    A millisecond after a large block. 12 lines of a million numbers: 514 MB without it. A fixed threshold for
    `mmap` (`mallopt`) does as much, but for the whole program, whose other parts want their memory kept.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


_one = threading.RLock()


@contextlib.contextmanager
def exclusive_if_large(n_byte: int) -> Iterator[None]:
    """Around work on a line, block or row group of so many bytes, which takes several times as much.

    Where that is LARGE, other such work waits, and memory is given back at the end: threads that make objects of
    lines of 16 MB, and one that writes such a row, took 600 MB together. Lines wait for the interpreter anyway.
    """
    if n_byte <= LARGE:
        yield
        return
    with _one:
        try:
            yield
        finally:
            release_memory()
