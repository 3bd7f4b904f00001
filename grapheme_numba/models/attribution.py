"""Which part of an example an answer comes from: gradient times input, element by element.

What is explained is the answer that the model gives: the output of its label, the size of its number, or of
each bit of its text (up to the end of the text) how far it stands on its side of 1/2.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import LabelAnswer, TextAnswer
from grapheme_numba.data.codec.inputs import token_ends, words_of
from grapheme_numba.kernels.codec.text_tokens import NUMBER
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
    positions : (n,) int32, character of a text (of a number in it the first), pixel of an image row by row, value
        from the end (-1 the last), or input of a table
    elements : n texts, the characters or numbers themselves as they were written, or the column with its number or
        category
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

    def explain(self, batch: "Batch", texts: Sequence[str]) -> dict[int, Elements]:
        """The elements of every domain in a batch, by the domain's number.

        texts : the text of every example, "" where it has none: tokens do not say how a number was written
        """
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
        gradient = self.saliency.backward(gy).astype(np.float64)
        product = gradient * x
        found = {}
        for number, answered in answers.items():
            rows = np.flatnonzero(batch.domain == number)
            self.inputs[number] += np.abs(product[rows]).sum(axis=0)
            self.by_domain[number] += len(rows)
            domain = domains[number]
            own = product[rows, domain.input_start : domain.input_start + domain.n_input]
            values = x[rows, domain.input_start : domain.input_start + domain.n_input]
            if domain.input_type == "text":
                dim = model.layout.embedding_dim
                n_token = int(model.layout.slots.n_token[number])
                tokens = own[:, : n_token * dim].reshape(len(rows), n_token, dim).sum(axis=2)
                words = None
                if domain.n_bag:
                    bag = slice(domain.input_start + n_token * dim, domain.input_start + (n_token + domain.n_bag) * dim)
                    table = model.embedding.weights[NUMBER + 1 :].reshape(model.layout.n_bucket, -1)
                    words = gradient[rows, bag] @ table.T.astype(np.float64)
                parts = characters([texts[row] for row in rows.tolist()], tokens, words, valued=domain.by_tokens)
            elif domain.input_type == "tabular":
                parts = cells(domain, values, own)
            else:
                parts = numbers(domain, values, own)
            found[number] = Elements(rows, answered, *parts)
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


def characters(texts: Sequence[str], tokens: Array, words: Array | None, valued: bool) -> Parts:
    """(counts, positions, elements, attributions) of texts, a row per number and per other character, not per byte.

    tokens : (n, n_token) of each token; words : (n, n_bucket) of each bucket before it is divided by the root of how
    many words there are, which goes to the characters of the words in equal shares; None without words
    valued : whether numbers are tokens
    """
    counts, positions, elements, sums = np.zeros(len(texts), np.intp), [], [], []
    for row, text in enumerate(texts):
        data = text.encode()
        ends = token_ends(text).tolist() if valued else list(range(1, len(data) + 1))
        by_byte = np.zeros(len(data))
        for begin, one in zip([0, *ends[:-1]][: len(ends)], tokens[row].tolist(), strict=False):
            by_byte[begin] += one
        if words is not None:
            found = words_of(text, words.shape[1])
            for bucket, (begin, end) in zip(found.buckets.tolist(), found.spans.tolist(), strict=True):
                by_byte[begin:end] += words[row, bucket] / np.sqrt(len(found.buckets)) / (end - begin)
        starts = [at for at in [0, *ends[:-1]] if data[at] & 0xC0 != 0x80 or at == 0] if ends else []
        counts[row] = len(starts)
        for begin, end in pairwise([*starts, len(data)] if starts else []):
            positions.append(len(data[:begin].decode(errors="replace")))
            elements.append(data[begin:end].decode(errors="replace"))
            sums.append(float(by_byte[begin:end].sum()))
    return counts, np.array(positions, np.int32), elements, np.array(sums)


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
    spreads = [
        (field.mean, field.std) if i == 0 and field.mean is not None and field.std is not None else None
        for field in domain.fields
        for i in range(field.n_input)
    ]
    row, column = np.nonzero(values[:, : len(names)])
    elements = []
    for at, value in zip(column.tolist(), values[row, column].tolist(), strict=True):
        spread = spreads[at]
        elements.append(names[at] if spread is None else f"{names[at]} {value * spread[1] + spread[0]:.6g}")
    return np.bincount(row, minlength=len(values)), column.astype(np.int32), elements, products[row, column]
