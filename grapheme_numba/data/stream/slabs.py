"""Slabs: rows of one or a few windows, loaded when they are due and encoded at once."""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, islice, takewhile
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.parquet.columns import Window
from grapheme_numba.data.stream.batches import Batch, Plan, cut, encode_pieces, row_bytes
from grapheme_numba.data.stream.order import WINDOW_BYTES, Span, Stream
from grapheme_numba.kernels.codec.tables import Columns

SLAB_BYTES = 2 << 20  # encoded at once; larger slabs fall out of the cache, smaller ones cost calls
RowRange = tuple[Window, npt.NDArray[np.int64]]


class Slab(NamedTuple):
    """Rows that are encoded at once: pieces of windows, and the bounds of the batches in them.

    n_stream : streams whose rows follow one another; a batch of each makes up a batch of the epoch
    made : the batches, where they had to be made one window after the other
    """

    pieces: list[RowRange]
    bounds: list[int]
    n_stream: int
    made: list[Batch]

    def batches(self, layout: Layout) -> list[Batch]:
        """Encode the rows and cut them into batches, those of all streams in turn."""
        made = self.made or list(cut(encode_pieces(self.pieces, layout), self.pieces, self.bounds))
        if self.n_stream == 1:
            return made
        n = len(made) // self.n_stream
        return [made[stream * n + number] for number in range(n) for stream in range(self.n_stream)]


def slabs(plan: Plan, layout: Layout, load: Callable[[Span], Window]) -> Iterator[Slab]:
    """The slabs of an epoch, in order; holds the windows it is at, and a slab those that it touches.

    A slab that touches more than two full windows would hold them all (64 rows of 16 MB: 1 GB), so it is encoded
    here, with one window at a time.
    """
    per_slab = max(SLAB_BYTES // (row_bytes(layout) * plan.batch_size), 1)
    readers = [_Reader(stream, load) for stream in plan.streams]
    for slab in plan.slabs(per_slab):
        bounds = [0, *accumulate(stop - first for parts in slab for first, stop in parts)]
        pieces = chain.from_iterable(reader.pieces(parts) for reader, parts in zip(readers, slab, strict=True))
        touched = sum(reader.touched(parts) for reader, parts in zip(readers, slab, strict=True))
        if touched > 2 * WINDOW_BYTES:
            light: list[RowRange] = []
            rows = encode_pieces(_noted(pieces, light), layout, bounds[-1])
            yield Slab([], bounds, len(readers), list(cut(rows, light, bounds)))
            del rows, light
        else:
            yield Slab(list(pieces), bounds, len(readers), [])


def _noted(pieces: Iterator[RowRange], light_out: list[RowRange]) -> Iterator[RowRange]:
    """The pieces; what batches need of them when they are encoded goes to `light_out`."""
    for window, order in pieces:
        light_out.append((window._replace(table=None, columns=cast(Columns, None)), order))
        yield window, order
        del window


class _Reader:
    """Loads the windows of a stream, each when its first row is due; the one before goes first."""

    def __init__(self, stream: Stream, load: Callable[[Span], Window]) -> None:
        self._stream, self._load, self._at = stream, load, 0
        self._loaded: RowRange | None = None  # of span `_at`

    def touched(self, parts: Sequence[tuple[int, int]]) -> int:
        """Bytes of the windows that hold the rows of a slab."""
        first, stop = parts[0][0], parts[-1][1]
        spans = takewhile(lambda span: span.start < stop, islice(self._stream.spans, self._at, None))
        return sum(span.size for span in spans if span.start + span.rows > first)

    def pieces(self, parts: Sequence[tuple[int, int]]) -> Iterator[RowRange]:
        """A piece for each window that holds rows of the slab, neighbouring rows of one window together."""
        orders: list[npt.NDArray[np.int64]] = []
        spans = self._stream.spans
        for first, stop in parts:
            while first < stop:
                while spans[self._at].start + spans[self._at].rows <= first:
                    if orders:
                        yield self._piece(orders)
                        orders = []
                    self._at, self._loaded = self._at + 1, None
                span = spans[self._at]
                if self._loaded is None:
                    self._loaded = self._load(span), self._stream.row_order(span)
                last = min(stop, span.start + span.rows)
                orders.append(self._loaded[1][first - span.start : last - span.start])
                first = last
        if orders:
            yield self._piece(orders)

    def _piece(self, orders: list[npt.NDArray[np.int64]]) -> RowRange:
        return cast(RowRange, self._loaded)[0], np.ascontiguousarray(np.concatenate(orders), np.int64)
