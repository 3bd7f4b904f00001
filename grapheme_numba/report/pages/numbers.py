"""Numbers as a reader wants them: few digits, no surprise."""

import math

LARGE = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number(value) -> str:
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
    for unit, letter in LARGE:
        if abs(value) >= unit and (letter != "k" or abs(value) >= 1e4):
            return f"{value / unit:.3g}{letter}"
    if 0 < abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.2e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def share(value) -> str:
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
