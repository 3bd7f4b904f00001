"""What happens when a loss, a gradient or a parameter is not finite: the fault is named, then the policy acts.

A fault is a parameter, an example's input or target, or a node that overflowed. The loop does its work inside
`watching`; it never asks what the policy is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.errors import NonFiniteError, ShapeError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.optim.optimizers import gradient_norm
from grapheme_numba.training.run import Run

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

MOST_IDS = 3


def sentence(run: "Run", batch: Sequence[Batch] | None) -> str:
    """Name step, example ids, brain and node of what is not finite. Looks once, when it is too late to be fast."""
    where = f"epoch {run.progress.epoch + 1}, step {run.progress.step + 1}"
    found = parameter(run.model) or run.team.first_text(in_batch(run.model, batch))
    return f"not finite in {where}: {found or gradient(run.model)}"


def parameter(model: BrainModel) -> str | None:
    """The first weight, bias or embedding row that is not finite."""
    found = first(model, model.parameters)
    return found and f"{found[0]} is {found[1]}"


def gradient(model: BrainModel) -> str:
    """The first gradient that is not finite."""
    found = first(model, model.gradients)
    return f"the gradient of {found[0]} is {found[1]}" if found else "the sum of the losses overflows"


def first(model: BrainModel, flat: npt.NDArray[Any]) -> tuple[str, float] | None:
    """Name and value of the first element of a flat vector that is not finite."""
    if np.isfinite(flat).all():
        return None
    values = model.to_caller_order(flat)
    index = int(np.flatnonzero(~np.isfinite(values))[0])
    n_edge, n_node = model.dag.n_edge, model.dag.n_node
    if index < n_edge:
        topology = model.topology()
        ends = (called(model, topology[end][index]) for end in ("senders", "receivers"))
        name = f"the weight of edge {' -> '.join(ends)}"
    elif index < n_edge + n_node:
        name = f"the bias of node {called(model, index - n_edge)}"
    else:
        name = f"the embedding of token {(index - n_edge - n_node) // model.layout.embedding_dim}"
    return name, float(values[index])


def in_batch(model: BrainModel, parts: Sequence[Batch] | None) -> str | None:
    """The examples of a batch, given by its parts, whose input, target or activations are not finite."""
    return next(filter(None, (in_part(model, part) for part in parts or ())), None)


def in_part(model: BrainModel, batch: Batch) -> str | None:
    """The examples of one part whose input, target or activations are not finite."""
    for word, array in (("input", batch.values), ("target", batch.targets)):
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(rows):
            nodes = np.flatnonzero(~np.isfinite(array[rows[0]]))
            return f"the {word} of {examples(model, batch, rows)} at {node(model, batch, rows[0], word, nodes[0])}"
    model.evaluate(batch)
    activations = model.dag.activations()
    rows = np.flatnonzero(~np.isfinite(activations).all(axis=1))
    if not len(rows):
        return None
    bad = ~np.isfinite(activations[rows[0]])
    after_bad = np.zeros(len(bad), bool)
    topology = model.topology()
    np.logical_or.at(after_bad, topology["receivers"], bad[topology["senders"]])
    source = int(np.flatnonzero(bad & ~after_bad)[0])
    value, where = activations[rows[0], source], called(model, source)
    return f"the activation {value} of node {where} for {examples(model, batch, rows)}"


def examples(model: BrainModel, batch: Batch, rows: npt.NDArray[np.intp]) -> str:
    """Ids and brain of the examples in `rows`."""
    shown = ", ".join(repr(batch.ids[int(row)]) for row in rows[:MOST_IDS])
    more = f" and {len(rows) - MOST_IDS} more" if len(rows) > MOST_IDS else ""
    return f"example {shown}{more} (brain {model.layout.names[batch.domain[rows[0]]]})"


def node(model: BrainModel, batch: Batch, row: int, word: str, column: int) -> str:
    """The node that a column of an example's input or target belongs to."""
    domain = model.layout.domains[batch.domain[row]]
    topology = model.topology()
    start, nodes = (domain.input_start, "inputs") if word == "input" else (domain.output_start, "outputs")
    return f"node {called(model, topology[nodes][start + column])}"


def called(model: BrainModel, node: int) -> str:
    """The node's name where the graph came with names, else its number."""
    return str(int(node)) if model.dag.names is None else repr(model.dag.names[int(node)])


LEAST_FACTOR = 1 / 64  # six rollbacks, each halving the learning rate; what still fails then is not the rate
Result = TypeVar("Result")


class NotFinite(Exception):
    """A batch gave a loss that is not finite."""


class RollBack(Exception):
    """Carries the fault's sentence out of the epoch to where the newest checkpoint is restored."""


@contextmanager
def watching(run: Run, parts: Sequence[Batch]) -> Iterator[None]:
    """Around the work on a batch: NotFinite is for the policy to handle, which may skip the batch.

    Raises
    ------
    NonFiniteError, RollBack
        As the policy asks.
    """
    before = remember(run)
    try:
        yield
    except NotFinite:
        refuse(run, parts, before)


def remember(run: Run) -> Any:
    """The gradients before a batch, where a bad batch has to be taken out of them again.

    Of several shards none is left: a bad batch never gets into their sum.
    """
    if run.config.nan_policy != "skip" or not run.progress.n_accumulated:
        return None
    return run.model.gradients.copy() if run.team.n_shard == 1 else run.model.gradients[:0]


def unless_refused(run: Run, parts: Sequence[Batch], work: Callable[[], Result]) -> Result | None:
    """`work()`; None where the engine refused a number that is not finite.

    The engine refuses the array by its shape and place, which says nothing to whoever trains.
    """
    try:
        return work()
    except ShapeError:
        if not (parameter(run.model) or in_batch(run.model, parts)):
            raise
        return None


def refuse(run: Run, batch: Sequence[Batch] | None, before: Any) -> None:
    """Act on a batch (or, with `batch` None, an epoch's gradient) that is not finite.

    With the policy `skip` the gradients go back to `before`, or to zero; the batch is counted as
    skipped. Else NonFiniteError or RollBack is raised.
    """
    text = sentence(run, batch)
    if run.config.nan_policy == "skip" and np.isfinite(gradient_norm(run.model.parameters)):
        run.observer.note(f"skipped a batch: {text}")
        run.progress.n_skipped += 1
        if before is None:
            run.model.zero_grad()
            run.progress.n_accumulated = 0
        else:
            run.model.gradients[: len(before)] = before
        if batch is not None and not run.progress.tally and run.progress.batch + 1 >= run.n_batch():
            raise NonFiniteError(f"{text}; so was every batch of the epoch, and nothing is left to learn from")
        return
    fail(run, text)


def refuse_parameters(run: Run, batch: Sequence[Batch] | None) -> None:
    """Act on parameters that are not finite: nothing can be skipped any more."""
    fail(run, sentence(run, batch))


def fail(run: Run, text: str) -> None:
    """Raise what the policy asks for."""
    if run.config.nan_policy == "rollback":
        raise RollBack(text)
    raise NonFiniteError(
        f"{text}; the last checkpoint is clean: lower --lr, set --clip-grad-norm, or choose --nan-policy skip|rollback"
    )


def roll_back(run: Run, fault: RollBack) -> None:
    """Restore the newest checkpoint with half the learning rate. Raises NonFiniteError at the limit."""
    factor = run.progress.rate_factor / 2
    notes = None if factor < LEAST_FACTOR else run.store.restore_newest(run)
    if notes is None:
        tried = factor < LEAST_FACTOR
        reason = "halving the rate six times did not help" if tried else "no checkpoint to go back to"
        raise NonFiniteError(f"{fault}; {reason}: lower --lr or look at the named example") from None
    run.progress.rate_factor = factor
    for note in [*notes, f"{fault}; went back to step {run.progress.step} with {factor:g} times the learning rate"]:
        run.observer.note(note)
