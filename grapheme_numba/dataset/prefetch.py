"""Work done ahead in a thread, so that the kernels of the training step never wait for the disk."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue


def ahead(items: Iterator, depth: int) -> Iterator:
    """The items of an iterator, up to `depth` of them made in advance by a thread.

    An exception of the iterator is raised here, in its place. The thread ends when this generator is
    closed or collected.
    """
    queue, stop = Queue(depth), threading.Event()

    def put(entry) -> bool:
        while not stop.is_set():
            try:
                queue.put(entry, timeout=0.1)
                return True
            except Full:
                continue
        return False

    def work():
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # handed to the consumer, whatever it is
            put((None, error))

    thread = threading.Thread(target=work, name="grapheme-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stop.set()
        while True:
            try:
                queue.get_nowait()
            except Empty:
                break
        thread.join()
