"""Who computes what, and in which memory: whole tiles per thread, or the nodes of each level shared among threads.

The cost model, in seconds, for `work` = edges x examples at FORWARD or BACKWARD per thread:

    tiles:  work / rate * ceil(n_tile / threads) / n_tile  [+ ceil(n_tile / threads) * n_window * REGION]
    levels: START + work / rate / threads * SHARING + ceil(n_tile / group) * (n_level + 2) * REGION

Tiles share nothing but leave threads idle when there are few tiles; the backward pass then adds the
gradients of the threads window by window, a parallel region each. Levels share everything evenly, but
pay a region per level and read what the other threads' caches hold; as many tiles go through the levels
together as the shared cache holds. Both give the same bits.
"""

from collections.abc import Hashable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import is_name, shown
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.dag import Dag
from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.engine.activations import FIRST_OF_PRE
from grapheme_numba.kernels.engine.planes import Planes
from grapheme_numba.kernels.engine.simd import LANES
from grapheme_numba.kernels.engine.tiles import Shares, Tiles
from grapheme_numba.network.arrays import Array, Precision

CACHE_LINE = 64
LAST_LEVEL_SHARE = 6 << 20  # bytes: what we may count on of the last-level cache
MOST_VIEWS = 64
STORED = frozenset({"activations", "pre", "deltas"})  # in the precision that was chosen for the memory


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """An uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    n_byte = prod(shape) * dtype.itemsize
    buffer = np.empty(n_byte + CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + n_byte].view(dtype).reshape(shape)


def tile_width(stored: npt.DTypeLike, n_live: int, batch: int, learns: bool = True) -> int:
    """Lanes of a tile: four registers, or two, while the live activations stay within our share of the
    last-level cache (6 MiB), else one.

    Wider tiles read each index and weight for more examples, and the sixteen-edge sums of the backward
    pass cost as much for one register as for four. Leaving the level-2 cache costs the forward pass a
    third, but the whole step still gains: forward and backward of 20,000 irregular nodes, batch 256, two
    threads, 5.1 G at 64 lanes, 4.4 at 32, 2.9 at 16. A function of the graph, the batch and the machine,
    never of the number of threads: the order in which gradients are summed follows from it.

    `stored` is the dtype of the activations in memory (`Precision.stored`); registers hold what is computed with.

    Where no gradient is wanted (`learns` false) half of that share is the limit: the forward pass alone of
    those 20,000 nodes ran 1.3 to 1.4 times as fast with 32 lanes as with 64. Its bits are the same.
    """
    item = np.dtype(stored).itemsize
    lanes = LANES[np.dtype(np.float64 if item == 8 else np.float32)]
    share = LAST_LEVEL_SHARE if learns else LAST_LEVEL_SHARE // 2
    for registers in (4, 2):
        width = registers * lanes
        if width * item * n_live <= share and batch > width // 2:
            return width
    return lanes


class Workspace:
    """Grows to the largest batch seen and hands out views, so that a steady run allocates nothing.

    Attributes
    ----------
    choices : dict
        What `Plan` chose for passes of one kind, as long as the memory stays where it is: to choose anew for
        every batch took a fifth of a pass over 10,000 edges.
    """

    def __init__(self, dag: Dag, precision: Precision, n_live: int) -> None:
        self._n_node, self._n_live = dag.n_node, n_live
        self._dtype, self._stored = precision.dtype, precision.stored
        self._keeps_pre = bool((dag.activation >= FIRST_OF_PRE).any())
        self._buffers: dict[str, Array] = {}
        self._views: dict[tuple[int, int, int], Tiles] = {}
        self.choices: dict[tuple[Hashable, ...], Choice] = {}
        self._n_output = n_output = len(dag.outputs)
        self._port_rows = np.arange(n_output + len(dag.inputs), dtype=np.int32)
        self._port_of = np.zeros((dag.n_node, 2), np.int32)
        self._port_of[dag.outputs, 0] = self._port_rows[:n_output]
        self._port_of[dag.inputs, 1] = self._port_rows[n_output:]

    def width(self, batch: int, learns: bool) -> int:
        """`tile_width` of this network."""
        return tile_width(self._stored, self._n_live, batch, learns)

    def tiles(self, batch: int, width: int, n_slot: int) -> Tiles:
        """`Tiles` for `batch` examples and `n_slot` concurrent pieces of work, without room for deltas."""
        key = batch, width, n_slot
        if key not in self._views:
            lanes = LANES[self._dtype]
            shape = (-(-batch // width), self._n_node, width)
            names = ("activations", "pre", "scratch", "deltas", "ports", "outputs")
            shapes = (
                shape, shape if self._keeps_pre else (1, 1, 1), (n_slot, 2 * lanes * lanes + 12 * lanes),
                *2 * [(0, 0, width)], (shape[0], self._n_output, width) if self._stored != self._dtype else (1, 1, 1),
            )  # fmt: skip
            self._reserve(names, shapes)
            if len(self._views) > MOST_VIEWS:
                self._forget_views()
            activations, pre, scratch, deltas, ports, outputs = map(self._view, names, shapes)
            self._views[key] = Tiles(
                activations, pre, scratch, deltas, ports, outputs, self._port_rows, self._port_of
            )  # fmt: skip
        return self._views[key]

    def with_deltas(self, tiles: Tiles, n_buffer: int, n_row: int) -> Tiles:
        """`tiles` with room for the deltas of `n_buffer` tiles, `n_row` rows each."""
        width = tiles.activations.shape[2]
        shapes = (n_buffer, n_row, width), (n_buffer, len(self._port_rows), width)
        self._reserve(("deltas", "ports"), shapes)
        return tiles._replace(deltas=self._view("deltas", shapes[0]), ports=self._view("ports", shapes[1]))

    def live_bytes(self, tiles: Tiles) -> int:
        """Bytes of one tile's activations that are needed at one time."""
        return self._n_live * tiles.activations.shape[2] * self._stored.itemsize

    def planes(self, n_plane: int, size: int) -> Array:
        """Gradient planes of two windows (2, n_plane, size)."""
        self._reserve(("planes",), ((2, n_plane, size),))
        return self._view("planes", (2, n_plane, size))

    def _reserve(self, names: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
        for name, shape in zip(names, shapes, strict=True):
            buffer = self._buffers.get(name)
            if buffer is None or buffer.size < prod(shape):
                self._forget_views()
                dtype = self._stored if name in STORED else self._dtype
                buffer = self._buffers[name] = aligned_empty((prod(shape),), dtype)
                if name == "scratch":
                    # Rows of a block that no edge has filled yet are summed too and thrown away: no stray NaN.
                    buffer[:] = 0

    def _forget_views(self) -> None:
        self._views.clear()
        self.choices.clear()

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


Bounds = npt.NDArray[np.int64]  # of ranges of nodes

STRATEGIES = ("auto", "tiles", "levels")
FORWARD, BACKWARD = 16e9, 8e9  # edge-samples per second and thread
START = 1e-5  # seconds until the other threads have woken up
REGION = 3e-6  # seconds to start and end a parallel region
SHARING = 1.4  # what reading other threads' results costs a shared level
# (A penalty for tiles that leave the shared cache together was tried: 20,000 irregular nodes, backward on two
# threads, run at 12.5 G by tiles and 6.1 by levels, whose 194 regions each touch every tile. It went again.)
WINDOW = 32_768  # edges of a window: 128 KB of float32 gradients


class Choice(NamedTuple):
    """The plan of one pass: memory, and either windows with their planes (tiles) or node ranges (levels).

    Attributes
    ----------
    status : uint8 (n_tile,)
        Where the pass writes 1 for a tile whose rows hold NaN or infinity, else 0.
    """

    levels: bool
    tiles: Tiles
    planes: Planes
    shares: Shares
    status: npt.NDArray[np.uint8]


class Plan:
    """Chooses per batch; keeps balanced node ranges once computed."""

    def __init__(self, dag: Dag) -> None:
        self._dag = dag
        self._parts: dict[tuple[str, int], Bounds] = {}
        self._windows: Bounds | None = None
        self._n_row: int | None = None
        self._whole: Bounds = np.array([0, dag.n_node], np.int64)
        self.strategy = "auto"

    def force(self, strategy: str) -> None:
        """Use "tiles" or "levels" always, or choose ("auto"). Raises UsageError for another name."""
        if not is_name(strategy, STRATEGIES):
            raise UsageError(f"unknown strategy {shown(strategy)}; choose one of {', '.join(STRATEGIES)}")
        self.strategy = strategy

    def forward(self, batch: int, workspace: Workspace, learns: bool) -> Choice:
        """The `Choice` of a forward pass; `learns`: gradients are wanted of it."""
        key = "forward", self.strategy, n_threads(), batch, learns
        choice = workspace.choices.get(key)
        if choice is None:
            choice = workspace.choices[key] = self._forward(batch, workspace, learns)
        return choice

    def _forward(self, batch: int, workspace: Workspace, learns: bool) -> Choice:
        tiles = workspace.tiles(batch, workspace.width(batch, learns), n_threads())
        group = _group(tiles, workspace.live_bytes(tiles))
        levels = self._levels(tiles, group, 0, FORWARD)
        planes, shares = Planes(self._whole, workspace.planes(1, 0)), Shares(self._ranges("in", levels), group)
        return Choice(levels, tiles, planes, shares, np.zeros(len(tiles.activations), np.uint8))

    def backward(self, batch: int, workspace: Workspace, before: Tiles, n_gradient: int, keeps_deltas: bool) -> Choice:
        """The `Choice` of a backward pass; `n_gradient` is the size of the gradients wanted (0: none).

        `before`: the `Tiles` of the forward pass. `keeps_deltas`: the delta of every node and tile is wanted
        afterwards.
        """
        width = before.activations.shape[2]
        key = "backward", self.strategy, n_threads(), batch, width, n_gradient, keeps_deltas
        choice = workspace.choices.get(key)
        if choice is None:
            choice = workspace.choices[key] = self._backward(batch, workspace, width, n_gradient, keeps_deltas)
        return choice

    def _backward(self, batch: int, workspace: Workspace, width: int, n_gradient: int, keeps_deltas: bool) -> Choice:
        threads = n_threads()
        tiles = workspace.tiles(batch, width, threads)
        n_tile = len(tiles.activations)
        group = _group(tiles, 2 * workspace.live_bytes(tiles))
        windows = self.windows() if threads > 1 and n_tile > 1 and n_gradient else self._whole
        levels = self._levels(tiles, group, len(windows) - 1, BACKWARD)
        n_plane = 1 if levels else min(threads, n_tile)
        planes = Planes(
            windows, workspace.planes(n_plane, self._plane_size(windows) if n_gradient and n_plane > 1 else 0)
        )
        n_buffer, n_row = (group if levels else n_plane), self.rows_of_deltas()
        tiles = workspace.with_deltas(tiles, *((n_tile, self._whole_rows()) if keeps_deltas else (n_buffer, n_row)))
        shares = Shares(self._ranges("out", levels), group)
        return Choice(levels, tiles, planes, shares, np.zeros(n_tile, np.uint8))

    def _levels(self, tiles: Tiles, group: int, n_window: int, rate: float) -> bool:
        if self.strategy != "auto":
            return self.strategy == "levels"
        threads = n_threads()
        if threads == 1:
            return False
        n_tile, _, width = tiles.activations.shape
        one_tile = len(self._dag.indices) * width / rate
        rounds = -(-n_tile // threads)
        by_tiles = rounds * (one_tile + n_window * REGION)
        regions = -(-n_tile // group) * (self._dag.n_level + 2)
        return START + n_tile * one_tile / threads * SHARING + regions * REGION < by_tiles

    def windows(self) -> Bounds:
        """Node bounds (n_window + 1,) of windows of about WINDOW edges."""
        if self._windows is None:
            indptr = self._dag.t_indptr
            goals = np.arange(0, len(self._dag.indices), WINDOW)
            bounds = np.searchsorted(indptr[:-1], goals)
            self._windows = np.unique(np.append(bounds, (0, self._dag.n_node))).astype(np.int64)
        return self._windows

    def rows_of_deltas(self) -> int:
        """How many nodes' deltas the backward pass needs at a time, as a power of two.

        From the first node of a level to the last receiver of that level: threads that share the level may
        already write its first nodes while others still read for its last. Where edges have rows of their own,
        behind those of the nodes, none is used twice.
        """
        if self._n_row is None:
            if self._dag.aggregation.size:
                self._n_row = self._whole_rows()
            else:
                self._n_row = min(self._dag.n_node, 1 << self._dag.reach().bit_length())
        return self._n_row

    def _whole_rows(self) -> int:
        return self._dag.n_node + self._dag.n_edge_row

    def _plane_size(self, windows: Bounds) -> int:
        edges = np.diff(self._dag.t_indptr[windows]).max()
        return int(edges + np.diff(windows).max() + 4 * CACHE_LINE) // CACHE_LINE * CACHE_LINE

    def _ranges(self, direction: str, levels: bool) -> Bounds:
        key = direction, n_threads() if levels else 1
        if key not in self._parts:
            indptr = self._dag.indptr if direction == "in" else self._dag.t_indptr
            self._parts[key] = balanced_parts(indptr, self._dag.level_start, key[1])
        return self._parts[key]


def _group(tiles: Tiles, bytes_of_tile: int) -> int:
    """How many tiles fit the shared cache together, at least one."""
    return min(len(tiles.activations), max(1, LAST_LEVEL_SHARE // max(1, bytes_of_tile)))
