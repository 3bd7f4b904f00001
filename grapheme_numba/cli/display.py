"""How a run shows itself: plain lines in a pipe, one JSON object a line, or nothing but errors.

The live view of a terminal is in `live.py`, because it costs 0.1 s to import.
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapheme_numba.cli.output import MOST_DOMAINS, as_json, figure, first_domains, percent, score_table, show
from grapheme_numba.errors import few
from grapheme_numba.runs.journal import finite
from grapheme_numba.training.observer import Observer

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

MOST_EPOCH_LINES = 20  # a pipe gets about so many lines of epochs, however many there are


def describe(run: "Run") -> list[str]:
    """What will be trained on what, in three lines."""
    model, config = run.model, run.config
    dag = model.dag
    domains = few(model.layout.names, MOST_DOMAINS)
    hidden = f"{dag.n_node - dag.n_input - dag.n_output:,} hidden nodes"
    if run.task == "unified":
        hidden += f" ({model.sharing().n_shared:,} shared by all brains)"
    graph = []
    if model.grafted is not None:
        place = "lies between the inputs and outputs of the data" if model.grafted else "is the whole network"
        graph = [f"graph: {config.graph} {place}; its nodes keep their names"]
    return [
        *graph,
        f"data: {run.train.n_rows:,} examples to learn from, {run.val.n_rows:,} to validate with; domains {domains}",
        f"network: {dag.n_input:,} inputs, {hidden}, {dag.n_output:,} outputs, {dag.n_edge:,} edges in "
        f"{dag.n_level} levels; {model.parameters.size:,} parameters with the embedding",
        f"training: {config.epochs} epochs, {run.n_step:,} steps of {config.optimizer}, decay "
        f"{config.weight_decay or 0.0:g}, batches of {config.batch_size}; output in {run.folder}",
    ]


def epoch_line(row: dict[str, Any], n_epoch: int) -> str:
    """An epoch's row in one line."""
    each = (f"{name} {figure(one['loss'])} {percent(one['exact'])}" for name, one in row["domains"].items())
    losses = few(each, MOST_DOMAINS, "  ")
    return (
        f"epoch {row['epoch']:>{len(str(n_epoch))}}/{n_epoch}  loss {figure(row['loss'])}  {losses}  "
        f"lr {row['lr']:.2g}  {row['examples_per_s']:,.0f} examples/s"
    )


def validation_line(row: dict[str, Any]) -> str:
    """A validation's row in one line."""
    exact = few((f"{name} {chief_figure(one)}" for name, one in row["domains"].items()), MOST_DOMAINS, "  ")
    best = "  (best so far)" if row["best"] else ""
    return f"  validation  loss {figure(row['mse'])}  exact {percent(row['exact'])}  {exact}{best}"


def chief_figure(score: dict[str, Any]) -> str:
    """The figure of a domain where there is room for one: right answers, and the error of numbers beside them."""
    error = f" mae {figure(score['mae'])}" if score.get("kind") == "number" else ""
    return f"{percent(score['exact'])}{error}"


def last_validation(run: "Run") -> dict[str, Any] | None:
    """The best validation's row, or the latest."""
    journal = run.journal.rows if run.journal else ()
    rows = [row for row in journal if row["kind"] == "validation"]
    best = [row for row in rows if row["best"]]
    return (best or rows)[-1] if rows else None


def closing_lines(run: "Run") -> list[str]:
    """What a finished run has to say."""
    lines = []
    row = last_validation(run)
    if row is not None:
        scores, others = first_domains(row["domains"].values())
        table = score_table([*scores, {"domain": "all", **row}])
        lines += [f"best validation, after epoch {row['epoch']}:", *table, *([others] if others else [])]
    skipped = f", {run.progress.n_skipped} batches skipped" if run.progress.n_skipped else ""
    lines.append(
        f"trained {run.progress.epoch} epochs, {run.progress.step:,} steps in {run.progress.elapsed:.1f} s{skipped}; "
        f"report: {run.folder / 'report.html'}"
    )
    if run.progress.n_edge:
        left = f"{run.model.dag.n_edge:,} of {run.progress.n_edge:,}"
        lines.append(f"topology: {run.progress.n_moved:,} edges replaced by drop-and-grow, {left} are left")
    lines.append(f"next: grapheme-train evaluate {shlex.quote(str(run.folder))} --data FILE")
    return lines


class PlainDisplay(Observer):
    """One line per event."""

    def note(self, text: str) -> None:
        """One sentence."""
        show(text)

    def started(self, run: "Run") -> None:
        """What will be trained on what."""
        show(*describe(run))
        self.n_epoch = run.config.epochs
        self.every = -(-run.config.epochs // MOST_EPOCH_LINES)

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The epoch's rows."""
        epoch = rows[0]["epoch"]
        if len(rows) > 1 or epoch % self.every == 0 or epoch in (1, self.n_epoch):
            show(epoch_line(rows[0], self.n_epoch))
        show(*map(validation_line, rows[1:]))

    def finished(self, run: "Run") -> None:
        """The closing figures."""
        show(*closing_lines(run))


class JsonDisplay(Observer):
    """One JSON object per event."""

    def say(self, kind: str, **values: object) -> None:
        """One object."""
        show(as_json(finite({"kind": kind, **values}), allow_nan=False))

    def note(self, text: str) -> None:
        """One sentence."""
        self.say("note", text=text)

    def started(self, run: "Run") -> None:
        """What will be trained on what."""
        dag = run.model.dag
        self.say(
            "start",
            task=run.task,
            output=str(run.folder),
            epochs=run.config.epochs,
            step=run.progress.step,
            n_step=run.n_step,
            n_train=run.train.n_rows,
            n_val=run.val.n_rows,
            n_node=dag.n_node,
            n_edge=dag.n_edge,
            n_level=dag.n_level,
            n_parameter=int(run.model.parameters.size),
        )

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """The epoch's rows."""
        for row in rows:
            show(as_json(finite(row), allow_nan=False))

    def saved(self, folder: Path) -> None:
        """Where the checkpoint stands."""
        self.say("checkpoint", path=str(folder))

    def finished(self, run: "Run") -> None:
        """The closing figures."""
        self.say("end", step=run.progress.step, seconds=run.progress.elapsed, best_loss=run.progress.best_loss)
