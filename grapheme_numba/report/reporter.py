"""`report.html`: a run on one page that needs no network and no script, written while it trains and at its end.

`report.json` beside it holds what the page shows besides the rows of metrics.jsonl, so that it can be made again.
"""

import json
import os
import platform
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

from grapheme_numba import __version__, jit
from grapheme_numba.errors import GraphemeError, NonFiniteError, StoppedEarly, few
from grapheme_numba.files import storage
from grapheme_numba.report.answers import MOST_ASKED, answers_of
from grapheme_numba.report.pages import FORMAT, run_page
from grapheme_numba.report.topology import topology_of
from grapheme_numba.training.config import KEYS, Config
from grapheme_numba.training.input_selection import MOST_NAMES, selected_inputs
from grapheme_numba.training.observer import Observer

REPORT, FACTS = "report.html", "report.json"
REFRESH = 60.0  # seconds between two reports of a run that trains
SHARE = 100  # and at least so many times what writing one takes, so it costs at most one per cent


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
        if began >= self.due:
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
        facts = facts_of(run, error, running)
        given = run.val.path  # whose examples are shown
        mode = storage.mode_of([given] if given.is_file() else run.val.files)
        storage.write_file(run.folder / FACTS, json.dumps(facts).encode(), mode)
        page = run_page(facts, run.journal.rows)
        storage.write_file(run.folder / REPORT, page.encode("utf-8", "backslashreplace"), mode)
    except Exception as fault:
        warnings.warn(
            f"no new {REPORT}: {type(fault).__name__}: {fault}; the run itself is not affected, "
            f"its figures are in {run.folder / 'metrics.jsonl'}",
            stacklevel=2,
        )


def stored_facts(folder: Path) -> dict[str, Any] | None:
    """The facts in a run's folder; None where there are none that this version reads."""
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        return facts if facts["format"] == FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def facts_of(run: Any, error: BaseException | None = None, running: bool = False) -> dict[str, Any]:
    """What the page shows besides the rows of metrics.jsonl, as values that JSON holds; changes nothing of the run."""
    try:
        answers, no_answers = answers_of(run.model, run.val), ""
    except (GraphemeError, OSError) as fault:
        answers, no_answers = {}, f"There are no sample answers: {fault}"
    names, progress = list(run.model.layout.names), run.progress
    default = Config()
    settings = {key: (getattr(run.config, key), getattr(default, key)) for key in KEYS}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_rank = run.team.comm.size
    facts = {
        "format": FORMAT,
        "task": run.task,
        "name": run.folder.resolve().name,
        "ending": ending_of(run, error, running),
        "refresh": max(1, round(REFRESH)) if running else None,
        "names": names,
        "n_epoch": run.config.epochs,
        "progress": {key: getattr(progress, key) for key in ("epoch", "step", "n_example", "elapsed", "n_skipped")},
        "rate_factor": progress.rate_factor,
        "clip": run.config.clip_grad_norm,
        "topology": topology_of(run.model),
        "answers": answers,
        "no_answers": no_answers,
        "sampled": run.val.n_rows > MOST_ASKED,
        "config": [[key, value, value != usual] for key, (value, usual) in settings.items()],
        "data": [
            ["data", str(run.config.data)],
            ["training examples", f"{run.train.n_rows:,}"],
            ["validation examples", f"{run.val.n_rows:,}" + (", the training data" if run.val is run.train else "")],
            ["brains", f"{len(names):,}"],
            *(
                [f"selected inputs of {name}", f"{len(kept):,}: {few(kept, MOST_NAMES)}"]
                for name, kept in selected_inputs(run.model.layout, run.config).items()
            ),
            ["fingerprint (training + validation)", run.fingerprint],
            ["to repeat it", f"grapheme-train {run.task} --config {run.folder / 'config.toml'} --output NEW"],
        ],
        "environment": [
            ["grapheme_numba", __version__],
            ["Python", platform.python_version()],
            *([name, metadata.version(name)] for name in ("numpy", "numba", "pyarrow")),
            ["system", f"{platform.system()} {platform.machine()}"],
            ["cores", str(cores)],
            ["kernel threads", f"{jit.n_threads()}, {jit.threading_layer()}"],
            *([["ranks", str(n_rank)]] if n_rank > 1 else []),
        ],
        "written": time.strftime("Written %Y-%m-%d %H:%M:%S %Z."),
    }
    return json.loads(json.dumps(facts, default=str))  # as it will be read again


def ending_of(run: Any, error: BaseException | None, running: bool) -> dict[str, Any]:
    """How the run stands: a word, a sentence, the class of the style (good, held, bad), a command to resume it."""
    epoch, n_epoch = run.progress.epoch, run.config.epochs
    resume = f"grapheme-train {run.task} --resume auto --output {run.folder}"
    sentence, command = " ".join(str(error).split()), None
    if running:
        word, kind, text = "training", "held", f"{epoch:,} of {n_epoch:,} epochs are done; this page reloads itself."
    elif error is None and epoch >= n_epoch:
        word, kind, text = "finished", "good", f"All {n_epoch:,} epochs are done."
    elif error is None:
        text = f"Ended after epoch {epoch:,} of {n_epoch:,}: {run.progress.n_bad} validations in a row were no better."
        word, kind = "finished", "good"
    elif isinstance(error, StoppedEarly):
        reason = sentence.split("; resume with")[0]
        word, kind, text, command = "stopped early", "held", f"{reason[:1].upper()}{reason[1:]}.", resume
    elif isinstance(error, NonFiniteError):
        word, kind, text = "not finite", "bad", f"{sentence[:1].upper()}{sentence[1:]}."
    else:
        word, kind, text, command = "broken off", "bad", f"{type(error).__name__}: {sentence}.", resume
    return {"word": word, "kind": kind, "text": text, "command": command}
