"""Numbers as a reader wants them: few digits, no surprise; and the round ones beside an axis."""

import math

# Control characters, lone surrogates and the like have no place in HTML.
UNFIT = (*(code for code in range(32) if code not in (9, 10)), *range(127, 160), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
REPLACED = dict.fromkeys(UNFIT, "\N{REPLACEMENT CHARACTER}")
FILTERS = ("compact", "duration", "number", "setting", "share", "two_digits")  # that templates use
UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value: float | None) -> str:
    """Four significant digits, whole numbers in full, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not finite"
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    if 1000 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def compact(value: float) -> str:
    """At most five characters or so, for axes: 100k, 2.5M, 0.05, 1e-5."""
    for unit, letter in UNITS:
        if abs(value) >= unit and (letter != "k" or abs(value) >= 1e4):
            return f"{value / unit:.3g}{letter}"
    if 0 < abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Per cent with one digit, or a dash; 100 % only when it is all of them."""
    if value is None:
        return "–"
    return "100 %" if value == 1 else f"{min(100.0 * value, 99.9):.1f} %"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours in two parts."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def two_digits(ratio: float) -> str:
    """Two decimals, or two digits where it is small."""
    return f"{ratio:.2f}" if ratio > 0.095 else number(float(f"{ratio:.2g}"))


def setting(value: object) -> str:
    """A setting's value as text."""
    if isinstance(value, list | tuple | dict) and not value:
        return "–"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "–" if value is None else str(value)


def without_controls(text: str) -> str:
    """The text with every character that HTML does not allow replaced."""
    return text.translate(REPLACED)


def round_step(raw: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is at least `raw`."""
    unit = 10.0 ** math.floor(math.log10(raw))
    return next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * (1 - 1e-9))


def linear_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 multiples of 1, 2 or 5 times a power of ten within the span; pygal's own are of 2, 4 or 8."""
    step = round_step((high - low) / most)
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Three to seven of the numbers 1, 2, 5 or finer times powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 6))
    for marks in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        powers = [10.0**p for p in range(first, last + 1) if p % every == 0 or len(marks) > 1]
        ticks = [power * m for power in powers for m in marks if low <= power * m <= high]
        if len(ticks) >= 3:
            break
    return ticks[:: math.ceil(len(ticks) / 7)] if len(ticks) >= 2 else linear_ticks(low, high, 4)


def epoch_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Whole numbers, the first and the last of them among them; between them those that have room."""
    first, last = math.ceil(low), math.floor(high)
    if last <= first:
        return [first]
    room = (high - low) / most / 2
    # the first one also says what is counted, so it takes twice the room
    ticks = [t for t in linear_ticks(low, high, most) if t == int(t) and t - first >= 1.7 * room and last - t >= room]
    return [first, *ticks, last]
