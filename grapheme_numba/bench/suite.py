"""Whole runs of a bench: which measurements, in which order, gathered into one record."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from grapheme_numba.bench import kernels, peers, records, roofline
from grapheme_numba.bench.cases import CASES, find_case, network_of
from grapheme_numba.bench.functions import function_rates
from grapheme_numba.errors import UsageError
from grapheme_numba.jit import n_threads, set_threads

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
    ceilings: list[roofline.Ceiling] = []
    for count in threads:
        set_threads(count)
        ceilings += roofline.ceilings(repeat, clock=clock)
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
