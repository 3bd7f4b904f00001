"""Forgetting, measured: each brain trained alone beside the shared run.

Alone means the same network from the same seed, the same batches in the same order and as many steps, with
the other brains' examples taken out. What differs is only that the other brains learn too.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import msgspec

from grapheme_numba.errors import StoppedEarly
from grapheme_numba.files import storage
from grapheme_numba.optim.optimizers import build
from grapheme_numba.runs import session
from grapheme_numba.runs.journal import MemoryJournal
from grapheme_numba.runs.resume import Start
from grapheme_numba.runs.run_folder import stamp
from grapheme_numba.training import input_selection
from grapheme_numba.training.observer import Observer
from grapheme_numba.training.run import Run, RunState
from grapheme_numba.training.tasks import Task

COMPARED = "compared.json"
SEEDS = "compared_seeds.json"


class Comparison(msgspec.Struct, frozen=True):
    """One brain, trained with all others and alone.

    train_shared, train_alone : mean squared error over its training examples in the last epoch
    shared, alone : mean squared error over its validation examples after the last epoch
    exact_shared, exact_alone : share of exactly right validation answers then
    """

    brain: str
    train_shared: float | None
    train_alone: float | None
    shared: float | None
    alone: float | None
    exact_shared: float | None
    exact_alone: float | None

    @property
    def train_ratio(self) -> float | None:
        """How many times the loss of training alone the shared training loss is."""
        return ratio(self.train_shared, self.train_alone)

    @property
    def ratio(self) -> float | None:
        """The same over the validation examples."""
        return ratio(self.shared, self.alone)


class Spread(msgspec.Struct, frozen=True):
    """A brain over several seeds: geometric mean of the ratios shared / alone, the least and the largest.

    train, held_out : (mean, least, largest), of training losses and of validation losses; None where one is unknown
    n : seeds
    """

    brain: str
    n: int
    train: tuple[float, float, float] | None
    held_out: tuple[float, float, float] | None


def spreads(seeds: Sequence[Sequence[Comparison]]) -> list[Spread]:
    """The `Spread` of each brain; one seed's comparisons are in the order of the brains."""
    found = []
    for of_brain in zip(*seeds, strict=True):
        both = [[one.train_ratio for one in of_brain], [one.ratio for one in of_brain]]
        found.append(Spread(of_brain[0].brain, len(of_brain), *map(_spread, both)))
    return found


def _spread(ratios: list[float | None]) -> tuple[float, float, float] | None:
    known = [one for one in ratios if one]
    if len(known) < len(ratios):
        return None
    mean = math.exp(sum(map(math.log, known)) / len(known))
    return mean, min(known), max(known)


def ratio(shared: float | None, alone: float | None) -> float | None:
    """`shared / alone` where both are known and `alone` is not 0."""
    return shared / alone if shared is not None and alone else None


def compare(task: Task, run: Run, start: Start, observer: Callable[[], Observer] = Observer) -> Iterator[Comparison]:
    """Train every brain of a finished shared run alone, into `alone/BRAIN` of its folder.

    `observer()` makes what follows such a run.
    Writes `compared.json` into the run's folder. Raises what training raises.
    """
    done = []
    for name in run.model.layout.names:
        run.observer.note(f"training {name} alone")
        single = alone(task, run, name, observer())
        fresh = start._replace(folder=single.folder, checkpoint=None, source=None, stamp=stamp(single.folder))
        try:
            session.execute(single, fresh)
        except StoppedEarly:
            raise StoppedEarly(
                f"stopped while {name} was trained alone; the shared run in {run.folder} is whole, compare again with: "
                f"grapheme-train {run.task} --resume auto --compare-single --output {run.folder}"
            ) from None
        done.append(row(name, run, single))
        yield done[-1]
    plain = [msgspec.to_builtins(one) | {"train_ratio": one.train_ratio, "ratio": one.ratio} for one in done]
    if run.team.writes:
        storage.write_file(run.folder / COMPARED, msgspec.json.encode(plain))


def alone(task: Task, run: Run, name: str, observer: Observer) -> Run:
    """A fresh run of the same network on the examples of one brain."""
    others = [other for other in run.model.layout.names if other != name]
    model = task.build(input_selection.as_read(run.train.summary(), run.model.layout), run.config)
    optimizer = build(run.config.optimizer, run.config.weight_decay or 0.0)
    folder = run.folder / "alone" / name
    return replace(
        run,
        model=model,
        optimizer=optimizer,
        state=optimizer.init(model.parameters),
        progress=RunState(),
        train=run.train.view(others),
        val=run.val.view(others),
        folder=folder,
        journal=MemoryJournal(),
        observer=observer,
        saved_at=(),
    )


def row(name: str, shared: Run, single: Run) -> Comparison:
    """The last figures of a brain in both runs."""
    figures = [last(run, name) for run in (shared, single)]
    return Comparison(name, *(one for pair in zip(*figures, strict=True) for one in pair))


def last(run: Run, name: str) -> tuple[float | None, float | None, float | None]:
    """(training loss, validation loss, exact) of a brain in the last rows that tell them."""
    found = {row["kind"]: row["domains"].get(name, {}) for row in run.journal.rows}
    validation = found.get("validation", {})
    return found.get("epoch", {}).get("loss"), validation.get("mse"), validation.get("exact")
