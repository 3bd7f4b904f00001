"""A whole run from its configuration to its last checkpoint: what the two trainers share.

The examples of a run: routed, unknown domains left out, rejects written, as the config says.
"""

import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import numpy as np

from grapheme_numba import jit
from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.inspect import check_fit, misfit_lines, readings
from grapheme_numba.data.sources.external import with_external
from grapheme_numba.data.splits import find_splits
from grapheme_numba.data.stream.batches import Misfits
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.open_splits import open_splits
from grapheme_numba.distributed import gradients
from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.distributed.team import Team
from grapheme_numba.errors import OutputError, ShapeError, UsageError
from grapheme_numba.files import locks, storage
from grapheme_numba.files.storage import WholeFile, mode_of, refuse_overwriting
from grapheme_numba.models.router import rejects_of, with_brains
from grapheme_numba.network import first_start
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import restore_baselines, restore_into, restore_model
from grapheme_numba.runs.handover import FolderStore
from grapheme_numba.runs.journal import METRICS, Journal, MemoryJournal
from grapheme_numba.runs.resume import Start
from grapheme_numba.runs.run_folder import CONFIG, REJECTS
from grapheme_numba.signals import StopRequest
from grapheme_numba.training import baseline, input_selection, loop, sparse_training, step
from grapheme_numba.training.config import Config, to_toml
from grapheme_numba.training.input_noise import InputNoise
from grapheme_numba.training.observer import Observer
from grapheme_numba.training.run import Run, RunState, steps_per_epoch, with_decay
from grapheme_numba.training.tasks import Task

MOST_READINGS = 24  # domains whose reading is said when a run begins; those of which something does not fit all are


def select_examples(task: Task, dataset: Dataset, config: Config, layout: Layout | None = None) -> Dataset:
    """`dataset` as the run sees it: a view. Before there is a layout it serves to describe the data.

    Raises RecordError for domains that the model of `layout` does not know, unless they are to be skipped.
    """
    brains = config.brain if task.own_brains else [one.name for one in dataset.summary().domains]
    return with_brains(
        dataset,
        brains=brains,
        layout=layout,
        route=config.route,
        threshold=config.threshold,
        unknown_domain=config.unknown_domain,
    )


def left_out(dataset: Dataset) -> str | None:
    """One sentence on the examples that a view leaves out, None where it takes all."""
    n = dataset.n_rows - dataset.summary().n
    return f"{n:,} of {dataset.n_rows:,} examples of {dataset.path} are left out: no brain takes them" if n else None


def write_rejects(run: Run) -> None:
    """Write `rejects.jsonl` into the run's folder: every training example that no brain was sure of, and why."""
    if not run.config.route:
        return
    given = run.train.path
    with WholeFile(run.folder / REJECTS, mode=mode_of([given] if given.is_file() else run.train.files)) as file:
        for one in rejects_of(run.train, run.model.layout, run.config.threshold):
            file.write(msgspec.json.encode(one) + b"\n")


COMPILE_NOTE_AFTER = 1.5  # seconds; loading compiled kernels takes less


def prepare(
    task: Task,
    start: Start,
    stop: StopRequest,
    observer: Observer,
    *,
    override: bool = False,
    cache: bool = True,
    comm: Serial | Ranks | None = None,
) -> Run:
    """Open the data and make or restore the model. Writes nothing (but the data's cache).

    `comm` (`Serial` when not given) are the ranks that train together.

    Raises
    ------
    MissingInputError, RecordError
        The data is not there or not what it should be.
    UsageError
        A resumed run would continue with other data, and `override` is not given; or more ranks than shards.
    """
    comm, checkpoint = comm or Serial(), start.checkpoint
    read = find_splits(start.config.data).files()  # before all else: without data nothing is worth compiling
    given = [Path(path) for path in (start.config.graph, start.config.external) if path is not None]
    read += [file for path in given for file in (path.rglob("*") if path.is_dir() else [path])]
    refuse_overwriting([start.folder / name for name in run_folder.WRITTEN], read)
    # A checkpoint without a number of shards is of a run that had none to share.
    n_shard = start.config.gradient_shards or (comm.size if checkpoint is None else 1)
    config = msgspec.structs.replace(start.config, gradient_shards=n_shard)
    team = Team(comm, n_shard)
    for note in start.notes:
        observer.note(note)
    if not jit.cache_in_use():
        observer.note("first start with these kernels on this machine: compiling kernels, a minute or two, once")
        if comm.size == 1:
            first_start.compile_beside(config.optimizer)
    jit.set_threads(comm.use_cores(config.threads))
    comm.limit_waiting(config.rank_timeout)
    with comm.working("prepares the run"):
        return _prepared(task, start._replace(config=config), team, stop, observer, override, cache)


def _prepared(
    task: Task, start: Start, team: Team, stop: StopRequest, observer: Observer, override: bool, cache: bool
) -> Run:
    config, checkpoint = start.config, start.checkpoint
    splits = open_splits(
        config.data,
        split=config.split,
        mapping=config.table(),
        cache=cache,
        progress=observer.note,
        nameless=config.route,
        max_unfit=config.max_unfit,
    )
    observer.note(splits.sentence)
    train = splits.train
    if config.external is not None:
        train = with_external(train, config.external, config.max_external, observer.note)
    val = train if splits.val is None else splits.val
    if val is train:
        observer.note(f"{splits.train.path} comes without a val file: validation uses the training examples")
    fingerprint = f"{train.fingerprint}+{val.fingerprint}"
    if checkpoint is None:
        summary = select_examples(task, train, config).summary()
        config = task.fitted(config, start.chosen, summary)
        config = with_decay(config, task.decay, config.epochs * steps_per_epoch(config, train.n_rows))
        if config.select_inputs is not None:
            all_columns = task.layout(summary, config)
            seen = select_examples(task, train, config, all_columns)
            summary = input_selection.of_summary(seen, summary, all_columns, config, observer.note)
        model = task.build(summary, config)
    else:
        if fingerprint != checkpoint.fingerprint and team.comm.rank:  # it resumes from what rank 0 has just read
            raise UsageError(
                f"the data at {train.path} is another copy than that of rank 0 (its fingerprint differs); "
                "give all hosts the same files"
            )
        if fingerprint != checkpoint.fingerprint and not override:
            raise UsageError(
                "the data is not what the run was trained on (its fingerprint differs); "
                "give the same --data, or add --override to resume with this one"
            )
        model = restore_model(checkpoint)
    optimizer = optimizers.build(config.optimizer, config.weight_decay or 0.0)
    train, val = (select_examples(task, dataset, config, model.layout) for dataset in (train, val))
    for sentence in filter(None, map(left_out, (train, val))):
        observer.note(sentence)
    if not val.summary().n:
        observer.note(f"no example of {val.path} is left: validation uses the training examples")
        val = train
    weights = train.weights()
    if weights is not None:
        observer.note(
            f"weights: {weights.least:g} to {weights.largest:g}, mean {weights.mean:.6g}; each scales the gradient of "
            "its example"
        )
        train = train.weighted(weights.mean)
    if checkpoint is None:
        state, progress = optimizer.init(model.parameters), RunState()
        misfits: dict[str, Misfits] = {}
        baselines = baseline.measure(train, model.layout, misfits_out=misfits)
        found = readings(train, model.layout, misfits)
        shown = [one for place, one in enumerate(found) if place < MOST_READINGS or one.n_unfit]
        for one in shown:
            observer.note(one.line())
        if len(shown) < len(found):
            observer.note(f"and {len(found) - len(shown):,} more domains, of which all fits")
        check_fit(found, config.max_unfit)
        for line in misfit_lines(val, model.layout) if val is not train else ():
            observer.note(line)
    else:
        state, progress = restore_into(model, checkpoint), checkpoint.progress
        if checkpoint.config.optimizer != config.optimizer:
            state = optimizer.init(model.parameters)
        baselines = restore_baselines(checkpoint)
    n_step = config.epochs * steps_per_epoch(config, train.n_rows)
    return Run(
        task=task.name,
        config=config,
        model=model,
        optimizer=optimizer,
        state=state,
        progress=progress,
        rate=schedules.build(config.lr_schedule, config.lr, n_step, config.warmup_steps),
        n_step=n_step,
        train=train,
        val=val,
        baselines=baselines,
        fingerprint=fingerprint,
        folder=start.folder,
        journal=MemoryJournal(),
        store=FolderStore(),
        stop=stop,
        observer=observer,
        team=team,
        noise=InputNoise(model.layout, config.input_noise, config.seed) if config.input_noise > 0 else None,
    )


def execute(run: Run, start: Start) -> None:
    """Make the run's folder and train to the end. The observer hears of the end while the folder is still held.

    Raises what `loop.train` raises, and OutputError.
    """
    with run.team.rank_zero_first():
        warm_up(run)
    if not run.team.writes:
        run.journal = MemoryJournal(run.progress.n_row)
        return loop.train(run)
    make_output(run.folder)
    with locks.held_folder(run.folder):
        open_folder(run, start)
        try:
            loop.train(run)
        except BaseException as error:
            run.observer.ended(run, error)
            raise
        run.observer.ended(run, None)


def make_output(folder: Path) -> None:
    """The run's folder and its parents. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another --output") from None


def open_folder(run: Run, start: Start) -> None:
    """`config.toml` and the rows that the checkpoint knows of, in a folder that nobody else writes to."""
    if run_folder.stamp(run.folder) != start.stamp:
        raise UsageError(f"another run has saved in {run.folder} since this one looked there; start it again")
    storage.sweep(run.folder)
    storage.write_file(run.folder / CONFIG, to_toml(run.config, run.task).encode())
    rows = Path(start.source or run.folder) / METRICS
    if start.checkpoint is not None:
        for moved in run_folder.set_aside_later(run.folder, start.checkpoint):
            run.observer.note(f"{moved.name} is later than where this run resumes, so it now is {moved}")
        run.saved_at = run.position() if start.source == run.folder else ()
        run.observer.note(f"resuming after epoch {run.progress.epoch}, step {run.progress.step} of {start.source}")
    if run.progress.n_row and not rows.exists():
        run.observer.note(f"{rows} is gone, so the rows of earlier epochs are missing from the report")
        run.progress.n_row = 0
    write_rejects(run)
    run.journal = Journal(run.folder / METRICS, run.progress.n_row, rows)


def warm_up(run: Run) -> None:
    """Compile or load every kernel of a step and a validation on one batch, leaving no trace in the run.

    Here a signal may still stop the process at once; inside the loop it would wait for the compiler.
    """
    began = time.perf_counter()
    text = "loading kernels; compiling kernels that are new to this machine takes up to a minute, once"
    timer = threading.Timer(COMPILE_NOTE_AFTER, run.observer.note, [text])
    timer.daemon = True
    timer.start()
    try:
        model, before = run.model, run.model.gradients.copy()
        with closing(run.train.batches(model.layout, run.config.batch_size)) as batches:
            batch = next(batches)
        with suppress(ShapeError):  # a number that is not finite is the loop's to name, by example and node
            step.accumulate(model, batch, model.loss(batch, run.config.structural_weight))
        model.gradients[:] = before
        for index in range(len(model.layout.domains)):
            model.layout.decode(index, model.evaluate(batch).y_packed)
        vector = np.zeros(1, model.parameters.dtype)
        run.optimizer.update_and_clear(vector, vector.copy(), run.optimizer.init(vector), 0.0, 1.0)
        optimizers.gradient_norm(vector)
        if run.team.n_shard > 1:
            gradients.warm_up(run.model)
        sparse_training.warm_up(run.config, vector.dtype)
    finally:
        timer.cancel()
    run.observer.note(f"kernels ready after {time.perf_counter() - began:.1f} s")
