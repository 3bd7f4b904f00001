"""Axes: from values to places on a square of 1000 by 1000, and the round numbers beside it."""

import math
from typing import NamedTuple

SIDE = 1000  # a plot's own coordinates; the page stretches them to any width and height


class Axis(NamedTuple):
    """The span of values from one end of a plot to the other."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> int:
        """The place of `value`, 0 at `low` and SIDE at `high`."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        return round(SIDE * ((math.log10(value) if self.log else value) - low) / (high - low))

    def ticks(self, most: int = 5) -> list[float]:
        """A few round values within the span."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high, most)


def axis_of(values: list[float], *, log: bool = False, from_zero: bool = False) -> Axis:
    """The axis that holds all values, with a little air; logarithmic only where all are above 0."""
    low, high = min(values), max(values)
    if log and low > 0:
        air = max((high / low) ** 0.04, 1.02)
        return Axis(low / air, high * air, True)
    if from_zero:
        low, high = min(low, 0.0), max(high, 0.0)
        return Axis(low, high + (high - low) * 0.04 or 1.0)
    if low == high:
        return Axis(low - 0.5, high + 0.5)
    return Axis(low, high)


def linear_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 multiples of 1, 2 or 5 times a power of ten."""
    step = round_step((high - low) / most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def round_step(raw: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is at least `raw`."""
    unit = 10.0 ** math.floor(math.log10(raw))
    return next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * (1 - 1e-9))


def log_ticks(low: float, high: float) -> list[float]:
    """Three to seven of the numbers 1, 2, 5 or finer times powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 6))
    found = [10.0**p for p in range(first, last + 1) if p % every == 0 and low <= 10.0**p <= high]
    for marks in ((1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        if len(found) >= 3:
            return found
        found = [10.0**p * m for p in range(first, last + 1) for m in marks if low <= 10.0**p * m <= high]
    return found[:: math.ceil(len(found) / 7)] if len(found) >= 2 else linear_ticks(low, high, 4)


def whole_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Ticks for epochs: whole numbers, the first and the last of them among them where there is room."""
    ticks = [t for t in linear_ticks(low, high, most) if t == int(t)]
    room = (high - low) / most / 2
    first, last = math.ceil(low), math.floor(high)
    # the first one also says what is counted, so it takes twice the room
    ticks = [t for t in ticks if t - first >= 1.7 * room and last - t >= room]
    return [first, *ticks, last] if last > first else [first]
