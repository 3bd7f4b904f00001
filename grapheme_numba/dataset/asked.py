"""Questions in memory to a batch: what `predict` feeds the model, through the encoder that training uses."""

import numpy as np
import pyarrow as pa

from grapheme_numba.dataset.batches import Batch, cut, encode_pieces
from grapheme_numba.dataset.columns import window_of
from grapheme_numba.dataset.layout import DomainLayout, Layout
from grapheme_numba.dataset.records import MixedExample
from grapheme_numba.dataset.schema import to_arrow


def encode_examples(examples: list[MixedExample], layout: Layout) -> Batch:
    """One batch of `examples` in their order. Answers may be absent.

    Raises RecordError for a domain that the layout does not know or whose input type is another.
    """
    order = np.arange(len(examples), dtype=np.int64)
    domains = {name: index for index, name in enumerate(layout.names)}
    pieces = [(window_of(pa.Table.from_batches([to_arrow(examples)]), order, domains), order)]
    return next(cut(encode_pieces(pieces, layout), pieces, [0, len(examples)]))


def misfit(example: MixedExample, domain: DomainLayout, layout: Layout) -> str | None:
    """Why the domain's slice cannot take the example's input, or None when it can."""
    if example.input_type != domain.input_type:
        return f"input_type is {example.input_type}, but domain {domain.name!r} takes {domain.input_type}"
    if example.input_type == "text":
        size, most, unit = len(example.text.encode()), domain.n_input // layout.embedding_dim, "bytes of text"
    elif example.input_type == "sequence":
        size, most, unit = len(example.values), domain.n_input, "values"
    else:
        size, most, unit = len(example.pixels), domain.n_input, "pixels"
    return f"input has {size} {unit}, but domain {domain.name!r} takes at most {most}" if size > most else None
