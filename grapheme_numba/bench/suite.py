"""Whole runs of a bench: which measurements, in which order, gathered into one record.

Activation functions are timed here: the engine's vectors beside a compiled scalar loop through the C library.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.bench import kernels, peers, records, timing
from grapheme_numba.bench.cases import CASES, find_case, network_of
from grapheme_numba.errors import GraphemeError, UsageError
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.jit import n_threads, set_threads
from grapheme_numba.kernels.bench.baselines import scalar_function, vector_function

NAMES = ("tanh", "sigmoid", "gelu")
SIZE = 4096
TOLERANCE = 2e-6


class FunctionRate(NamedTuple):
    """10^9 values a second of one function, ours and the scalar loop's, and how many times faster ours is."""

    name: str
    rate: float
    scalar_rate: float
    ratio: float
    low: float
    high: float
    error: float


def function_rates(repeat: int = timing.MIN_REPEAT, clock: str = "wall") -> list[FunctionRate]:
    """The `FunctionRate` of each of `NAMES` on 4,096 values in level 1. Raises GraphemeError where they differ."""
    values = np.random.default_rng(0).normal(0, 2, SIZE).astype(np.float32)
    return [_rate(name, values, repeat, clock) for name in NAMES]


def _rate(name: str, values: npt.NDArray[np.float32], repeat: int, clock: str) -> FunctionRate:
    kind, ours, theirs = ACTIVATIONS[name], np.empty_like(values), np.empty_like(values)
    calls = {
        "ours": lambda: vector_function(kind, values, ours),
        "scalar": lambda: scalar_function(kind, values, theirs),
    }
    measured = timing.interleave(calls, repeat, clock)
    error = float(np.abs(ours - theirs).max())
    if error > TOLERANCE:
        raise GraphemeError(f"{name} differs from the C library's by {error:.1e}, more than {TOLERANCE}")
    rate, scalar_rate = (SIZE / measured[side][0].median / 1e9 for side in ("ours", "scalar"))
    ratio, low, high = timing.ratio_of(measured["ours"][1], measured["scalar"][1])
    return FunctionRate(name, rate, scalar_rate, ratio, low, high, error)


QUICK_CASES = ("layered-10x1000x32", "irregular-20k-400k", "classifier-64-128-10")
# Beside the networks of the baselines' own comparisons, which `peers` uses.
KERNEL_CASES = tuple(name for name in CASES if not name.startswith(("layered-8x", "layered-24x")))


def run_kernels(
    names: Iterable[str], batches: Sequence[int], threads: Sequence[int], repeat: int,
    note: Callable[[kernels.Rate], object] = lambda row: None, clock: str = "wall",
) -> dict[str, Any]:  # fmt: skip
    """Ceilings, then every case; `note` is called with each `Rate`. Returns the record.

    `clock` is a key of `timing.CLOCKS`. Raises UsageError for `cpu` with several threads.
    """
    one_thread(threads, clock)
    cases = [find_case(name) for name in names]
    before = n_threads()
    ceilings: list[kernels.Ceiling] = []
    for count in threads:
        set_threads(count)
        ceilings += kernels.ceilings(repeat, clock=clock)
    rows = []
    for case in cases:
        network = network_of(case)
        for row in kernels.rates_of(case, batches, threads, repeat, network, clock):
            rows.append(row)
            note(row)
    set_threads(before)
    boundary = kernels.boundary_seconds(repeat)
    more: dict[str, object] = {
        "ceilings": [one._asdict() for one in ceilings],
        "boundary_seconds": boundary,
        "clock": clock,
    }
    more["functions"] = [one._asdict() for one in function_rates(repeat, clock)]
    return records.as_record("kernels", rows, **more)


def run_peers(
    names: Collection[str], cases: Collection[str], batch: int | None, threads: Sequence[int], repeat: int,
    note: Callable[[peers.Comparison | str], object] = lambda row: None, clock: str = "wall",
) -> dict[str, Any]:  # fmt: skip
    """Every baseline of `names` on its cases (`cases` none: those where it is at home). Returns the record.

    `note` is called with each `Comparison`, and with a sentence for each baseline that cannot run here.
    """
    one_thread(threads, clock)
    unknown = sorted(set(names) - set(peers.BASELINES))
    if unknown:
        raise UsageError(f"there is no baseline {unknown[0]!r}; choose from {', '.join(peers.BASELINES)}")
    rows, left_out = [], []
    for name, case, at_home, counts in peers.PLAN:
        if name not in names or (cases and case not in cases):
            continue
        if package := peers.missing(name):
            left_out.append(f"{name} on {case}: {package} is not installed")
            note(left_out[-1])
            continue
        chosen = [count for count in counts if count in threads]
        for row in peers.compare(name, case, batch or at_home, chosen, repeat, clock=clock) if chosen else ():
            rows.append(row)
            note(row)
    return records.as_record("peers", rows, left_out=left_out, clock=clock)


def one_thread(threads: Iterable[int], clock: str) -> None:
    """Refuse to measure several threads by processor time. Raises UsageError."""
    if clock == "cpu" and set(threads) != {1}:
        raise UsageError(
            f"--clock cpu measures one thread only, got --threads {','.join(map(str, threads))}: of several threads "
            "processor time cannot tell which waited; add --threads 1 or use the wall clock"
        )


def summary(values: Iterable[float | None]) -> float | None:
    """Geometric mean of ratios, or None of none."""
    given = [value for value in values if value]
    return float(np.exp(np.mean(np.log(given)))) if given else None
