"""Rates of the passes on the named graphs, beside the ceilings of the machine: micro-kernels timed in the same run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from grapheme_numba.bench import timing
from grapheme_numba.bench.cases import Case, network_of
from grapheme_numba.bench.timing import measure
from grapheme_numba.jit import n_threads, set_threads
from grapheme_numba.kernels.bench.baselines import gather_rows
from grapheme_numba.kernels.engine.simd import LANES
from grapheme_numba.kernels.graph.topology import most_live_nodes
from grapheme_numba.network.execution_plan import aligned_empty, tile_width

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN

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


PASSES = ("forward", "backward", "step")
# Reads of a row's lanes per edge that a pass cannot do without, in units of the forward pass.
READS = {"forward": 1, "backward": 2, "step": 3}
MOST_BYTES = 5 << 30


class Rate(NamedTuple):
    """One pass of one case.

    `rate` in 10^9 edge samples per second with `low` and `high`; `of_l2` and `of_own` are shares of the
    ceiling in level 2 and of the ceiling for rows that take as much room as this graph's live nodes
    (`own_bytes`), each divided by the reads the pass needs (1, 2, 3), as medians over interleaved pairs.
    """

    case: str
    batch: int
    threads: int
    step: str
    seconds: float
    rate: float
    low: float
    high: float
    of_l2: float
    of_own: float
    width: int
    own_bytes: int


def step_calls(network: "DagNN", batch: int, seed: int = 0) -> dict[str, Callable[[], object]]:
    """Calls without arguments for each of `PASSES` on one fixed random batch."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, network.n_input)).astype(np.float32)
    gy = (generator.standard_normal((batch, network.n_output)) / batch).astype(np.float32)

    def step() -> None:
        network.zero_grad()
        network.forward(x)
        network.backward_accumulate(gy)
        network.step(1e-6)

    return {"forward": lambda: network.forward(x), "backward": lambda: network.backward_accumulate(gy), "step": step}


def needed_bytes(network: "DagNN", batch: int) -> int:
    """Room for the activations and deltas of a batch."""
    return 2 * 4 * network.n_node * batch


def rates_of(
    case: Case, batches: Sequence[int], threads: Sequence[int], repeat: int = timing.MIN_REPEAT,
    network: "DagNN | None" = None, clock: str = "wall",
) -> Iterator[Rate]:  # fmt: skip
    """Yield the `Rate` of each pass for one case, all batches and numbers of threads.

    Passes, thread counts and ceilings are measured in turn, round after round, so that a busy moment
    of the machine hits them alike. Batches whose memory would exceed 5 GiB are left out.
    """
    network = network or network_of(case)
    n_live = most_live_nodes(network.dag.indptr, network.dag.indices)
    before = n_threads()
    for batch in batches:
        if needed_bytes(network, batch) > MOST_BYTES:
            continue
        width = tile_width(np.float32, n_live, batch)
        own_bytes = 4 * n_live * width
        calls: dict[tuple[int, str], Callable[[], object]] = {}
        work: dict[tuple[int, str], int] = {}
        for count in threads:
            for name, call in step_calls(network, batch).items():
                calls[count, name] = _with_threads(count, call)
            for name, n_byte in (("l2", LEVELS["L2"]), ("own", own_bytes)):
                sweep = Sweep(n_byte, width, count)
                calls[count, name] = _with_threads(count, sweep)
                work[count, name] = sweep.work
        measured = timing.interleave(calls, repeat, clock)
        set_threads(before)
        for count in threads:
            for name in PASSES:
                yield _rate(case, network, batch, count, name, measured, work, width, own_bytes)


def _with_threads(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        set_threads(count)
        call()

    return run


def _rate(
    case: Case, network: "DagNN", batch: int, count: int, name: str,
    measured: dict[tuple[int, str], tuple[timing.Timing, list[float]]], ceiling_work: dict[tuple[int, str], int],
    width: int, own_bytes: int,
) -> Rate:  # fmt: skip
    work = network.n_edge * batch
    taken, seconds = measured[count, name]
    shares = {}
    for ceiling in ("l2", "own"):
        per_sample = [value / ceiling_work[count, ceiling] for value in measured[count, ceiling][1]]
        shares[ceiling] = timing.ratio_of([value / work for value in seconds], per_sample).median * READS[name]
    return Rate(
        case.name, batch, count, name, taken.median, work / taken.median / 1e9, work / taken.high / 1e9,
        work / taken.low / 1e9, shares["l2"], shares["own"], width, own_bytes,
    )  # fmt: skip


def boundary_seconds(repeat: int = timing.MIN_REPEAT) -> dict[str, float]:
    """What a call costs beside its edges: the passes of a network of one edge and one example."""
    from grapheme_numba.network.dagnn import DagNN

    calls = step_calls(DagNN.from_edges([0], [1], inputs=[0], outputs=[1]), 1)
    return {name: taken.median for name, (taken, _) in timing.interleave(calls, repeat).items()}
