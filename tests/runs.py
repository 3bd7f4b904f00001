"""Small training runs for tests: a little data, a little network, and the digest of what was learned."""

import hashlib
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from grapheme_numba.cli.train import main
from grapheme_numba.optim.optimizers import OptimizerState
from grapheme_numba.report.reporter import Reporter
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs import resume as resuming
from grapheme_numba.runs import session
from grapheme_numba.runs.checkpoint import Checkpoint
from grapheme_numba.runs.journal import read_rows
from grapheme_numba.signals import StopRequest
from grapheme_numba.training.config import Config
from grapheme_numba.training.observer import Observer, Observers
from grapheme_numba.training.run import RunState, Tally
from grapheme_numba.training.tasks import find_task

SHIPPED = Path(__file__).parent.parent / "data" / "mixed_agi"
SMALL = {"hidden": (16,), "fan_in": 8, "epochs": 3, "batch_size": 16, "val_freq": 1, "embedding_dim": 2}


def cli(*arguments, stdin=None):
    """One `grapheme-train` command; its result has stdout, stderr and exit_code."""
    return CliRunner().invoke(main, list(map(str, arguments)), input=stdin)


def small_data(folder: Path, n: int = 64) -> Path:
    """The first `n` examples of each split of the shipped data."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        with (SHIPPED / f"{split}.jsonl").open() as lines:
            (folder / f"{split}.jsonl").write_text("".join(line for line, _ in zip(lines, range(n), strict=False)))
    return folder


class Recorder(Observer):
    """Keeps what a run says."""

    def __init__(self):
        self.notes, self.rows, self.folders = [], [], []

    def note(self, text):
        self.notes.append(text)

    def epoch_closed(self, rows):
        self.rows += rows

    def saved(self, folder):
        self.folders.append(folder)


def train(data, output, *, task="agi", resume="never", override=False, observer=None, stop=None, before=None, **config):
    """One run through the session, as the command line does it; the finished run comes back.

    `before(run)` is called when all is prepared, so that a test can plant a fault.
    """
    values = {**SMALL} if resume == "never" else {}
    values |= {"data": str(data), "output": str(output), **config}
    found = find_task(task)
    start = resuming.choose_start(found, [("the test", values)], resume, override)
    observers = Observers(observer or Observer(), Reporter())
    run = session.prepare(found, start, stop or StopRequest(), observers, override=override)
    if before is not None:
        before(run)
    session.execute(run, start)
    return run


def digest(folder: Path) -> str:
    """SHA-256 of the parameters and optimiser state of a run's newest checkpoint."""
    checkpoint = checkpoints.read(folder / "checkpoint_last")
    arrays = [checkpoint.parameters, *checkpoint.optimizer.moments.values()]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def rows_without_clock(folder):
    """The rows of metrics.jsonl but for what a clock measures."""
    clock = ("seconds", "examples_per_s", "check")
    return [
        {key: value for key, value in row.items() if key not in clock} for row in read_rows(folder / "metrics.jsonl")
    ]


def sample(step: int = 1, n: int = 6) -> Checkpoint:
    """A small checkpoint whose parameters are all `step`."""
    vector = np.full(n, step, np.float32)
    return Checkpoint(
        task="agi",
        config=Config(epochs=7),
        layout={"domains": []},
        progress=RunState(epoch=1, step=step, best_loss=0.1 + step / 3, tally={"math": Tally(3, 0.1, 0.7)}),
        baseline={},
        fingerprint="ab+cd",
        topology={"senders": np.arange(3), "activation": np.zeros(4, np.uint8), "n_node": np.array(4)},
        parameters=vector,
        optimizer=OptimizerState(step, {"mu": vector * 2, "nu": vector * 3}),
        gradient=None,
    )
