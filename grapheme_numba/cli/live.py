"""The view of a run on a terminal: a progress bar, the losses of now, and the table of the last validation.

All of it fits into 60 columns, so that a terminal made narrower does not break lines that are drawn again; the
bar is on top, so that a low terminal cuts off the table and not the bar.
"""

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from grapheme_numba.cli.display import closing_lines, describe
from grapheme_numba.cli.tables import HEADER, figure, score_cells
from grapheme_numba.training.observer import Observer


class LiveDisplay(Observer):
    """Redraws in place a few times a second; what should stay is printed above."""

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
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
        self.status, self.losses, self.table = Text(""), Text(""), Text("")
        self.live = None

    def note(self, text):
        """One sentence."""
        self.console.print(Text(text, style="dim"))

    def started(self, run):
        """What will be trained on what."""
        for line in describe(run):
            self.console.print(Text(line))
        self.n_batch = max(1, -(-run.train.n_rows // run.config.batch_size))
        self.task = self.bar.add_task(run.task, total=run.config.epochs, completed=run.progress.epoch)
        self.live = Live(self.picture(), console=self.console, refresh_per_second=4)
        self.live.start()

    def after_batch(self, run):
        """Move the bar."""
        self.bar.update(self.task, completed=round(run.progress.epoch + min(1.0, run.progress.batch / self.n_batch), 1))

    def epoch_closed(self, rows):
        """The epoch's rows."""
        row = rows[0]
        self.status = Text(
            f"epoch {row['epoch']}  loss {figure(row['loss'])}  lr {row['lr']:.2g}  "
            f"{row['examples_per_s']:,.0f} examples/s"
        )
        self.losses = Columns([Text(f"{name} {figure(one['loss'])}") for name, one in row["domains"].items()])
        if len(rows) > 1:
            self.table = validation_table(rows[1])
        self.bar.update(self.task, completed=row["epoch"])
        self.live.update(self.picture())

    def picture(self):
        """What is drawn again and again."""
        return Group(self.bar, self.status, self.losses, self.table)

    def finished(self, run):
        """The closing figures."""
        self.close()
        for line in closing_lines(run)[-2:]:
            self.console.print(Text(line))

    def close(self):
        """Leave the last picture standing."""
        if self.live is not None:
            self.live.stop()
            self.live = None


def validation_table(row: dict) -> Table:
    """The scores of a validation beside the best constant answer's."""
    title = f"validation after epoch {row['epoch']}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for name in HEADER:
        table.add_column(name, justify="left" if name == "domain" else "right")
    for score in row["domains"].values():
        table.add_row(*score_cells(score))
    table.add_row(*score_cells({"domain": "all", **row}))
    return table
