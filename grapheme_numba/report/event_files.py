"""`--tensorboard`: the figures of a run as event files, which TensorBoard shows while it trains."""

import os
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grapheme_numba.errors import UsageError
from grapheme_numba.training.observer import Observer

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

FOLDER = "tensorboard"
# Each is a run of its own to TensorBoard, so what bears one name is drawn in one chart.
PARTS = ("training", "validation", "constant")
COURSE = {
    "lr": "course/learning rate",
    "grad_norm": "course/gradient norm",
    "examples_per_s": "course/examples per second",
    "n_edge": "course/edges",
    "n_moved": "course/edges replaced by drop-and-grow",
}


class EventFiles(Observer):
    """Writes `tensorboard/training`, `validation` and `constant` in the run's folder, a scalar a brain and figure.

    A resumed run writes all its rows again, after an event that makes readers forget what came before:
    so the files always tell what metrics.jsonl tells. A disk that fails ends the files, not the run.

    Raises
    ------
    UsageError
        tensorboardX is not installed.
    """

    def __init__(self) -> None:
        try:
            # Its SummaryWriter hands events to a thread through a queue, and waits forever once that thread met a
            # full disk; what it writes with underneath is all that is needed.
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError:
            raise UsageError(
                "--tensorboard needs tensorboardX, which is not installed: pip install '.[tensorboard]' in a clone"
            ) from None
        self.new_writer, self.event_pb2, self.summary_pb2 = EventsWriter, event_pb2, summary_pb2
        self.writers: dict[str, EventsWriter] = {}
        self.last_step = 0

    def started(self, run: "Run") -> None:
        """Open the files and write what the run has done so far."""
        with self.unharmed():
            for part in PARTS:
                folder = run.folder / FOLDER / part
                folder.mkdir(parents=True, exist_ok=True)
                suffix = f".{os.getpid()}.{len(list(folder.iterdir()))}"
                self.writers[part] = self.new_writer(str(folder / "events"), suffix)
            self.forget(0)
            self.add(run.journal.rows if run.journal else ())

    def epoch_closed(self, rows: list[dict[str, Any]]) -> None:
        """Add the epoch's figures."""
        if self.writers:
            with self.unharmed():
                self.add(rows)

    def close(self) -> None:
        """Nothing more comes."""
        with self.unharmed():
            while self.writers:
                self.writers.popitem()[1].close()

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the scalars of rows, and make them seen."""
        for row in rows:
            if row["step"] < self.last_step:  # after a rollback
                self.forget(row["step"])
            self.last_step = row["step"]
            for part, values in scalars(row).items():
                summaries = [
                    self.summary_pb2.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()
                ]
                self.write(part, row["step"], summary=self.summary_pb2.Summary(value=summaries))
        for writer in self.writers.values():
            writer.flush()

    def forget(self, step: int) -> None:
        """Make readers drop every event from `step` on that was written before."""
        log = self.event_pb2.SessionLog(status=self.event_pb2.SessionLog.START)
        for part in PARTS:
            self.write(part, step, session_log=log)

    def write(self, part: str, step: int, **content: Any) -> None:
        """One event."""
        self.writers[part].write_event(self.event_pb2.Event(wall_time=time.time(), step=step, **content))

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """A block in which a failing disk ends the event files with a warning."""
        try:
            yield
        except OSError as fault:
            self.writers = {}
            warnings.warn(f"no more event files for TensorBoard: {fault}; the run continues without them", stacklevel=3)


def scalars(row: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The figures of a row of metrics.jsonl: part to tag to value. What is None is left out."""
    parts: dict[str, dict[str, float | None]] = {}
    brains = {"all": row, **row["domains"]}
    if row["kind"] == "epoch":
        parts["training"] = {tag: row.get(key) for key, tag in COURSE.items()}
        for name, one in brains.items():
            parts["training"] |= {f"loss/{name}": one["loss"], f"exact/{name}": one["exact"]}
    elif row["kind"] == "validation":
        parts["validation"], parts["constant"] = {}, {}
        for name, one in brains.items():
            parts["validation"] |= {
                f"loss/{name}": one["mse"],
                f"exact/{name}": one["exact"],
                f"mae/{name}": one["mae"],
            }
            parts["constant"] |= {f"loss/{name}": one["mse_constant"], f"mae/{name}": one["mae_constant"]}
    return {
        part: {tag: float(value) for tag, value in values.items() if value is not None}
        for part, values in parts.items()
    }
