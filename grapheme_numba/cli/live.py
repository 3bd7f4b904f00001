"""The view of a run on a terminal: a progress bar, the losses of now, and the table of the last validation.

All of it fits into 60 columns, so that a terminal made narrower does not break lines that are drawn again; the
bar is on top, so that a low terminal cuts off the table and not the bar.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from grapheme_numba.cli.display import closing_lines, describe
from grapheme_numba.cli.output import HEADER, Display, figure, first_domains, score_cells, visible
from grapheme_numba.training.observer import Observer

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

NARROW = [HEADER.index(name) for name in ("domain", "n", "mse", "mse const", "exact", "mae", "mae const")]


class LiveDisplay(Observer):
    """Redraws in place a few times a second; what should stay is printed above."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=cast(TextIO, Display(sys.stdout)), highlight=False)
        self.bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.status = Text("")
        self.losses: RenderableType = Text("")
        self.table: RenderableType = Text("")
        self.live: Live | None = None

    def note(self, text: str) -> None:
        """One sentence."""
        self.console.print(Text(visible(text), style="dim"))

    def started(self, run: "Run") -> None:
        """What will be trained on what."""
        for line in describe(run):
            self.console.print(Text(visible(line)))
        self.n_batch = max(1, -(-run.train.n_rows // run.config.batch_size))
        self.task = self.bar.add_task(run.task, total=run.config.epochs, completed=run.progress.epoch)
        self.live = Live(self.picture(), console=self.console, refresh_per_second=4)
        self.live.start()

    def after_batch(self, run: "Run") -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=round(run.progress.epoch + min(1.0, run.progress.batch / self.n_batch), 1))

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The epoch's rows."""
        row = rows[0]
        self.status = Text(
            f"epoch {row['epoch']}  loss {figure(row['loss'])}  lr {row['lr']:.2g}  "
            f"{row['examples_per_s']:,.0f} examples/s"
        )
        losses, others = first_domains({"domain": name, **one} for name, one in row["domains"].items())
        shown = [f"{visible(one['domain'])} {figure(one['loss'])}" for one in losses]
        self.losses = Columns([Text(line) for line in (*shown, others) if line])
        if len(rows) > 1:
            self.table = validation_table(rows[1])
        self.bar.update(self.task, completed=row["epoch"])
        if self.live is not None:
            self.live.update(self.picture())

    def picture(self) -> Group:
        """What is drawn again and again."""
        return Group(self.bar, self.status, self.losses, self.table)

    def finished(self, run: "Run") -> None:
        """The closing figures."""
        self.close()
        for line in closing_lines(run)[-2:]:
            self.console.print(Text(visible(line)))

    def close(self) -> None:
        """Leave the last picture standing."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def cell(text: str) -> Text:
    """A cell as it is: names of domains are no markup, whatever brackets they hold."""
    return Text(visible(text))


def narrow_cells(score: dict[str, Any]) -> list[str]:
    """The cells of the columns that are shown while a run trains."""
    cells = score_cells(score)
    return [cells[column] for column in NARROW]


def validation_table(row: dict[str, Any]) -> Table:
    """The scores of a validation beside the best constant answer's: those columns that fit into 60 characters."""
    title = f"validation after epoch {row['epoch']}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for name in map(HEADER.__getitem__, NARROW):
        table.add_column(name, justify="left" if name == "domain" else "right")
    scores, others = first_domains(row["domains"].values())
    for score in scores:
        table.add_row(*map(cell, narrow_cells(score)))
    if others:
        table.add_row(cell(others))
    table.add_row(*map(cell, narrow_cells({"domain": "all", **row})))
    return table


@contextmanager
def meter(verb: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; yields `progress(done, total)`, total 0 where unknown."""
    size = (DownloadColumn(), TransferSpeedColumn()) if unit == "bytes" else (MofNCompleteColumn(), TextColumn(unit))
    columns = TextColumn(verb), BarColumn(), *size, TimeRemainingColumn()
    with Progress(*columns, console=Console(file=cast(TextIO, Display(sys.stderr))), transient=True) as bar:
        bar_task = bar.add_task(verb, total=None)
        yield lambda done, total: bar.update(bar_task, completed=done, total=total or None)
