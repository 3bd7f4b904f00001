"""`report.html`: a run on one page that needs no network and no script, written while it trains and at its end."""

import os
import platform
import time
import warnings
from importlib import metadata
from typing import Any

from grapheme_numba import __version__, jit
from grapheme_numba.errors import GraphemeError, NonFiniteError, StoppedEarly
from grapheme_numba.files import storage
from grapheme_numba.report.facts import Ending, RunFacts
from grapheme_numba.report.pages import run_page
from grapheme_numba.report.samples import answer_samples
from grapheme_numba.report.topology import graph_of
from grapheme_numba.training.config import KEYS, Config
from grapheme_numba.training.observer import Observer

PACKAGES = ("numpy", "numba", "pyarrow")
REPORT = "report.html"
REFRESH = 60.0  # seconds between two reports of a run that trains
SHARE = 100  # and at least so many times what writing one takes, so it costs at most one per cent


def environment(n_rank: int = 1) -> list[tuple[str, str]]:
    """What one needs to compare the speed of a run, or to repeat it: versions, system, cores, threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [
        ("grapheme_numba", __version__),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in PACKAGES),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("cores", str(cores)),
        ("kernel threads", f"{jit.n_threads()}, {jit.threading_layer()}"),
    ]
    return facts + ([("ranks", str(n_rank))] if n_rank > 1 else [])


class Reporter(Observer):
    """Keeps the report of a run up to date while it trains."""

    def __init__(self) -> None:
        self.run: Any = None
        self.due = 0.0

    def started(self, run: Any) -> None:
        """From now on the report is of `run`."""
        self.run, self.due = run, time.perf_counter() + REFRESH

    def ended(self, run: Any, error: BaseException | None) -> None:
        """The last report, also of a run that broke off."""
        write(run, error)

    def epoch_closed(self, rows: Any) -> None:
        """Write the report again when it is old."""
        began = time.perf_counter()
        if began < self.due:
            return
        write(self.run, running=True)
        now = time.perf_counter()
        self.due = now + max(REFRESH, SHARE * (now - began))


def write(run: Any, error: BaseException | None = None, running: bool = False) -> None:
    """Write the report of a run that trains, or ended by `error` (None: as it should).

    A report that cannot be made or written is a warning: what the run learned must not suffer.
    """
    if not run.journal.rows:
        return
    try:
        page = run_page(facts_of(run, error, running))
        given = run.val.path  # whose examples are shown
        mode = storage.mode_of([given] if given.is_file() else run.val.files)
        storage.write_file(run.folder / REPORT, page.encode("utf-8", "backslashreplace"), mode)
    except Exception as fault:
        warnings.warn(
            f"no new {REPORT}: {type(fault).__name__}: {fault}; the run itself is not affected, "
            f"its figures are in {run.folder / 'metrics.jsonl'}",
            stacklevel=2,
        )


def facts_of(run: Any, error: BaseException | None = None, running: bool = False) -> RunFacts:
    """Gather what the page shows; changes nothing of the run."""
    try:
        answered, unanswered = answer_samples(run.model, run.val), ""
    except (GraphemeError, OSError) as fault:
        answered, unanswered = {}, f"There are no sample answers: {fault}"
    n_brain = len(run.model.layout.names)
    data = [
        ("data", str(run.config.data)),
        ("training examples", f"{run.train.n_rows:,}"),
        ("validation examples", f"{run.val.n_rows:,}" + (", the training data" if run.val is run.train else "")),
        ("brains", f"{n_brain:,}"),
        ("fingerprint (training + validation)", run.fingerprint),
        ("to repeat it", f"grapheme-train {run.task} --config {run.folder / 'config.toml'} --output NEW"),
    ]
    return RunFacts(
        task=run.task,
        name=run.folder.resolve().name,
        ending=ending_of(run, error, running),
        refresh=max(1, round(REFRESH)) if running else None,
        rows=list(run.journal.rows),
        names=list(run.model.layout.names),
        n_epoch=run.config.epochs,
        progress=run.progress,
        graph=graph_of(run.model),
        answered=answered,
        unanswered=unanswered,
        config={key: getattr(run.config, key) for key in KEYS},
        defaults={key: getattr(Config(), key) for key in KEYS},
        data=data,
        environment=environment(run.team.comm.size),
        written=time.strftime("Written %Y-%m-%d %H:%M:%S %Z."),
    )


def ending_of(run: Any, error: BaseException | None, running: bool) -> Ending:
    """How the run stands."""
    epoch, n_epoch = run.progress.epoch, run.config.epochs
    resume = f"grapheme-train {run.task} --resume auto --output {run.folder}"
    if running:
        return Ending("training", f"{epoch:,} of {n_epoch:,} epochs are done; this page reloads itself.", "held")
    if error is None and epoch >= n_epoch:
        return Ending("finished", f"All {n_epoch:,} epochs are done.", "good")
    if error is None:
        text = f"Ended after epoch {epoch:,} of {n_epoch:,}: {run.progress.n_bad} validations in a row were no better."
        return Ending("finished", text, "good")
    sentence = " ".join(str(error).split())
    if isinstance(error, StoppedEarly):
        reason = sentence.split("; resume with")[0]
        return Ending("stopped early", f"{reason[:1].upper()}{reason[1:]}.", "held", resume)
    if isinstance(error, NonFiniteError):
        return Ending("not finite", f"{sentence[:1].upper()}{sentence[1:]}.", "bad")
    return Ending("broken off", f"{type(error).__name__}: {sentence}.", "bad", resume)
