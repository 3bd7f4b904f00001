"""The memory of one network at work: tiles for a batch, gradient planes, and how work is shared out."""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from grapheme_numba.graph.dag import Dag
from grapheme_numba.kernels.engine.activations import FIRST_OF_PRE
from grapheme_numba.kernels.engine.simd import LANES
from grapheme_numba.kernels.engine.tiles import Tiles
from grapheme_numba.network.arrays import Array

CACHE_LINE = 64
LAST_LEVEL_SHARE = 6 << 20  # bytes: what we may count on of the last-level cache
MOST_VIEWS = 64


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    n_byte = prod(shape) * dtype.itemsize
    buffer = np.empty(n_byte + CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n_byte].view(dtype).reshape(shape)


def tile_width(dtype: npt.DTypeLike, n_live: int, batch: int, learns: bool = True) -> int:
    """Lanes of a tile: four registers, or two, while the live activations stay within our share of the
    last-level cache (6 MiB), else one.

    Wider tiles read each index and weight for more examples, and the sixteen-edge sums of the backward
    pass cost as much for one register as for four. Leaving the level-2 cache costs the forward pass a
    third, but the whole step still gains: forward and backward of 20,000 irregular nodes, batch 256, two
    threads, 5.1 G at 64 lanes, 4.4 at 32, 2.9 at 16. A function of the graph, the batch and the machine,
    never of the number of threads: the order in which gradients are summed follows from it.

    Where no gradient is wanted (`learns` false) half of that share is the limit: the forward pass alone of
    those 20,000 nodes ran 1.3 to 1.4 times as fast with 32 lanes as with 64. Its bits are the same.
    """
    lanes, item = LANES[np.dtype(dtype)], np.dtype(dtype).itemsize
    share = LAST_LEVEL_SHARE if learns else LAST_LEVEL_SHARE // 2
    for registers in (4, 2):
        width = registers * lanes
        if width * item * n_live <= share and batch > width // 2:
            return width
    return lanes


class Workspace:
    """Grows to the largest batch seen and hands out views, so that a steady run allocates nothing."""

    def __init__(self, dag: Dag, dtype: npt.DTypeLike, n_live: int) -> None:
        self._n_node, self._dtype, self._n_live = dag.n_node, np.dtype(dtype), n_live
        self._keeps_pre = bool((dag.activation >= FIRST_OF_PRE).any())
        self._buffers: dict[str, Array] = {}
        self._views: dict[tuple[int, int, int], Tiles] = {}
        n_output = len(dag.outputs)
        self._port_rows = np.arange(n_output + len(dag.inputs), dtype=np.int32)
        self._port_of = np.zeros((dag.n_node, 2), np.int32)
        self._port_of[dag.outputs, 0] = self._port_rows[:n_output]
        self._port_of[dag.inputs, 1] = self._port_rows[n_output:]

    def width(self, batch: int, learns: bool) -> int:
        """`tile_width` of this network."""
        return tile_width(self._dtype, self._n_live, batch, learns)

    def tiles(self, batch: int, width: int, n_slot: int) -> Tiles:
        """`Tiles` for `batch` examples and `n_slot` concurrent pieces of work, without room for deltas."""
        key = batch, width, n_slot
        if key not in self._views:
            lanes = LANES[self._dtype]
            shape = (-(-batch // width), self._n_node, width)
            names = ("activations", "pre", "scratch", "deltas", "ports")
            shapes = (shape, shape if self._keeps_pre else (1, 1, 1), (n_slot, 2 * lanes * lanes), *2 * [(0, 0, width)])
            self._reserve(names, shapes)
            if len(self._views) > MOST_VIEWS:
                self._views.clear()
            activations, pre, scratch, deltas, ports = map(self._view, names, shapes)
            self._views[key] = Tiles(activations, pre, scratch, deltas, ports, self._port_rows, self._port_of)
        return self._views[key]

    def with_deltas(self, tiles: Tiles, n_buffer: int, n_row: int) -> Tiles:
        """`tiles` with room for the deltas of `n_buffer` tiles, `n_row` rows each."""
        width = tiles.activations.shape[2]
        shapes = (n_buffer, n_row, width), (n_buffer, len(self._port_rows), width)
        self._reserve(("deltas", "ports"), shapes)
        return tiles._replace(deltas=self._view("deltas", shapes[0]), ports=self._view("ports", shapes[1]))

    def live_bytes(self, tiles: Tiles) -> int:
        """Bytes of one tile's activations that are needed at one time."""
        return self._n_live * tiles.activations.shape[2] * self._dtype.itemsize

    def planes(self, n_plane: int, size: int) -> Array:
        """Gradient planes of two windows (2, n_plane, size)."""
        self._reserve(("planes",), ((2, n_plane, size),))
        return self._view("planes", (2, n_plane, size))

    def _reserve(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
        for name, shape in zip(names, shapes, strict=True):
            buffer = self._buffers.get(name)
            if buffer is None or buffer.size < prod(shape):
                self._views.clear()
                buffer = self._buffers[name] = aligned_empty((prod(shape),), self._dtype)
                if name == "scratch":
                    # Rows of a block that no edge has filled yet are summed too and thrown away: no stray NaN.
                    buffer[:] = 0

    def _view(self, name: str, shape: tuple[int, ...]) -> Array:
        return self._buffers[name][: prod(shape)].reshape(shape)


def balanced_parts(
    indptr: npt.NDArray[np.int64], level_start: npt.NDArray[np.int64], n_part: int
) -> npt.NDArray[np.int64]:
    """Node ranges (n_level, n_part + 1) that give every part of a level about as many edges and nodes."""
    parts = np.empty((len(level_start) - 1, n_part + 1), np.int64)
    shares = np.arange(n_part + 1) / n_part
    # A node costs a little even without edges: count it as one edge more.
    work = indptr + np.arange(len(indptr))
    for level in range(len(level_start) - 1):
        first, last = level_start[level], level_start[level + 1]
        goals = work[first] + shares * (work[last] - work[first])
        parts[level] = first + np.searchsorted(work[first : last + 1], goals)
        parts[level, 0], parts[level, -1] = first, last
    return parts
