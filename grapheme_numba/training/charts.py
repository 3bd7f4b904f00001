"""Charts as SVG text: lines over epochs and bars, readable in light and dark, without any script."""

import math
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 34
MOST_POINTS = 600  # per line; more would only make the file larger


class Line(NamedTuple):
    """One line of a chart: `points` are (x, y); `dashed` lines are references."""

    name: str
    points: list[tuple[float, float]]
    dashed: bool = False


def line_chart(title: str, lines: list[Line], *, log: bool = False, x_name: str = "epoch", y_name: str = "") -> str:
    """A chart of several lines with axes and a legend; lines without a finite point are left out."""
    lines = [line._replace(points=usable(line.points, log)) for line in lines]
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_scale = scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, False)
    y_low, y_high = (min(ys), max(ys)) if log else (min(0.0, *ys), max(ys))
    y_scale = scale(y_low, y_high, HEIGHT - BOTTOM, TOP, log)
    parts = [grid(x_scale, y_scale, (min(xs), max(xs)), (y_low, y_high), log)]
    legend = []
    for index, line in enumerate(lines):
        path = " ".join(f"{x_scale(x):.1f},{y_scale(y):.1f}" for x, y in line.points)
        kind = f"line c{index % 8}" + (" dashed" if line.dashed else "")
        if len(line.points) == 1:
            x, y = line.points[0]
            parts.append(f'<circle class="c{index % 8} dot" cx="{x_scale(x):.1f}" cy="{y_scale(y):.1f}" r="3"/>')
        parts.append(f'<polyline class="{kind}" points="{path}"><title>{escape(line.name)}</title></polyline>')
        legend.append(f'<span><i class="c{index % 8}{" dashed" if line.dashed else ""}"></i>{escape(line.name)}</span>')
    parts.append(f'<text class="axis" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_name)}</text>')
    return figure(title + (f", {y_name}" if y_name else ""), "".join(parts), "".join(legend))


def bar_chart(title: str, bars: list[tuple[str, float]], y_name: str = "") -> str:
    """Bars with their names below and their values above."""
    if not bars:
        return ""
    top = max(value for _, value in bars) or 1.0
    room = (WIDTH - LEFT - RIGHT) / len(bars)
    parts = []
    for index, (name, value) in enumerate(bars):
        height = (HEIGHT - TOP - BOTTOM - 14) * value / top
        x, y = LEFT + room * index, HEIGHT - BOTTOM - height
        middle = x + room / 2
        parts.append(
            f'<rect class="bar" x="{x + room * 0.1:.1f}" y="{y:.1f}" width="{room * 0.8:.1f}" height="{height:.1f}"/>'
        )
        if len(bars) <= 24:
            parts.append(
                f'<text class="axis" x="{middle:.1f}" y="{y - 4:.1f}" text-anchor="middle">{value:,.0f}</text>'
            )
            parts.append(
                f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
                f"{escape(name)}</text>"
            )
    return figure(title + (f", {y_name}" if y_name else ""), "".join(parts), "")


def label(x: float, y: float, text: str) -> str:
    """A small text around x."""
    return f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(text)}</text>'


def figure(title: str, body: str, legend: str) -> str:
    """An SVG with its title and legend."""
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{body}</svg><div class="legend">{legend}</div></figure>'
    )


def usable(points, log: bool) -> list[tuple[float, float]]:
    """Finite points (above 0 for a logarithmic axis), thinned to MOST_POINTS with the last one kept."""
    good = [(x, y) for x, y in points if y is not None and math.isfinite(y) and (y > 0 or not log)]
    every = math.ceil(len(good) / MOST_POINTS) or 1
    return good[::every] + (good[-1:] if good and (len(good) - 1) % every else [])


def scale(low: float, high: float, start: float, end: float, log: bool):
    """The function from a value to a coordinate."""
    if log:
        low, high = math.log10(low), math.log10(high)
    span = high - low

    def to(value: float) -> float:
        at = math.log10(value) if log else value
        return start + (end - start) * ((at - low) / span if span > 0 else 0.5)

    return to


def short(value: float) -> str:
    """A number of at most four significant digits, without an exponent where that is short."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def grid(x_scale, y_scale, x_range, y_range, log: bool) -> str:
    """Grid lines with their numbers."""
    parts = []
    for y in ticks(*y_range, log):
        at = y_scale(y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{short(y)}</text>')
    for x in ticks(*x_range, False):
        parts.append(label(x_scale(x), HEIGHT - BOTTOM + 15, short(x)))
    return "".join(parts)


def ticks(low: float, high: float, log: bool) -> list[float]:
    """A few round values within [low, high]."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for marks in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
            found = [10.0**p * m for p in powers for m in marks if low <= 10.0**p * m <= high]
            if len(found) >= 3:
                break
        return found or [low]
    if high <= low:
        return [low]
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)
    first = math.ceil(low / step - 1e-9)
    return [first * step + i * step for i in range(12) if first * step + i * step <= high * (1 + 1e-9) + 1e-12]
