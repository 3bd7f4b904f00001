"""The order of an epoch: row groups, and rows within a window of them, by counter-based random numbers.

The order is a function of (seed, epoch) and the file alone, and any position in it can be found from the
row counts, without reading or drawing what stands before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WINDOW_ROWS = 65_536  # rows that are shuffled together; fewer where they are large
WINDOW_BYTES = 32 << 20
_MASK = (1 << 64) - 1


def _mix(x: np.ndarray) -> np.ndarray:
    """SplitMix64's finalizer: uint64 counters to random bits."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def shuffled(n: int, *key: int) -> np.ndarray:
    """A permutation of n numbers (int64) that depends on the key alone."""
    state = np.zeros(1, np.uint64)
    for part in key:
        state = _mix((state + np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(part & _MASK))
    draws = _mix(state + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return np.argsort(draws, kind="stable")


class Span(NamedTuple):
    """One window: its row groups in order, the position of its first row in the epoch, rows and bytes."""

    index: int
    groups: tuple[int, ...]
    start: int
    rows: int
    size: int


def windows(rows: Sequence[int], sizes: Sequence[int], seed: int | None, epoch: int) -> list[Span]:
    """The windows of an epoch; rows and sizes (bytes) are those of the row groups.

    Without a seed: file order, a window for each row group.
    """
    order = range(len(rows)) if seed is None else shuffled(len(rows), seed, epoch, 0).tolist()
    spans, held, start, count, size = [], [], 0, 0, 0
    for group in order:
        full = held and (seed is None or count + rows[group] > WINDOW_ROWS or size + sizes[group] > WINDOW_BYTES)
        if full:
            spans.append(Span(len(spans), tuple(held), start, count, size))
            held, start, count, size = [], start + count, 0, 0
        held.append(group)
        count, size = count + rows[group], size + sizes[group]
    if held:
        spans.append(Span(len(spans), tuple(held), start, count, size))
    return spans


def row_order(span: Span, seed: int | None, epoch: int) -> np.ndarray:
    """(rows,) int64: the order of the rows of a window."""
    if seed is None:
        return np.arange(span.rows)
    return shuffled(span.rows, seed, epoch, 1 + span.index)
