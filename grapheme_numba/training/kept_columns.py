"""Which columns of its tables a run reads, where `select_inputs` leaves that to be found.

It is found before the model is made, from the training examples and the config alone. The model is then made for a
table of those columns, so pruning, drop-and-grow, checkpoints and a resumed run know of nothing.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.summary import DatasetSummary
from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.errors import UsageError, few
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.losses import cross_entropy, huber
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.training.config import Config, accumulate_every, hidden_widths
from grapheme_numba.training.fit import fit
from grapheme_numba.training.input_selection import Array, Examples, Indices, Selection, select

MOST_ROWS, MOST_NUMBERS = 20_000, 1 << 27  # examples, and numbers in all, that a selection looks at
MOST_NAMES = 40  # of a sentence
READ = 1024  # examples at once


def of_summary(
    train: Dataset,
    summary: DatasetSummary,
    layout: Layout,
    config: Config,
    comm: Serial | Ranks,
    note: Callable[[str], None],
) -> DatasetSummary:
    """`summary` with the columns of each table that the run is to read; `layout` is that of all of them.

    Raises UsageError where there is no table, or none of so many columns.
    """
    tables = {d.name: [f.name for f in d.fields if f.n_input] for d in layout.domains if d.input_type == "tabular"}
    tables = {name: columns for name, columns in tables.items() if columns}
    wanted, most = config.select_inputs, max(map(len, tables.values()), default=0)
    if wanted is None:
        return summary
    if not tables:
        raise UsageError("select_inputs chooses columns of tables, and there is no table among the data; leave it out")
    if isinstance(wanted, int) and wanted > most:
        raise UsageError(f"select_inputs is {wanted}, but the data has {most} columns to learn from; ask for fewer")
    kept = {}
    for name, columns in tables.items():
        note(f"selecting inputs of {name} among {len(columns):,} columns")
        found = _selection(train, layout, name, config, wanted)
        # Another processor may round otherwise: all ranks take what the first has found.
        chosen = np.frombuffer(comm.all_gather(found.kept.astype(np.int64).tobytes())[0], np.int64)
        kept[name] = {columns[column] for column in chosen.tolist()}
        note(sentence(name, [columns[column] for column in chosen.tolist()], len(columns), found.scores))
    domains = [
        msgspec.structs.replace(one, fields=tuple(f for f in one.fields if f.name in kept[one.name]))
        if one.name in kept
        else one
        for one in summary.domains
    ]
    return msgspec.structs.replace(summary, domains=tuple(domains))


def as_read(summary: DatasetSummary, layout: Layout) -> DatasetSummary:
    """`summary` with the columns of tables that the model of `layout` reads."""
    read = {domain.name: {field.name for field in domain.fields} for domain in layout.domains}
    domains = [
        msgspec.structs.replace(one, fields=tuple(f for f in one.fields if f.name in read.get(one.name, ())))
        for one in summary.domains
    ]
    return msgspec.structs.replace(summary, domains=tuple(domains))


def selected_inputs(layout: Layout, config: Config) -> dict[str, list[str]]:
    """The columns that a run reads of each table, by the table's domain; empty where none were selected."""
    if config.select_inputs is None:
        return {}
    tables = [domain for domain in layout.domains if domain.input_type == "tabular"]
    return {domain.name: [field.name for field in domain.fields if field.n_input] for domain in tables}


def sentence(name: str, kept: list[str], n: int, scores: dict[int, float]) -> str:
    """What was selected, and why so many."""
    tried = f" (held-out score by number: {', '.join(f'{k} {v:.3f}' for k, v in scores.items())})" if scores else ""
    return f"{name}: selected inputs are {len(kept):,} of {n:,} columns: {few(kept, MOST_NAMES)}{tried}"


def _selection(train: Dataset, layout: Layout, name: str, config: Config, wanted: int | str) -> Selection:
    domain = layout.domains[layout.index(name)]
    used = [field for field in domain.fields if field.n_input]
    column = np.repeat(np.arange(len(used)), [field.n_input for field in used])
    # A brain may have more inputs and outputs than its table fills.
    n_output = domain.answer.n_output
    x, targets, weight = _gathered(train, layout, domain, len(column), n_output, config.seed)
    is_label = domain.answer.kind == "label"
    target = targets.argmax(axis=1) if is_label else targets
    examples = Examples(
        rows=lambda rows: x[rows],
        loss=lambda y, rows: (
            cross_entropy(y, target[rows], weight[rows]) if is_label else huber(y, target[rows], weight[rows], np.inf)
        ),
        key=target if is_label else targets[:, 0],
        weight=weight,
        column=column,
        n_output=n_output,
        dtype="float32",
    )

    def score(columns: Indices, learn: Indices, held: Indices) -> float:
        inputs = np.flatnonzero(np.isin(column, columns))
        dag = _learned(x[np.ix_(learn, inputs)], target[learn], weight[learn], is_label, n_output, config)
        y = dag.forward(x[np.ix_(held, inputs)])
        if is_label:
            return float(np.average(y.argmax(axis=1) == target[held], weights=weight[held]))
        mean = np.average(targets[held], axis=0, weights=weight[held])
        wrong, spread = (np.average((targets[held] - one) ** 2, axis=0, weights=weight[held]) for one in (y, mean))
        return float(1 - wrong.sum() / max(spread.sum(), np.finfo(np.float32).tiny))

    return select(examples, min(wanted, len(used)) if isinstance(wanted, int) else wanted, score, config.seed)


def _learned(x: Array, target: Array, weight: Array, is_label: bool, n_output: int, config: Config) -> DagNN:
    """A network as the run's, on some columns, trained on some rows; always of layers."""
    options: dict[str, Any] = {"activation": config.activation, "init": config.init, "seed": config.seed}
    dag = DagNN.layered([x.shape[1], *hidden_widths(config), n_output], config.fan_in, config.skip, **options)
    every = accumulate_every(config)
    batch = len(x) if every is None else min(max(every, config.batch_size), len(x))
    n_step = config.epochs * -(-len(x) // batch)
    rate = schedules.build(config.lr_schedule, 1.0, n_step, config.warmup_steps)
    rule = replace(optimizers.build(config.optimizer, config.weight_decay or 0.0), lr=config.lr)
    fit(
        dag, x, target, loss="cross_entropy" if is_label else "mse", optimizer=rule,
        schedule=lambda step, _: rate(step), epochs=config.epochs, batch_size=batch, seed=config.seed,
        sample_weight=weight, max_norm=config.clip_grad_norm,
    )  # fmt: skip
    return dag


def _gathered(
    train: Dataset, layout: Layout, domain: DomainLayout, n_input: int, n_output: int, seed: int
) -> tuple[Array, Array, Array]:
    """Inputs (n, n_input), targets (n, n_output) and weights (n,) of examples of a domain that fit, drawn by `seed`."""
    most = max(1, min(MOST_ROWS, MOST_NUMBERS // n_input))
    own = train.view([other for other in layout.names if other != domain.name])
    x, targets, weight, n = [], [], [], 0
    with closing(own.batches(layout, READ, seed=seed)) as batches:
        for batch in batches:
            rows = np.flatnonzero(batch.n_active > 0)[: most - n]
            x.append(batch.values[rows, :n_input])
            targets.append(batch.targets[rows, :n_output])
            weight.append(np.ones(len(rows)) if batch.weight is None else batch.weight[rows])
            n += len(rows)
            if n == most:
                break
    if not n:
        raise UsageError(f"no example of {domain.name!r} fits, so no inputs can be selected; see --answer")
    return np.concatenate(x), np.concatenate(targets), np.concatenate(weight)
