"""Input selection: a network that loses its weakest inputs while it learns tells which ones are worth having.

The strength of an input is the L2 norm of the weights that leave it, as in QuickSelection (Atashgahi et al. 2022). A
strong decay takes the weights of inputs that say nothing; a few inputs a time then lose their edges, on the cubic
schedule of gradual pruning, and do not come back. What stays is handed to a fresh network, since the weights of the old
one were learned among noise.

Of 600 columns of which 20 inform (the recipe of Madelon in `benchmarks/selection.py`, four other draws, 1,387 rows), so
many of the strongest 5, 10 and 20 were among the 20; of 500 of which 7 inform (`make_classification`) the last number:
    decay 6, 30 hidden nodes, 60 epochs: 5.0 10.0 15.5, 6.8    <- kept
    decay 3: 5.0 8.5 12.3, 6.5; decay 10: 5.0 10.0 13.3, 6.8; 120 epochs: 5.0 10.0 14.8, 6.8
    100 hidden nodes: 5.0 9.0 14.5, 6.5; decay 3: 4.0 5.5 7.0, 6.5; decay 10: 5.0 10.0 13.5, 6.8
    100 hidden nodes, 30 epochs: 5.0 9.5 14.3, 6.8; decay 10: 5.0 9.8 13.3, 6.8; decay 15: 5.0 10.0 13.0, 6.8
Of all 2,080 rows, three draws, at decay 3: tanh, a linear schedule and two hidden layers found no more. Noise on the
inputs found 15.7 in place of 12.7 of the strongest 20, as decay 6 does without it; both together were not tried.

Which columns of its tables a run reads is found before the model is made, from the training examples and the config
alone. The model is then made for a table of those columns, so pruning, drop-and-grow, checkpoints and a resumed run
know of nothing.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments
from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.summary import DatasetSummary
from grapheme_numba.errors import NonFiniteError, UsageError, few
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.losses import cross_entropy, huber
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.optim.optimizers import AdamW
from grapheme_numba.sparsity import prune
from grapheme_numba.training import step
from grapheme_numba.training.config import Config, accumulate_every, hidden_widths
from grapheme_numba.training.fit import fit

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]

HIDDEN, EPOCHS, BATCH = 30, 60, 200
RATE, DECAY = 0.01, 6.0
END = 0.8  # of the epochs: all inputs that go are gone, those that stay settle
FEW, PARTS = (5, 7, 10, 15, 20, 25), (8, 4, 2, 1)  # how many "auto" tries: these, and these parts of all
FOLDS = 3
PATIENCE = 3  # numbers tried beyond the best: the large ones, which cost most, are seldom reached


@dataclass(frozen=True)
class Examples:
    """What a selection learns from: n examples with n_input numbers each, scaled.

    rows : row numbers (m,) -> inputs (m, n_input)
    loss : outputs (m, n_output), row numbers (m,) -> loss summed over them, dL/dy
    key : (n,) class or number of each answer, which folds spread evenly
    column : (n_input,) the column that an input belongs to, from 0: columns stay or go as a whole
    """

    rows: Callable[[Indices], Array]
    loss: Callable[[Array, Indices], tuple[float, Array]]
    key: Array
    weight: npt.NDArray[np.float64]
    column: Indices
    n_output: int
    dtype: npt.DTypeLike

    @property
    def n_column(self) -> int:
        return int(self.column.max()) + 1


class Selection(NamedTuple):
    """Columns that stay, ascending, and the mean score of every number of columns that was tried."""

    kept: Indices
    scores: dict[int, float]


Score = Callable[[Indices, Indices, Indices], float]  # columns, rows to learn from, rows to judge by: more is better


def checked(name: str, value: object) -> None:
    """Raise UsageError unless `value` is a number of columns, "auto" or None."""
    if value is None or (isinstance(value, str) and value == "auto") or arguments.is_whole(value, 1):
        return
    raise UsageError(f"{name} is {arguments.shown(value)}; give how many inputs to keep, at least 1, or 'auto'")


def select(examples: Examples, wanted: int | str, score: Score, seed: int) -> Selection:
    """The `wanted` strongest columns, or ("auto") as many as score best on rows held out of `examples`.

    Of numbers that score alike the smallest is taken. Nothing depends on the number of threads.

    Parameters
    ----------
    examples : Examples
    wanted : int or "auto"
    score : callable (columns, learn, held) -> float
        How well a fresh network on these columns, which learned from the rows `learn`, answers the rows `held`.
    seed : int

    Raises
    ------
    UsageError
        More columns are wanted than there are.
    NonFiniteError
        The selecting network's loss or weights are not finite.
    """
    n = examples.n_column
    everything = np.arange(len(examples.key))
    if not isinstance(wanted, str):
        if wanted > n:
            raise UsageError(f"{wanted} inputs are to be selected, but there are {n}; ask for fewer, or for 'auto'")
        order = strongest(examples, everything, wanted, seed) if wanted < n else np.arange(n)
        return Selection(np.sort(order[:wanted]), {})
    tried = numbers_tried(n)
    parts = folds(examples.key, seed)
    orders = [strongest(examples, learn, tried[0], seed) for learn, _ in parts]
    scores: dict[int, float] = {}
    best = tried[0]
    for number in tried:
        of_folds = [score(np.sort(own[:number]), *part) for own, part in zip(orders, parts, strict=True)]
        scores[number] = float(np.mean(of_folds))
        best = number if scores[number] > scores[best] else best
        if tried.index(number) >= tried.index(best) + PATIENCE:
            break
    order = strongest(examples, everything, tried[0], seed) if best < n else np.arange(n)
    return Selection(np.sort(order[:best]), scores)


def numbers_tried(n: int) -> list[int]:
    """The numbers of `n` columns that "auto" tries, ascending; all of them is the last."""
    return sorted({number for number in (*FEW, *(n // part for part in PARTS)) if 1 <= number <= n})


def folds(key: Array, seed: int) -> list[tuple[Indices, Indices]]:
    """(learn, held) row numbers: each row is held out once, answers spread alike. One example has no fold."""
    n = len(key)
    drawn = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, FOLDS)))).permutation(n)
    fold = np.empty(n, np.intp)
    fold[drawn[np.argsort(key[drawn], kind="stable")]] = np.arange(n) % FOLDS
    parts = [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in range(FOLDS)]
    return [(learn, held) for learn, held in parts if len(learn) and len(held)]


def strongest(examples: Examples, chosen: Indices, n_least: int, seed: int) -> Indices:
    """All columns, the strongest first: those that stayed by their strength, then the others, the last to go first.

    Parameters
    ----------
    examples : Examples
    chosen : (n_chosen,)
        Rows to learn from.
    n_least : int
        Columns that stay to the end.
    seed : int
    """
    n_input, n_column = len(examples.column), examples.n_column
    dag = DagNN.layered(
        [n_input, HIDDEN, examples.n_output], max(n_input, HIDDEN), seed=seed, activation="silu", dtype=examples.dtype
    )  # fmt: skip
    rule = AdamW(lr=RATE, weight_decay=DECAY)
    state = rule.init(dag.parameters)
    n_step = EPOCHS * -(-len(chosen) // BATCH)
    rate = schedules.build("cosine", RATE, n_step, warmup_steps=0)
    alive, gone = np.ones(n_column, bool), [np.zeros(0, np.intp)]
    for epoch in range(EPOCHS):
        order = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch)))).permutation(chosen)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            n = float(examples.weight[rows].sum())
            if n == 0:
                continue
            step.accumulate(dag, examples.rows(rows), lambda y, at=rows: examples.loss(y, at))  # type: ignore[misc]
            update = step.apply(dag, n, rule, state, rate(state.count))
            if not (update.applied and update.finite):
                raise NonFiniteError(
                    "the network that selects inputs met a number that is not finite; scale the inputs and targets"
                )
            dag.parameters_changed()
            state = update.state
        n_left = max(n_least, inputs_left((epoch + 1) / EPOCHS, n_column, n_least))
        if n_left < alive.sum():
            force = strengths(dag, examples.column)
            weakest = np.argsort(np.where(alive, force, np.inf), kind="stable")[: int(alive.sum()) - n_left]
            gone.append(weakest)
            alive[weakest] = False
            dag, moments = without_columns(dag, alive[examples.column], list(state.moments.values()))
            state = state._replace(moments=dict(zip(state.moments, moments, strict=True)))
    force = strengths(dag, examples.column)
    gone.append(np.flatnonzero(alive)[np.argsort(force[alive], kind="stable")])
    return np.concatenate(gone)[::-1]


def inputs_left(progress: float, n: int, n_least: int) -> int:
    """How many of `n` inputs still have edges when the share `progress` of the epochs is done."""
    return n_least + round((n - n_least) * (1 - min(1.0, progress / END)) ** 3)


def strengths(dag: DagNN, column: Indices) -> npt.NDArray[np.float64]:
    """(n_column,): the largest L2 norm of the outgoing weights among the inputs of each column."""
    arrays = dag.topology()
    squares = np.bincount(arrays["senders"], dag.weights.astype(np.float64) ** 2, dag.n_node)
    found = np.zeros(int(column.max()) + 1)
    np.maximum.at(found, column, np.sqrt(squares[arrays["inputs"]]))
    return found


def without_columns(dag: DagNN, stays: npt.NDArray[np.bool_], moments: Sequence[Array]) -> tuple[DagNN, list[Array]]:
    """The network without the edges of the inputs that do not stay (n_input,), and the moments that belong to it."""
    arrays = dag.topology()
    sends = np.ones(dag.n_node, bool)
    sends[arrays["inputs"]] = stays
    smaller, kept = prune.with_edges(dag, sends[arrays["senders"]], moments)
    return smaller, list(kept)


MOST_ROWS, MOST_NUMBERS = 20_000, 1 << 27  # examples, and numbers in all, that a selection looks at
MOST_NAMES = 40  # of a sentence
READ = 1024  # examples at once


def of_summary(
    train: Dataset,
    summary: DatasetSummary,
    layout: Layout,
    config: Config,
    note: Callable[[str], None],
) -> DatasetSummary:
    """`summary` with the columns of each table that the run is to read; `layout` is that of all of them.

    Of several ranks only the first comes here: it makes the model, and the others get it.

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
        chosen = [columns[column] for column in found.kept.tolist()]
        kept[name] = set(chosen)
        note(sentence(name, chosen, len(columns), found.scores))
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
