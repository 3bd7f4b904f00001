"""Charts: lines and points as SVG, drawn by pygal and coloured by the page's style; histograms as plain data.

pygal writes a style, a script and comments into every chart; they are removed, so the page stays free of scripts
and its one style serves light and dark. Matplotlib needs 0.8 s to load and 90 ms a chart where
pygal needs 0.08 s and 6 ms: too much for a report that is written while a run trains. ziaplot needs 10 ms a chart, and
writes colours into every line. Plotly, Bokeh and Vega put more than 1 MB of script into every page. What `plot`
writes for papers and slides (PNG, SVG, PDF) is drawn by Matplotlib.
"""

import io
import math
import re
import sys
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeGuard
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import UsageError
from grapheme_numba.report.numbers import (
    compact,
    epoch_ticks,
    linear_ticks,
    log_ticks,
    number,
    round_step,
    without_controls,
)
from grapheme_numba.runs.run_folder import SavedRun

MOST_POINTS = 240  # per line; a plot is rarely wider than 600 pixels
MOST_HOVERS = 24  # places along a plot whose values the pointer shows
FEW_POINTS = 12  # up to so many are marked by dots
MOST_BARS = 32
LARGE, SMALL = (560, 240, 18), (280, 180, 12)  # width, height, size of text; a phone scales the large one down
KEPT = ("g", "path", "text", "circle", "rect")  # of what pygal writes
COORDINATES = {"d", "x", "y", "cx", "cy", "width", "height"}
Point = tuple[float, float | None]
Figure = dict[str, Any]  # title, note, and `svg` or `bars`


class Line(NamedTuple):
    """One line: `points` are (x, y), y None where there is no finite value; `kind` are classes of the style."""

    name: str
    points: list[Point]
    kind: str = "validation"
    best: float | None = None  # the x of a point to mark


def line_chart(
    title: str, lines: list[Line], note: str = "", *, log: bool = False, unit: str = "", top: float | None = None,
    size: tuple[int, int, int] = SMALL,
) -> Figure | None:  # fmt: skip
    """Lines over epochs; None without a finite point.

    The scale is logarithmic only where `log` and all values are above 0, and ends at `top`.
    """
    lines = [line for line in lines if any(is_finite(y) for _, y in line.points)]
    if not lines:
        return None
    values = [y for line in lines for _, y in line.points if is_finite(y)]
    log = log and min(values) > 0
    low, high = (min(values), top or max(values)) if log else (min(0.0, *values), top or max(0.0, *values))
    high = high if high > low else low * 1.1 if log else low + 1.0
    scaled = math.log10 if log else float
    xs = [x for line in lines for x, _ in line.points]
    plot = blank_chart(size, (min(xs), max(xs)), (scaled(low), scaled(high)))
    ticks = log_ticks(low, high) if log else linear_ticks(low, high)
    plot.y_labels = [{"label": compact(y) + unit, "value": scaled(y)} for y in ticks]
    names = [(x, compact(x)) for x in epoch_ticks(min(xs), max(xs), 6 if size is LARGE else 4)]
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
    words = "; ".join(in_words(line, unit) for line in lines)
    return figure(title, note, plot, kinds, words, lambda view: hovers(view, lines, unit))


def scatter(
    title: str, note: str, points: list[tuple[float, float]], words: str, *, unit: bool = False, dots: float = 1
) -> Figure:
    """Points on two axes of one scale, from 0 to 1 where `unit`, and the line on which both are equal."""
    every = [0.0, 1.0] if unit else [value for point in points for value in point]
    low, high = (min(every), max(every)) if min(every) < max(every) else (every[0] - 0.5, every[0] + 0.5)
    plot = blank_chart(SMALL, (low, high), (low, high))
    for name in ("x_labels", "y_labels"):
        setattr(plot, name, [{"label": compact(at), "value": at} for at in linear_ticks(low, high, 4)])
    plot.add("", [(low, low), (high, high)], show_dots=False)

    def marks(view: Any) -> ElementTree.Element:
        path = "".join(f"M{view.x(x):.1f} {view.y(y):.1f}h.1" for x, y in points)
        return ElementTree.Element(
            "path", {"d": path, "class": "points", "style": f"stroke-width:{9 if unit else 3.5}"}
        )

    return figure(title, note, plot, ["fixed"], words, marks)


def histogram(title: str, values: npt.NDArray[Any], what: str, of: str = "", times: Any = None) -> Figure:
    """How many values lie where, over the whole span of the finite ones: `bars` of a name, a count, and a text.

    Bins are of a round width; of whole numbers at least 1, and they double where a few are very large.

    of : what whole numbers say, else empty; times : how often every value counts
    """
    values = values[np.isfinite(values)].astype(np.float64)
    low, high = (values.min(), values.max()) if len(values) else (0.0, 0.0)
    if of:
        step = float(max(1, round(round_step((high + 1) / MOST_BARS))))
        edges = np.arange(0, high + step + 1, step)
        if high > 16 and high > 12 * max(1.0, float(np.median(values))):
            edges = np.array([0, *2.0 ** np.arange(int(high).bit_length() + 1)])
    elif low == high:
        edges = np.zeros(0)
    else:
        step = round_step((high - low) / MOST_BARS)
        edges = step * np.arange(math.floor(low / step), math.floor(high / step) + 2)
    counts = np.histogram(values, edges, weights=times)[0].tolist() if len(edges) else []
    bars = []
    for (a, b), n in zip(pairwise(edges.tolist()), counts, strict=True):
        span = f"{of} {a:,.0f}" + (f" to {b - 1:,.0f}" if b - a > 1 else "") if of else f"from {a:.4g} to {b:.4g}"
        bars.append([compact(a), n, f"{n:,} {what} {span}"])
    return {"title": title, "note": f"number of {what}", "bars": bars if any(counts) else []}


@cache
def library() -> Any:
    """pygal; loaded late, because that takes 80 ms that no start of the program should pay."""
    import pygal
    from pygal.etree import etree

    etree.to_etree()  # the same bytes whether or not lxml is installed
    # its hook for plug-ins of maps is of a kind that Python 3.11 warns of at the next import that fails
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def blank_chart(size: tuple[int, int, int], x: tuple[float, float], y: tuple[float, float]) -> Any:
    """A pygal chart without its own style, script and legend, over a span of x and of y."""
    width, height, text = size
    style = library().style.Style(label_font_size=text, major_label_font_size=text, value_font_size=text)
    plain = {"css": [], "js": [], "show_legend": False, "truncate_label": -1, "allow_interruptions": True}
    plot = library().XY(width=width, height=height, style=style, margin=4, margin_right=16, strict=True, **plain)
    plot.xrange, plot.range = x if x[0] < x[1] else (x[0] - 0.5, x[0] + 0.5), y
    return plot


def figure(title: str, note: str, plot: Any, kinds: list[str], words: str, above: Any) -> Figure:
    """The chart with `kinds` as classes of its series, described in words for those who cannot see it.

    above : from the plot's coordinates to an element that is laid over it
    """

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
        svg[0][0].append(above(plot.view))
        return svg

    plot.add_xml_filter(finish)
    svg = plot.render_tree()
    svg.attrib.pop("id")
    svg.attrib.pop("xmlns", None)  # a page needs none inside, and then holds no address at all
    svg.attrib |= {"role": "img", "class": "chart", "aria-label": without_controls(f"{title}. {words}.")}
    return {"title": title, "note": note, "svg": ElementTree.tostring(svg, encoding="unicode")}


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


def hovers(view: Any, lines: list[Line], unit: str) -> ElementTree.Element:
    """Invisible strips over a plot that show the values of all lines at an epoch under the pointer."""
    moving = [line for line in lines if "fixed" not in line.kind] or lines
    xs = sorted({x for x, _ in min((line.points for line in moving), key=len)})
    xs = xs[:: math.ceil(len(xs) / MOST_HOVERS)]
    values = [dict(line.points) for line in lines]
    edges = [0.0, *((view.x(a) + view.x(b)) / 2 for a, b in pairwise(xs)), view.width]
    strips = ElementTree.Element("g", {"class": "hovers"})
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
        ElementTree.SubElement(strip, "title").text = without_controls(f"epoch {compact(x)}: {', '.join(texts)}")
    return strips


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


COLOURS = ("#0b62a4", "#c2500a", "#00795a", "#a33f86", "#8a6412", "#5b53b8", "#1d7f94", "#4d5967")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
FORMATS = ("png", "svg", "pdf")
PANELS = (
    ("validation loss", "validation", "mse", "log", 1.0),
    ("exact answers, % of validation", "validation", "exact", "linear", 100.0),
    ("training loss", "epoch", "loss", "log", 1.0),
    ("examples/s", "epoch", "examples_per_s", "linear", 1.0),
)


def draw(runs: list[SavedRun], kind: str) -> bytes:
    """The bytes of a figure of SavedRuns in one of FORMATS. Raises UsageError without Matplotlib."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError(
            f"a {kind} needs Matplotlib, which is not installed: pip install '.[plot]' in a clone, "
            "or give --output a name that ends in .html"
        ) from None
    with rc_context({"svg.hashsalt": "grapheme", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.6, 6.4), layout="constrained")
        for axes, (title, rows, key, scale, factor) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
            panel(axes, runs, rows, key, factor)
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xlabel("epoch")
            axes.grid(alpha=0.25)
            if scale == "log" and all((line.get_ydata() > 0).all() for line in axes.lines):
                axes.set_yscale("log")
            else:
                axes.set_ylim(bottom=0)
        handles, labels = figure.axes[2].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(runs)), frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def panel(axes: Any, runs: list[SavedRun], rows: str, key: str, factor: float) -> None:
    """A line a run."""
    import numpy as np

    for index, run in enumerate(runs):
        points = [(row["epoch"], row[key]) for row in run.of_kind(rows) if row.get(key) is not None]
        x, y = np.array(points, float).reshape(-1, 2).T
        label = run.name.replace("$", r"\$")  # no formulas in names
        style = {"color": COLOURS[index % len(COLOURS)], "linestyle": DASHES[index % len(DASHES)]}
        axes.plot(x, y * factor, label=label, marker="o" if len(x) < 3 else None, markersize=4, **style)
