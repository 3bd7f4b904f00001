"""The pages as HTML: facts put into the templates, every text escaped.

To add a section: a function in `facts` that makes its charts or rows, its name in `run_page`, a block in `run.html`.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from grapheme_numba.report import facts, numbers, topology
from grapheme_numba.report.comparison import compare
from grapheme_numba.report.figures import BarChart, LineChart, bar_svg, line_svg
from grapheme_numba.report.saved_runs import SavedRun
from grapheme_numba.report.thumbnails import thumbnail

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


class Figure(NamedTuple):
    """A chart that has something to show: its title, what stands beside it, its SVG."""

    title: str
    note: str
    svg: str


@cache
def environment() -> "Environment":
    """The templates with what they call."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # late: 35 ms

    filters = {name: getattr(numbers, name) for name in ("compact", "duration", "number", "share", "two_digits")}
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters, setting=numbers.setting, thumbnail=thumbnail)
    return made


def page(template: str, **values: Any) -> str:
    """A whole page."""
    return numbers.without_controls(environment().get_template(template).render(values))


def figures_of(charts: list[LineChart] | list[BarChart]) -> list[Figure]:
    """The charts that have something to show."""
    drawn = [(chart, line_svg(chart) if isinstance(chart, LineChart) else bar_svg(chart)) for chart in charts]
    return [Figure(chart.title, chart.note, svg) for chart, svg in drawn if svg]


def brains_of(brains: facts.BrainCharts) -> list[tuple[str, list[Figure]]]:
    """The brains whose charts have something to show."""
    drawn = [(name, figures_of(charts)) for name, charts in brains]
    return [(name, figures) for name, figures in drawn if figures]


def run_page(run: facts.RunFacts) -> str:
    """The page of a run."""
    scores = facts.score_rows(run)
    return page(
        "run.html",
        title=f"{run.name}: grapheme-train {run.task}",
        refresh=run.refresh,
        written=run.written,
        run=run,
        best=run.best,
        tiles=facts.tiles(run),
        scores=scores,
        numeric=any(one["mae"] is not None for _, one in scores),
        overall=figures_of(facts.overall_charts(run)),
        by_brain=brains_of(facts.brain_charts(run)),
        course=figures_of(facts.course_charts(run)),
        picture=topology.draw(run.graph) if run.graph else None,
        histograms=figures_of(topology.histograms(run.graph)) if run.graph else [],
    )


def comparison_page(runs: list[SavedRun], written: str) -> str:
    """The page that compares runs."""
    values = compare(runs)
    values |= {"charts": figures_of(values["charts"]), "brains": brains_of(values["brains"])}
    return page("compare.html", refresh=None, written=written, **values)
