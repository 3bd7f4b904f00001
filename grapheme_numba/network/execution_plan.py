"""Who computes what: whole tiles per thread, or the nodes of each level shared among threads.

The cost model, in seconds, for `work` = edges x examples at FORWARD or BACKWARD per thread:

    tiles:  work / rate * ceil(n_tile / threads) / n_tile  [+ ceil(n_tile / threads) * n_window * REGION]
    levels: START + work / rate / threads * SHARING + ceil(n_tile / group) * (n_level + 2) * REGION

Tiles share nothing but leave threads idle when there are few tiles; the backward pass then adds the
gradients of the threads window by window, a parallel region each. Levels share everything evenly, but
pay a region per level and read what the other threads' caches hold; as many tiles go through the levels
together as the shared cache holds. Both give the same bits.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import is_name, shown
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.dag import Dag
from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.engine.planes import Planes
from grapheme_numba.kernels.engine.tiles import Shares, Tiles
from grapheme_numba.network.workspace import CACHE_LINE, LAST_LEVEL_SHARE, Workspace, balanced_parts

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
    """The plan of one pass: memory, and either windows with their planes (tiles) or node ranges (levels)."""

    levels: bool
    tiles: Tiles
    planes: Planes
    shares: Shares


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
        tiles = workspace.tiles(batch, workspace.width(batch, learns), n_threads())
        group = _group(tiles, workspace.live_bytes(tiles))
        levels = self._levels(tiles, group, 0, FORWARD)
        return Choice(
            levels, tiles, Planes(self._whole, workspace.planes(1, 0)), Shares(self._ranges("in", levels), group)
        )

    def backward(self, batch: int, workspace: Workspace, before: Tiles, n_gradient: int, keeps_deltas: bool) -> Choice:
        """The `Choice` of a backward pass; `n_gradient` is the size of the gradients wanted (0: none).

        `before`: the `Tiles` of the forward pass. `keeps_deltas`: the delta of every node and tile is wanted
        afterwards.
        """
        threads = n_threads()
        tiles = workspace.tiles(batch, before.activations.shape[2], threads)
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
        return Choice(levels, tiles, planes, Shares(self._ranges("out", levels), group))

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
