"""Line and bar charts as SVG: drawn by pygal, coloured by the page's style, with values under the pointer.

pygal writes a style, a script and comments into every chart; they are removed, so the page stays free of scripts
and its one style serves light and dark. Matplotlib needs 0.8 s to load and 90 ms a chart where
pygal needs 0.03 s and 6 ms: too much for a report that is written while a run trains. Plotly, Bokeh and Vega put more
than 1 MB of script into every page.
"""

import math
import re
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard
from xml.etree import ElementTree

from grapheme_numba.report.numbers import compact, epoch_ticks, linear_ticks, log_ticks, number, without_controls

MOST_POINTS = 240  # per line; a plot is rarely wider than 600 pixels
MOST_HOVERS = 24  # places along a plot whose values the pointer shows
FEW_POINTS = 12  # up to so many are marked by dots
LARGE, SMALL = (560, 240, 18), (280, 180, 12)  # width, height, size of text; a phone scales the large one down
KEPT = ("g", "path", "text", "circle", "rect")  # of what pygal writes
COORDINATES = {"d", "x", "y", "cx", "cy", "width", "height"}
Point = tuple[float, float | None]


class Line(NamedTuple):
    """One line: `points` are (x, y), y None where there is no finite value; `kind` are classes of the style."""

    name: str
    points: list[Point]
    kind: str = "validation"
    best: float | None = None  # the x of a point to mark


class LineChart(NamedTuple):
    """Lines over epochs; the scale is logarithmic only where `log` and all values are above 0, and ends at `top`."""

    title: str
    lines: list[Line]
    note: str = ""
    log: bool = False
    unit: str = ""
    top: float | None = None
    size: tuple[int, int, int] = SMALL


class Bar(NamedTuple):
    """A bar: the name below it (empty for none), its value, and what the pointer shows."""

    name: str
    value: float
    text: str


class BarChart(NamedTuple):
    """Bars over a common floor; up to 8 show their values. Names stand below a bar's middle, or its left edge."""

    title: str
    bars: list[Bar]
    note: str = ""
    at_edge: bool = False


def line_svg(chart: LineChart) -> str:
    """The chart as an SVG element; nothing without a finite point."""
    lines = [line for line in chart.lines if any(is_finite(y) for _, y in line.points)]
    if not lines:
        return ""
    values = [y for line in lines for _, y in line.points if is_finite(y)]
    log = chart.log and min(values) > 0
    low, high = (min(values), chart.top or max(values)) if log else (min(0.0, *values), chart.top or max(0.0, *values))
    high = high if high > low else low * 1.1 if log else low + 1.0
    xs = [x for line in lines for x, _ in line.points]
    first, last = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 0.5, min(xs) + 0.5)
    scaled = (lambda y: math.log10(y)) if log else (lambda y: y)
    plot = blank_chart("XY", chart.size)
    plot.range, plot.xrange = (scaled(low), scaled(high)), (first, last)
    ticks = log_ticks(low, high) if log else linear_ticks(low, high)
    plot.y_labels = [{"label": compact(y) + chart.unit, "value": scaled(y)} for y in ticks]
    names = [(x, compact(x)) for x in epoch_ticks(min(xs), max(xs), 6 if chart.size is LARGE else 4)]
    plot.x_labels = [{"label": f"epoch {text}" if i == 0 else text, "value": x} for i, (x, text) in enumerate(names)]
    kinds = []
    # what is drawn last lies on top: references lowest, then training, then validation
    for line in sorted(lines, key=lambda line: ("fixed" not in line.kind, "validation" in line.kind)):
        few = len(line.points) <= FEW_POINTS and "fixed" not in line.kind
        points = [(x, scaled(y) if is_finite(y) else None) for x, y in line.points]
        plot.add("", lone_doubled(decimated(points)), show_dots=few, dots_size=2.5)
        kinds.append(line.kind)
        best = [point for point in points if point[0] == line.best and point[1] is not None]
        if best:  # a series takes pygal a millisecond
            plot.add("", best, show_dots=True, dots_size=4.5)
            kinds.append(line.kind)
    words = f"{chart.title}. {'; '.join(in_words(line, chart.unit) for line in lines)}."
    return svg_text(plot, kinds, words, lambda svg: add_hovers(svg, plot.view, lines, chart.unit))


def bar_svg(chart: BarChart) -> str:
    """The chart as an SVG element; nothing without a bar above 0."""
    highest = max((bar.value for bar in chart.bars), default=0)
    if not highest:
        return ""
    plot = blank_chart("Bar", SMALL)
    few = len(chart.bars) <= 8
    plot.config(print_values=few, print_values_position="top", range=(0, highest * (1.18 if few else 1.04)))
    plot.formatter, plot.x_labels = compact, [bar.name for bar in chart.bars]
    plot.y_labels = [{"label": compact(y), "value": y} for y in linear_ticks(0, highest, 4)]
    # the rarest is still seen
    plot.add("", [max(bar.value, highest / 100) if bar.value else None for bar in chart.bars])
    texts = [bar.text for bar in chart.bars if bar.value]

    def add_titles(svg: ElementTree.Element) -> None:
        for bar, text in zip(svg.iterfind(".//g[@class='bar']"), texts, strict=True):
            ElementTree.SubElement(bar, "title").text = without_controls(text)
        for name in svg.iterfind(".//g[@class='axis x']/g/text") if chart.at_edge else ():
            name.set("x", f"{float(name.get('x', 0)) - plot.view.width / len(chart.bars) / 2:.1f}")

    return svg_text(plot, ["bars"], f"{chart.title}. {'; '.join(texts)[:600]}.", add_titles)


@cache
def library() -> Any:
    """pygal; loaded late, because that takes 30 ms that no start of the program should pay."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()  # the same bytes whether or not lxml is installed
    # its hook for plug-ins of maps is of a kind that Python 3.11 warns of at the next import that fails
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def blank_chart(kind: str, size: tuple[int, int, int]) -> Any:
    """A pygal chart without its own style, script and legend."""
    width, height, text = size
    style = library().style.Style(label_font_size=text, major_label_font_size=text, value_font_size=text)
    plain = {
        "css": [],
        "js": [],
        "show_legend": False,
        "truncate_label": -1,
        "allow_interruptions": True,
        "strict": True,
    }
    return getattr(library(), kind)(width=width, height=height, style=style, margin=4, margin_right=16, **plain)


def svg_text(plot: Any, kinds: list[str], words: str, add_titles: Callable[[ElementTree.Element], None]) -> str:
    """A chart's SVG with `kinds` as classes of its series, described by `words` for those who cannot see it."""

    def finish(svg: ElementTree.Element) -> ElementTree.Element:
        for parent in list(svg.iter()):
            for child in list(parent):
                if child.tag not in KEPT or child.get("class") in ("background", "titles", "plot tooltip-overlay"):
                    parent.remove(child)
            for name in COORDINATES.intersection(parent.keys()):
                parent.set(name, re.sub(r"(\.\d)\d+", r"\1", parent.get(name, "")))  # tenths of a pixel
            classes = parent.get("class", "").split()
            if classes[:1] == ["series"]:
                parent.set("class", f"series {kinds[int(classes[1].removeprefix('serie-'))]}")
        add_titles(svg)
        return svg

    plot.add_xml_filter(finish)
    svg = plot.render_tree()
    svg.attrib.pop("id")
    svg.attrib.pop("xmlns", None)  # a page needs none inside, and then holds no address at all
    svg.attrib |= {"role": "img", "class": "chart", "aria-label": without_controls(words)}
    return ElementTree.tostring(svg, encoding="unicode")


def is_finite(value: float | None) -> TypeGuard[float]:
    """Whether there is a value, and it is a finite number."""
    return value is not None and math.isfinite(value)


def decimated(points: list[Point]) -> list[Point]:
    """At most MOST_POINTS of them, in order, with the ends and every peak, dip and gap of each stretch."""
    if len(points) <= MOST_POINTS:
        return points
    width = math.ceil(len(points) / (MOST_POINTS // 3 - 1))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), width):
        stretch = range(start, min(start + width, len(points)))
        seen = [i for i in stretch if points[i][1] is not None]
        kept |= {*sorted(seen, key=lambda i: points[i][1] or 0.0)[:: max(1, len(seen) - 1)]}
        kept |= {*[i for i in stretch if points[i][1] is None][:1]}
    return [points[i] for i in sorted(kept)]


def lone_doubled(points: list[Point]) -> list[Point]:
    """The points, those between two gaps twice: a line of no length is a dot, but pygal leaves single points out."""
    heights = [None, *(y for _, y in points), None]
    lone = [before is None and after is None for before, after in zip(heights, heights[2:], strict=False)]
    return [point for point, twice in zip(points, lone, strict=True) for _ in range(1 + twice)]


def add_hovers(svg: ElementTree.Element, view: Any, lines: list[Line], unit: str) -> None:
    """Invisible strips over a plot that show the values of all lines at an epoch under the pointer."""
    moving = [line for line in lines if "fixed" not in line.kind] or lines
    xs = sorted({x for x, _ in min((line.points for line in moving), key=len)})
    xs = xs[:: math.ceil(len(xs) / MOST_HOVERS)]
    values = [dict(line.points) for line in lines]
    edges = [0.0, *((view.x(a) + view.x(b)) / 2 for a, b in pairwise(xs)), view.width]
    strips = ElementTree.SubElement(svg[0][0], "g", {"class": "hovers"})  # above the lines, in the plot's coordinates
    for x, left, right in zip(xs, edges, edges[1:], strict=False):
        strip = ElementTree.SubElement(strips, "g")
        box = {"x": f"{left:.1f}", "width": f"{right - left:.1f}", "height": f"{view.height:.1f}"}
        ElementTree.SubElement(strip, "rect", box)
        ElementTree.SubElement(strip, "path", {"d": f"M{view.x(x):.1f} 0V{view.height:.1f}"})
        texts = [
            f"{line.name} {number(points[x])}{unit}"
            for line, points in zip(lines, values, strict=True)
            if is_finite(points.get(x))
        ]
        title = ElementTree.SubElement(strip, "title")
        title.text = without_controls(f"epoch {compact(x)}: {', '.join(texts)}")


def in_words(line: Line, unit: str) -> str:
    """A line in words."""
    seen = [(x, y) for x, y in line.points if is_finite(y)]
    (_, first), (x, last) = seen[0], seen[-1]
    if "fixed" in line.kind or len(seen) == 1:
        return f"{line.name} {number(last)}{unit}"
    low, high = min(y for _, y in seen), max(y for _, y in seen)
    return (
        f"{line.name} from {number(first)}{unit} to {number(last)}{unit} at epoch {compact(x)}, "
        f"lowest {number(low)}{unit}, highest {number(high)}{unit}"
    )
