"""Blocks parsed by several threads, with their order kept and a bounded number of them in memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from grapheme_numba.data.jsonl.lines import Block, Parsed, parse_line_by_line, read_blocks
from grapheme_numba.data.records import Limits

# Below this the reference parser alone is faster than loading (0.5 s) or compiling (10 s) the scanner.
SMALL_BYTES = 8 << 20
# The scanner takes metadata that is nested 16 deep, inside a record; with a lower limit the reference parser counts.
SCANNED_DEPTH = 18
AHEAD = 2  # blocks that wait, for each thread
AHEAD_BYTES = 24 << 20  # and what they may hold together, unless it is one long line


def parsed_blocks(
    sources: Iterable[str],
    limits: Limits,
    threads: int | None = None,
    total: int = 0,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[Parsed]:
    """The rows and rejects of all blocks of the sources, in order.

    total : bytes of all sources, 0 if unknown; progress : called with (bytes read, total)
    note : called with a sentence when the scanner has to be compiled first
    """
    threads = threads or len(os.sched_getaffinity(0))
    scanned, done = 0, 0
    slow = limits.depth < SCANNED_DEPTH
    with ThreadPoolExecutor(threads, "grapheme-parse") as pool:
        waiting: deque[tuple[Future[Parsed], int, int]] = deque()  # with bytes read, and bytes of the block
        held = 0

        def next_parsed() -> Parsed:
            nonlocal held
            future, read, size = waiting.popleft()
            parsed = future.result()
            held -= size
            if progress is not None:
                progress(read, total)
            return parsed

        try:
            for source in sources:
                read = 0
                for block in read_blocks(source, limits.line_bytes):
                    small = slow or (total < SMALL_BYTES and scanned < SMALL_BYTES)
                    size = len(block.data)
                    while waiting and (held + size > AHEAD_BYTES or len(waiting) > AHEAD * threads):
                        yield next_parsed()
                    scanned, read, held = scanned + size, block.read, held + size
                    if not small and note is not None and not _scanner_is_compiled():
                        note("compiling the parser, once on this machine; it takes some seconds")
                        note = None
                    waiting.append(
                        (pool.submit(parse_line_by_line if small else _scan, block, limits), done + read, size)
                    )
                    del block  # the thread that parses it has it; it goes before the next is read
                done += read
            while waiting:
                yield next_parsed()
        finally:
            for future, *_ in waiting:
                future.cancel()


def _scanner_is_compiled() -> bool:
    """Whether Numba's cache holds the scanner."""
    from grapheme_numba.kernels.json.scanner import scan_lines

    return bool(getattr(scan_lines, "signatures", True)) or any(
        Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.scan_lines-*.nbi")
    )


def _scan(block: Block, limits: Limits) -> Parsed:
    from grapheme_numba.data.jsonl.scanner import parse_block

    return parse_block(block, limits)
