"""Medians of repeated calls, alone or interleaved with a baseline's so that noise hits both.

Two clocks: `wall` is what a user waits for; `cpu` is the processor time of this process, which other
programs on the machine hardly disturb. It is for one thread: of several it cannot tell which waited.
"""

import statistics
import time
from typing import NamedTuple

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
MIN_SECONDS = 0.02
MIN_REPEAT = 5


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


def timing_of(seconds):
    """The `Timing` of a list of measurements."""
    return Timing(statistics.median(seconds), min(seconds), max(seconds))


def ratio_of(ours, theirs):
    """The `Ratio` theirs / ours of two lists measured in turn, pair by pair."""
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def measure(call, repeat=MIN_REPEAT, clock="wall"):
    """The `Timing` of `call`, warmed once; short calls are repeated until a measurement is long enough."""
    return interleave({"only": call}, repeat, clock)["only"][0]


def interleave(calls, repeat=MIN_REPEAT, clock="wall"):
    """Measure several calls in turn, round after round.

    Parameters
    ----------
    calls : dict of str to callable without arguments
    repeat : int
        Rounds; at least 5, so that a median means something.
    clock : str
        A key of `CLOCKS`.

    Returns
    -------
    dict of str to (Timing, list of seconds per round)
    """
    counts, seconds, tick = {}, {name: [] for name in calls}, CLOCKS[clock]
    for name, call in calls.items():
        call()
        counts[name] = max(1, round(MIN_SECONDS / max(_seconds(call, 1, tick), 1e-7)))
    for _ in range(max(repeat, MIN_REPEAT)):
        for name, call in calls.items():
            seconds[name].append(_seconds(call, counts[name], tick))
    return {name: (timing_of(values), values) for name, values in seconds.items()}


def _seconds(call, count, tick):
    start = tick()
    for _ in range(count):
        call()
    return (tick() - start) / count
