"""The order of an epoch: row groups, and rows within a window of them, by counter-based random numbers.

The row groups of an epoch, shuffled, stand one after the other, and each of n shards owns a run of their rows:

    row groups   5 5 5 5 | 2 2 2 2 | 0 0 0 0 | 3 3 ...
    shards       0 0 0 0   0 0 1 1   1 1 1 1   2 2 ...

It reads that run alone, in windows of its own within which rows are shuffled. A batch is a part of every shard's
stream. Only a row group on a border is read by two shards; which of its rows are whose is drawn anew every epoch,
so a file of a single row group is shared out at random too.

The order is a function of (seed, epoch, n) and the file alone, and any position in it can be found from the
row counts, without reading or drawing what stands before it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.randomness import STRIDE, mixed

WINDOW_ROWS = 65_536  # rows that are shuffled together; fewer where they are large
WINDOW_BYTES = 32 << 20
_MASK = (1 << 64) - 1


def shuffled(n: int, *key: int) -> npt.NDArray[np.int64]:
    """A permutation of n numbers (int64) that depends on the key alone."""
    state = np.zeros(1, np.uint64)
    for part in key:
        state = mixed((state + STRIDE) ^ np.uint64(part & _MASK))
    draws = mixed(state + np.arange(1, n + 1, dtype=np.uint64) * STRIDE)
    return np.argsort(draws, kind="stable")


def shard_bounds(n_row: int, batch_size: int, n_shard: int) -> list[int]:
    """Where the run of each shard begins (n_shard + 1): it has its part of every batch, the smaller last one too."""
    n_full, last = divmod(n_row, batch_size)
    return [n_full * (batch_size * shard // n_shard) + last * shard // n_shard for shard in range(n_shard + 1)]


class Piece(NamedTuple):
    """Rows of a row group: `first` to `stop` in the order in which borders cut it."""

    group: int
    first: int
    stop: int


def rows_of(piece: Piece, n_row: int, seed: int | None, epoch: int) -> npt.NDArray[np.int64] | None:
    """The row numbers of a piece within its group of n_row rows, ascending; None for all of them."""
    if piece.stop - piece.first == n_row:
        return None
    if seed is None:
        return np.arange(piece.first, piece.stop)
    return np.sort(shuffled(n_row, seed, epoch, 0, 1 + piece.group)[piece.first : piece.stop])


class Span(NamedTuple):
    """One window: its number, its pieces in order, the position of its first row in the stream, rows and bytes."""

    number: int
    pieces: tuple[Piece, ...]
    start: int
    rows: int
    size: int


class Stream(NamedTuple):
    """The rows of a shard in an epoch, window after window; part `shard` of `n_shard` of every batch."""

    spans: list[Span]
    shard: int
    n_shard: int
    seed: int | None
    epoch: int

    def part(self, number: int, batch_size: int, n_row: int) -> tuple[int, int]:
        """Positions (first, last + 1) of the part of a batch; `n_row` are those of all shards."""
        size, shard, n_shard = min(batch_size, n_row - number * batch_size), self.shard, self.n_shard
        first = number * (batch_size * (shard + 1) // n_shard - batch_size * shard // n_shard)
        return first, first + size * (shard + 1) // n_shard - size * shard // n_shard

    def row_order(self, span: Span) -> npt.NDArray[np.int64]:
        """(rows,) int64: the order of the rows of a window."""
        if self.seed is None:
            return np.arange(span.rows)
        own = () if self.n_shard == 1 else (1 + self.shard,)
        return shuffled(span.rows, self.seed, self.epoch, 1 + span.number, *own)


def stream_of(
    rows: Sequence[int], sizes: Sequence[int], batch_size: int, shard: tuple[int, int], seed: int | None, epoch: int
) -> Stream:
    """The stream of a shard (i, n); rows and sizes (bytes) are those of the row groups.

    Windows share WINDOW_ROWS and WINDOW_BYTES among n shards, but hold a row group, or a piece of one, at least:
    a process that has all of many shards holds as many row groups. Without a seed: file order, a window for each
    row group.
    """
    index, n_shard = shard
    first, stop = shard_bounds(sum(rows), batch_size, n_shard)[index : index + 2]
    order = range(len(rows)) if seed is None else shuffled(len(rows), seed, epoch, 0).tolist()
    most_rows, most_bytes = WINDOW_ROWS // n_shard, WINDOW_BYTES // n_shard
    spans: list[Span] = []
    held: list[Piece] = []
    start = count = size = at = 0
    for group in order:
        piece = Piece(group, max(first - at, 0), min(stop - at, rows[group]))
        at += rows[group]
        if piece.stop <= piece.first:
            continue
        n = piece.stop - piece.first
        n_byte = -(-sizes[group] * n // rows[group])
        if held and (seed is None or count + n > most_rows or size + n_byte > most_bytes):
            spans.append(Span(len(spans), tuple(held), start, count, size))
            held, start, count, size = [], start + count, 0, 0
        held.append(piece)
        count, size = count + n, size + n_byte
    if held:
        spans.append(Span(len(spans), tuple(held), start, count, size))
    return Stream(spans, index, n_shard, seed, epoch)
