"""Work in threads: ahead of the kernels, which never wait for the disk, and large pieces one at a time.

Both allocators keep large pieces for a next time that may never come; so after large work memory is given back.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, Full, Queue
from typing import TypeVar, cast

import pyarrow as pa

MOST_WORKERS = 4
LARGE = 8 << 20  # bytes of one block or row group, after which memory is given back: ordinary ones are half of it
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of the GNU library; elsewhere Arrow's part alone
_one = threading.RLock()

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(work: Callable[[Item], Result], items: Iterable[Item], depth: int) -> Iterator[Result]:
    """work(item) for each item, in the items' order, up to `depth` and a few of them done in advance.

    One thread draws the items, one for each core works on them. 0 does everything in the caller's thread, as is
    done with the first item in any case: the caller has nothing else to do, and hands over to nobody.
    """
    drawn = iter(items)
    if depth == 0:
        yield from map(work, drawn)
        return
    try:
        first = work(next(drawn))
    except StopIteration:
        return
    workers = min(len(os.sched_getaffinity(0)), MOST_WORKERS)
    with ThreadPoolExecutor(workers, "grapheme-encode") as pool:
        # Handed to the pool where they are drawn: so they are worked on while the caller has the first.
        waiting = ahead((pool.submit(work, item) for item in drawn), workers + depth)
        try:
            yield first
            del first
            for future in waiting:
                yield future.result()
        finally:
            waiting.close()
            pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """The items, up to `depth` of them made in advance by a thread.

    An exception of the iterator is raised here, in its place. The thread starts at once, and ends when this
    generator is closed or collected.
    """
    queue: Queue[tuple[Item | None, BaseException | None]] = Queue(depth)
    stop = threading.Event()

    def put(entry: tuple[Item | None, BaseException | None]) -> bool:
        while not stop.is_set():
            try:
                queue.put(entry, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # handed to the consumer, whatever it is
            put((None, error))

    thread = threading.Thread(target=work, name="grapheme-prefetch", daemon=True)
    thread.start()
    made = _handed_over(queue, stop, thread)
    next(made)  # from here on `close` ends the thread
    return made


def _handed_over(
    queue: Queue[tuple[Item | None, BaseException | None]], stop: threading.Event, thread: threading.Thread
) -> Generator[Item, None, None]:
    """Nothing at first, then what the thread puts into the queue."""
    try:
        yield cast(Item, None)
        while True:
            item, error = queue.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield cast(Item, item)
    finally:
        stop.set()
        while True:
            try:
                queue.get_nowait()
            except Empty:
                break
        thread.join()


def release_memory() -> None:
    """Return what the heap and Arrow's pool hold unused.

    A millisecond after a large block. 12 lines of a million numbers: 514 MB without it. A fixed threshold for
    `mmap` (`mallopt`) does as much, but for the whole program, whose other parts want their memory kept.
    """
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


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
