"""Charts of HTML and SVG without any script: sharp text at every width, in light and dark.

The SVG holds only shapes, on a square that is stretched to whatever room there is; its strokes keep their
width. Numbers and names are HTML around and over it, so a phone shows them as large as a desk does.
"""

import math
from itertools import pairwise
from typing import NamedTuple

from grapheme_numba.report.pages.axes import SIDE, Axis, axis_of, whole_ticks
from grapheme_numba.report.pages.markup import plain
from grapheme_numba.report.pages.numbers import compact, number

MOST_POINTS = 240  # per line; a plot is rarely wider than 600 pixels
MOST_HOVERS = 24  # places along a plot that tell their values under the pointer
FEW_POINTS = 12  # up to so many are marked by dots


class Line(NamedTuple):
    """One line: `points` are (x, y), y None where there is no finite value; `kind` are classes of the style."""

    name: str
    points: list[tuple[float, float | None]]
    kind: str = "validation"
    best: float | None = None  # the x of a point to mark


def line_chart(
    title: str, lines: list[Line], *, log=False, y_axis: Axis | None = None, unit="", note="", n_tick=5
) -> str:
    """Lines over epochs as a figure; nothing without a finite point. `n_tick` is how many epochs there is room for."""
    lines = [line for line in lines if any(finite(y) for _, y in line.points)]
    if not lines:
        return ""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points if finite(y)]
    x_axis, y_axis = axis_of(xs), y_axis or axis_of(ys, log=log, from_zero=not log)
    shapes = [grid(y_axis)]
    # what is drawn last lies on top: references lowest, then training, then validation
    for line in sorted(lines, key=lambda line: ("fixed" not in line.kind, "validation" in line.kind)):
        shapes.append(trace(line, x_axis, y_axis))
    shapes.append(hovers(lines, x_axis, unit))
    ticks = [(SIDE - y_axis.at(y), compact(y) + unit) for y in y_axis.ticks()]
    names = [(x_axis.at(x), compact(x)) for x in whole_ticks(x_axis.low, x_axis.high, n_tick)]
    names[0] = (names[0][0], f"epoch {names[0][1]}")
    told = "; ".join(tell(line, unit) for line in lines)
    return figure(title, "".join(shapes), f"{title}. {told}.", ticks, names, note)


def finite(value) -> bool:
    """Whether there is a value, and it is a finite number."""
    return value is not None and math.isfinite(value)


def trace(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    """A line's path, broken where values are missing; dots where they are few; the best point marked."""
    runs, path = [[]], []
    for x, y in line.points:
        if finite(y):
            runs[-1].append((x_axis.at(x), SIDE - y_axis.at(y)))
        elif runs[-1]:
            runs.append([])
    for run in filter(None, runs):
        thin = thinned(run)
        path.append("M" + "L".join(f"{x} {y}" for x, y in thin) + ("h.1" if len(thin) == 1 else ""))
    marks = f'<path class="line {line.kind}" d="{"".join(path)}"/>'
    n_point = sum(map(len, runs))
    if n_point <= FEW_POINTS and "fixed" not in line.kind:
        marks += dots([point for run in runs for point in run], f"dots {line.kind}")
    best = [(x_axis.at(x), SIDE - y_axis.at(y)) for x, y in line.points if x == line.best and finite(y)]
    return marks + (dots(best[:1], f"dots best {line.kind}") if best else "")


def dots(points, kind: str) -> str:
    """Round marks: strokes of no length, which stay round however the plot is stretched."""
    return f'<path class="{kind}" d="{"".join(f"M{x} {y}h.1" for x, y in points)}"/>'


def thinned(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """At most MOST_POINTS of them, in order, with the ends and every peak and dip of each stretch."""
    if len(points) <= MOST_POINTS:
        return points
    width = math.ceil(len(points) / (MOST_POINTS // 2 - 1))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), width):
        stretch = range(start, min(start + width, len(points)))
        kept |= {min(stretch, key=lambda i: points[i][1]), max(stretch, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]


def grid(y_axis: Axis, most: int = 5) -> str:
    """A thin line at every number."""
    return '<path class="grid" d="' + "".join(f"M0 {SIDE - y_axis.at(y)}H{SIDE}" for y in y_axis.ticks(most)) + '"/>'


def hovers(lines: list[Line], x_axis: Axis, unit: str) -> str:
    """Invisible strips that show a rule and their values under the pointer."""
    moving = [line for line in lines if "fixed" not in line.kind]
    xs = sorted({x for x, _ in min((line.points for line in moving or lines), key=len)})
    xs = xs[:: max(1, math.ceil(len(xs) / MOST_HOVERS))]
    values = [dict(line.points) for line in lines]
    edges = [0, *(round((x_axis.at(a) + x_axis.at(b)) / 2) for a, b in pairwise(xs)), SIDE]
    strips = []
    for x, left, right in zip(xs, edges, edges[1:], strict=False):
        told = [
            f"{line.name} {number(points[x])}{unit}"
            for line, points in zip(lines, values, strict=True)
            if finite(points.get(x))
        ]
        text = plain(f"epoch {compact(x)}: {', '.join(told)}")
        strips.append(
            f'<g><rect x="{left}" width="{right - left}" height="{SIDE}"/><path d="M{x_axis.at(x)} 0V{SIDE}"/>'
            f"<title>{text}</title></g>"
        )
    return f'<g class="hovers">{"".join(strips)}</g>'


def tell(line: Line, unit: str) -> str:
    """A line in words."""
    seen = [(x, y) for x, y in line.points if finite(y)]
    (_, first), (x, last) = seen[0], seen[-1]
    if "fixed" in line.kind or len(seen) == 1:
        return f"{line.name} {number(last)}{unit}"
    low, high = min(y for _, y in seen), max(y for _, y in seen)
    return (
        f"{line.name} from {number(first)}{unit} to {number(last)}{unit} at epoch {compact(x)}, "
        f"lowest {number(low)}{unit}, highest {number(high)}{unit}"
    )


class Bar(NamedTuple):
    """A bar: the name below it (empty for none), its value, what the pointer tells."""

    name: str
    value: float
    told: str


def bar_chart(title: str, bars: list[Bar], note: str = "", at: float = 0.5) -> str:
    """Bars over a common floor; up to 8 show their values. Names stand at the share `at` of a bar's width."""
    if not any(bar.value for bar in bars):
        return ""
    top = max(bar.value for bar in bars) * (1.18 if len(bars) <= 8 else 1.04)
    y_axis, room = Axis(0.0, top), SIDE / len(bars)
    shapes, over = [grid(y_axis, 4)], []
    for index, bar in enumerate(bars):
        height = max(y_axis.at(bar.value), 8) if bar.value else 0  # the rarest is still seen
        x = round(room * (index + 0.08))
        shapes.append(
            f'<rect class="bar" x="{x}" y="{SIDE - height}" width="{max(1, round(room * 0.84))}" height="{height}">'
            f"<title>{plain(bar.told)}</title></rect>"
        )
        if len(bars) <= 8:
            place = f"left:{(index + 0.5) / len(bars):.1%};bottom:{height / SIDE:.1%}"
            over.append(f'<b style="{place}">{compact(bar.value)}</b>')
    names = [(round(room * (i + at)), bar.name) for i, bar in enumerate(bars) if bar.name]
    ticks = [(SIDE - y_axis.at(y), compact(y)) for y in y_axis.ticks(4)]
    told = "; ".join(bar.told for bar in bars if bar.value)
    return figure(title, "".join(shapes), f"{title}. {told[:600]}.", ticks, names, note, "".join(over), "centred")


def figure(title, shapes, told, ticks, names, note="", over="", kind="") -> str:
    """A plot with its title, the numbers left of it (place from the top, text) and the names below."""
    longest = max((text for _, text in ticks), key=len, default="")
    side = "".join(f'<span style="top:{place / SIDE:.1%}">{plain(text)}</span>' for place, text in ticks)
    below = "".join(
        f'<span style="left:{place / SIDE:.1%};--at:{-place / SIDE:.1%}">{plain(text)}</span>' for place, text in names
    )
    return (
        f'<figure class="chart {kind}"><figcaption>{plain(title)}{f" <small>{plain(note)}</small>" if note else ""}'
        f'</figcaption><div class="plot"><div class="side" aria-hidden="true"><i>{plain(longest)}</i>{side}</div>'
        f'<div class="area"><svg viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{plain(told)}">{shapes}</svg>{over}</div>'
        f'<div class="below" aria-hidden="true">{below}</div></div></figure>\n'
    )
