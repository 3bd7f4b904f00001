"""The ceilings of the machine, measured by our own micro-kernels in the same run as what they bound."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from grapheme_numba.bench.timing import measure
from grapheme_numba.jit import n_threads
from grapheme_numba.kernels.bench.roofline import gather_rows
from grapheme_numba.kernels.engine.simd import LANES
from grapheme_numba.network.workspace import aligned_empty

# Bytes of rows per thread: half of a small level 1, a quarter of a small level 2, beyond level 2, beyond level 3.
LEVELS = {"L1": 16 << 10, "L2": 256 << 10, "L3": 8 << 20, "memory": 256 << 20}
REGISTERS = (1, 2, 4)


class Ceiling(NamedTuple):
    """The rate of bare load + multiply-add over random rows, in 10^9 edge samples per second."""

    level: str
    width: int
    threads: int
    rate: float


def ceilings(repeat: int = 5, levels: Iterable[str] | None = None, clock: str = "wall") -> list[Ceiling]:
    """The `Ceiling` of every level (or of `levels`) at every tile width, for the threads now set."""
    lanes = LANES[np.dtype(np.float32)]
    return [
        Ceiling(level, count * lanes, n_threads(), ceiling_at(LEVELS[level], count * lanes, n_threads(), repeat, clock))
        for level in levels or LEVELS
        for count in REGISTERS
    ]


def best(measured: Iterable[Ceiling], level: str) -> float:
    """The highest rate of a level over all tile widths."""
    return max(ceiling.rate for ceiling in measured if ceiling.level == level)


class Sweep:
    """A call that reads `n_byte` bytes of rows per thread in random order; `work` edge samples a call.

    Every row is visited once per sweep, so nothing but the size decides which cache serves it. Rows are
    float32 of `width` lanes; `threads` threads must be set when it is called.
    """

    def __init__(self, n_byte: int, width: int, threads: int) -> None:
        generator = np.random.default_rng(1)
        n_row = max(8, n_byte // (4 * width) // 8 * 8)
        self._rows = aligned_empty((threads, n_row, width), np.float32)
        self._rows[:] = 1.0
        self._order = np.stack([generator.permutation(n_row).astype(np.int32) for _ in range(threads)])
        self._sums = np.empty((threads, width), np.float32)
        self._n_sweep = max(1, (1 << 19) // n_row)
        self.work = threads * self._n_sweep * n_row * width

    def __call__(self) -> None:
        gather_rows(self._rows, self._order, self._n_sweep, self._sums)


def ceiling_at(n_byte: int, width: int, threads: int, repeat: int = 5, clock: str = "wall") -> float:
    """The ceiling for rows of `width` float32 taking `n_byte` bytes per thread, in 10^9 edge samples a second."""
    sweep = Sweep(n_byte, width, threads)
    return sweep.work / measure(sweep, repeat, clock).median / 1e9
