"""Where a NaN or an infinity came from: a parameter, an example's input or target, or a node that overflowed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.models.brain_model import BrainModel

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
