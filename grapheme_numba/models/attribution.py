"""Which part of an example an answer comes from: gradient times input, element by element.

What is explained is the answer that the model gives: the output of its label, the size of its number, or of
each bit of its text (up to the end of the text) how far it stands on its side of 1/2.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import LabelAnswer, TextAnswer
from grapheme_numba.network.attribution import Saliency

if TYPE_CHECKING:
    from grapheme_numba.data.codec.answers import Answer
    from grapheme_numba.data.codec.layout import DomainLayout
    from grapheme_numba.data.stream.batches import Batch
    from grapheme_numba.models.brain_model import BrainModel

Array = npt.NDArray[Any]
Parts = tuple[npt.NDArray[np.intp], npt.NDArray[np.int32], list[str], npt.NDArray[np.float64]]

BITS = 8


class Elements(NamedTuple):
    """The parts of the examples of one domain in one batch, row after row.

    rows : (n_example,) positions in the batch
    answers : n_example texts, what the model answers
    counts : (n_example,) how many elements each example has
    positions : (n,) int32, character of a text, pixel of an image row by row, value from the end (-1 the last), or
        input of a table
    elements : n texts, the characters or numbers themselves, or the column with its number or category
    attributions : (n,) float64
    """

    rows: npt.NDArray[np.intp]
    answers: list[str]
    counts: npt.NDArray[np.intp]
    positions: npt.NDArray[np.int32]
    elements: list[str]
    attributions: npt.NDArray[np.float64]


class Explainer:
    """Explains batches, and adds up the saliency of every node and edge.

    Attributes
    ----------
    saliency : Saliency
        Of all examples explained so far.
    inputs : (n_domain, n_input) float64
        Sum over the examples of each domain of |input * gradient|.
    by_domain : (n_domain,) int64
        Examples of each domain.
    """

    def __init__(self, model: "BrainModel") -> None:
        layout = model.layout
        self.model, self.saliency = model, Saliency(model.dag)
        self.inputs = np.zeros((len(layout.domains), layout.n_input))
        self.by_domain = np.zeros(len(layout.domains), np.int64)

    def explain(self, batch: "Batch") -> dict[int, Elements]:
        """The elements of every domain in a batch, by the domain's number."""
        model, domains = self.model, self.model.layout.domains
        if not len(batch.domain):
            return {}
        y, x = model.forward_with_inputs(batch)
        gy = np.zeros_like(y)
        answers: dict[int, list[str]] = {}
        for number, domain in enumerate(domains):
            rows = np.flatnonzero(batch.domain == number)
            own = y[rows, domain.output_start : domain.output_start + domain.n_output]
            if len(rows):
                answers[number] = model.layout.decode(number, np.ascontiguousarray(own)).answers
                upstream = explained(domain.answer, own, answers[number])
                gy[rows, domain.output_start : domain.output_start + domain.n_output] = upstream
        product = self.saliency.backward(gy).astype(np.float64) * x
        found = {}
        for number, texts in answers.items():
            rows = np.flatnonzero(batch.domain == number)
            self.inputs[number] += np.abs(product[rows]).sum(axis=0)
            self.by_domain[number] += len(rows)
            domain = domains[number]
            own = product[rows, domain.input_start : domain.input_start + domain.n_input]
            values = x[rows, domain.input_start : domain.input_start + domain.n_input]
            if domain.input_type == "text":
                parts = characters(batch.tokens[rows], own, model.layout.embedding_dim)
            elif domain.input_type == "tabular":
                parts = cells(domain, values, own)
            else:
                parts = numbers(domain, values, own)
            found[number] = Elements(rows, texts, *parts)
        return found


def explained(answer: "Answer", outputs: Array, answers: Sequence[str]) -> Array:
    """dL/dy (n, n_output) of what is explained of the outputs of one domain."""
    upstream = np.zeros_like(outputs)
    if isinstance(answer, LabelAnswer):
        upstream[np.arange(len(outputs)), outputs.argmax(axis=1)] = 1
    elif isinstance(answer, TextAnswer):
        length = np.array([len(text.encode()) + 1 for text in answers])
        spelled = np.arange(outputs.shape[1]) < BITS * length[:, None]
        upstream[:] = np.where(outputs > 0.5, 1, -1) * spelled
    else:
        upstream[:, 0] = 1
    return upstream


def characters(tokens: npt.NDArray[np.int32], products: Array, dim: int) -> Parts:
    """(counts, positions, elements, attributions) of texts, a row per character and not per byte."""
    n_byte = min(tokens.shape[1], products.shape[1] // dim)
    tokens = tokens[:, :n_byte]
    by_byte = products[:, : n_byte * dim].reshape(len(tokens), n_byte, dim).sum(axis=2)
    row, column = np.nonzero(tokens > 0)
    data = (tokens[row, column] - 1).astype(np.uint8)
    first = (data & 0xC0) != 0x80  # every byte but those that go on a character
    first |= np.diff(row, prepend=-1) != 0
    starts = np.flatnonzero(first)
    counts = np.bincount(row[starts], minlength=len(tokens))
    positions = np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)
    pieces = np.split(data, starts[1:]) if (data > 127).any() else data
    elements = [bytes(piece).decode(errors="replace") if np.ndim(piece) else chr(piece) for piece in pieces]
    sums = np.add.reduceat(by_byte[row, column], starts) if len(starts) else np.zeros(0)
    return counts, positions.astype(np.int32), elements[: len(starts)], sums


def numbers(domain: "DomainLayout", values: Array, products: Array) -> Parts:
    """(counts, positions, elements, attributions) of sequences (leading padding left out) and of images."""
    n = domain.n_input
    image = domain.input_type == "image"
    begin = np.zeros(len(values), int) if image else np.where(values.any(axis=1), (values != 0).argmax(axis=1), n - 1)
    shown = np.arange(n) >= begin[:, None]
    row, column = np.nonzero(shown)
    positions = column if image else column - n
    plain = values[row, column] / domain.scale + domain.shift
    return n - begin, positions.astype(np.int32), [f"{value:.6g}" for value in plain.tolist()], products[row, column]


def cells(domain: "DomainLayout", values: Array, products: Array) -> Parts:
    """(counts, positions, elements, attributions) of the inputs of rows of a table that are not 0, by their names."""
    names = [name for field in domain.fields for name in field.inputs] or ["nothing"]
    spreads = [(field.mean, field.std) if i == 0 else None for field in domain.fields for i in range(field.n_input)]
    row, column = np.nonzero(values[:, : len(names)])
    elements = []
    for at, value in zip(column.tolist(), values[row, column].tolist(), strict=True):
        mean, std = spreads[at] or (None, None)
        if mean is None or std is None:
            elements.append(names[at])
        else:
            elements.append(f"{names[at]} {value * std + mean:.6g}")
    return np.bincount(row, minlength=len(values)), column.astype(np.int32), elements, products[row, column]
