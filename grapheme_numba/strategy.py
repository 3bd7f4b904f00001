"""Who computes what: whole tiles per thread, or the nodes of each level shared among threads."""

from typing import NamedTuple

import numpy as np

from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.tiles import Tiles
from grapheme_numba.workspace import balanced_parts


class Choice(NamedTuple):
    """The plan of one pass: memory, and either planes (tiles) or node ranges (levels)."""

    levels: bool
    tiles: Tiles
    planes: np.ndarray
    parts: np.ndarray
    t_parts: np.ndarray


class Plan:
    """Chooses per batch; keeps the balanced node ranges once computed."""

    # A level is worth a parallel region (about 3 microseconds) from this many edge-samples on.
    EDGES_PER_REGION = 60_000

    def __init__(self, dag):
        self._dag, self._parts = dag, {}

    def choose(self, batch, workspace, n_gradient=0):
        """The `Choice` for a batch; `n_gradient` is the size of the gradients wanted (0: none)."""
        threads = n_threads()
        tiles = workspace.tiles(batch, threads)
        n_tile = len(tiles.activations)
        work = self._dag.n_edge * tiles.activations.shape[2] * n_tile / max(1, self._dag.n_level)
        levels = threads > 1 and n_tile < 2 * threads and work > self.EDGES_PER_REGION
        parts, t_parts = self._ranges(threads if levels else 1)
        n_plane = min(threads, n_tile) if threads > 1 and n_tile > 1 and not levels else 0
        return Choice(levels, tiles, workspace.planes(n_plane, n_gradient), parts, t_parts)

    def _ranges(self, n_part):
        if n_part not in self._parts:
            dag = self._dag
            self._parts[n_part] = (
                balanced_parts(dag.indptr, dag.level_start, n_part),
                balanced_parts(dag.t_indptr, dag.level_start, n_part),
            )
        return self._parts[n_part]
