"""Medians of repeated calls, alone or interleaved with a baseline's so that noise hits both.

Two clocks: `wall` is what a user waits for; `cpu` is the processor time of this process, which other
programs on the machine hardly disturb. It is for one thread: of several it cannot tell which waited.
"""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
MIN_SECONDS = 0.02
MIN_REPEAT = 5

Name = TypeVar("Name", bound=Hashable)


class Timing(NamedTuple):
    """Seconds of one call: the median of several measurements, their lowest and their highest."""

    median: float
    low: float
    high: float


class Ratio(NamedTuple):
    """How many times faster ours is: the median over measurement pairs, the lowest and the highest."""

    median: float
    low: float
    high: float


def timing_of(seconds: Sequence[float]) -> Timing:
    """The `Timing` of a list of measurements."""
    return Timing(statistics.median(seconds), min(seconds), max(seconds))


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """The `Ratio` theirs / ours of two lists measured in turn, pair by pair."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def measure(call: Callable[[], object], repeat: int = MIN_REPEAT, clock: str = "wall") -> Timing:
    """The `Timing` of `call`, warmed once; short calls are repeated until a measurement is long enough."""
    return interleave({"only": call}, repeat, clock)["only"][0]


def interleave(
    calls: Mapping[Name, Callable[[], object]], repeat: int = MIN_REPEAT, clock: str = "wall"
) -> dict[Name, tuple[Timing, list[float]]]:
    """Measure several calls in turn, round after round.

    Parameters
    ----------
    calls : dict of name to callable without arguments
    repeat : int
        Rounds; at least 5, so that a median means something.
    clock : str
        A key of `CLOCKS`.

    Returns
    -------
    dict of name to (Timing, list of seconds per round)
    """
    counts, tick = {}, CLOCKS[clock]
    seconds: dict[Name, list[float]] = {name: [] for name in calls}
    for name, call in calls.items():
        call()
        counts[name] = max(1, round(MIN_SECONDS / max(_seconds(call, 1, tick), 1e-7)))
    for _ in range(max(repeat, MIN_REPEAT)):
        for name, call in calls.items():
            seconds[name].append(_seconds(call, counts[name], tick))
    return {name: (timing_of(values), values) for name, values in seconds.items()}


def _seconds(call: Callable[[], object], count: int, tick: Callable[[], float]) -> float:
    start = tick()
    for _ in range(count):
        call()
    return (tick() - start) / count
