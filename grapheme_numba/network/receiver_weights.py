"""The weights in the order in which the forward pass walks them: a copy that is made again when they change."""

import numpy as np

from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.engine import parameters
from grapheme_numba.kernels.graph import topology

MOST_CHUNKS = 4  # threads that share the copying: each needs a number for every node
NEAR_NODES = 1024  # a cache line for each still fits the level-1 cache
FEW_EDGES = 20_000  # one thread copies so many before another has woken up


class ReceiverWeights:
    """The weights of one network in CSR order.

    Parameters
    ----------
    dag : Dag
    dtype : numpy dtype

    Attributes
    ----------
    version : int
        How often the weights were said to have changed.
    """

    def __init__(self, dag, dtype):
        self._dag, self._stale, self._shares, self._far = dag, True, {}, None
        self._values, self.version = np.empty(dag.n_edge, dtype), 0

    def expire(self):
        """Say that the weights have changed."""
        self._stale, self.version = True, self.version + 1

    def of(self, weights):
        """The copy (n_edge,) of `weights` (n_edge,), which stand in sender order."""
        if self._stale:
            self.fill(weights, 0)
        return self._values

    def bind(self, values):
        """Move the copy into `values` (n_edge,) of someone else."""
        self._values, self._stale = values, True

    def fill(self, weights, first):
        """Copy the weights of the edges from `first` on, in sender order; whoever has the others fills them in."""
        if self._far is None:
            self._far = self._dag.reach() > NEAR_NODES
        parameters.receiver_order(self._dag, weights, *self._share(first, len(weights)), self._far, self._values)
        self._stale = False

    def _share(self, first, n_edge):
        """(bounds, starts, cursors) for `parameters.receiver_order`: some of the edges for each thread."""
        n_chunk = min(n_threads(), MOST_CHUNKS) if n_edge > FEW_EDGES else 1
        key = first, n_edge, n_chunk
        if key not in self._shares:
            bounds = first + n_edge * np.arange(n_chunk + 1) // n_chunk
            starts = np.empty((n_chunk, self._dag.n_node), np.int32)
            topology.chunk_starts(self._dag.indptr, self._dag.t_indices, bounds, starts)
            self._shares[key] = bounds, starts, np.empty_like(starts)
        return self._shares[key]
