"""The weights in the order in which the forward pass walks them: a copy that is made again when they change."""

import itertools
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.graph.dag import Dag
from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.engine import parameters
from grapheme_numba.kernels.graph import topology

Array = npt.NDArray[Any]
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
        A new number whenever the weights are said to have changed.
    live : bool
        Somebody writes the weights without saying so: copy them before every pass.
    """

    def __init__(self, dag: Dag, dtype: npt.DTypeLike) -> None:
        self._dag = dag
        self._far: bool | None = None
        self._shares: dict[tuple[int, int, int], tuple[Array, Array, Array]] = {}
        self._values: Array = np.empty(dag.n_edge, dtype)
        self._counter, self.version = itertools.count(1), 0
        self._filled = -1  # the version whose weights are in `_values`
        self.live = False
        self._lock = threading.Lock()  # one thread copies, the others wait for it

    def expire(self) -> None:
        """Say that the weights have changed."""
        self.version = next(self._counter)  # threads that say so together still leave a new number

    def refresh(self) -> None:
        """Copy the weights again before the next pass, though nobody said that they have changed."""
        self._filled = -1

    def of(self, weights: Array) -> Array:
        """The copy (n_edge,) of `weights` (n_edge,), which stand in sender order."""
        if self.live or self._filled != self.version:
            with self._lock:
                if self.live or self._filled != self.version:
                    self._fill(weights, 0)
        return self._values

    def bind(self, values: Array) -> None:
        """Move the copy into `values` (n_edge,) of someone else."""
        self._values = values
        self.refresh()

    def fill(self, weights: Array, first: int) -> None:
        """Copy the weights of the edges from `first` on, in sender order; whoever has the others fills them in."""
        with self._lock:
            self._fill(weights, first)

    def _fill(self, weights: Array, first: int) -> None:
        version = self.version  # what changes from here on is not in the copy
        if self._far is None:
            self._far = self._dag.reach() > NEAR_NODES
        parameters.receiver_order(self._dag, weights, *self._share(first, len(weights)), self._far, self._values)
        self._filled = version

    def _share(self, first: int, n_edge: int) -> tuple[Array, Array, Array]:
        """(bounds, starts, cursors) for `parameters.receiver_order`: some of the edges for each thread."""
        n_chunk = min(n_threads(), MOST_CHUNKS) if n_edge > FEW_EDGES else 1
        key = first, n_edge, n_chunk
        if key not in self._shares:
            bounds = first + n_edge * np.arange(n_chunk + 1) // n_chunk
            starts = np.empty((n_chunk, self._dag.n_node), np.int32)
            topology.chunk_starts(self._dag.indptr, self._dag.t_indices, bounds, starts)
            self._shares[key] = bounds, starts, np.empty_like(starts)
        return self._shares[key]
