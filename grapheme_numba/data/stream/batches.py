"""Batches: the arrays of one training step, streamed from Parquet in a seeded order.

A slab is rows of one or a few windows, loaded when they are due, encoded at once and cut into batches. Examples that a
layout has no room for are counted and named, never silently cut. Questions in memory become a batch through the same
encoder that training uses: what `predict` feeds the model.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice, pairwise, takewhile
from typing import NamedTuple, cast

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.codec.inputs import column_kind, token_ends, words_of
from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.data.fields import STRING, shape_of
from grapheme_numba.data.parquet.columns import Chosen, Texts, Window, window_of
from grapheme_numba.data.records import INPUT_KINDS, MixedExample
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.stream.order import WINDOW_BYTES, Span, Stream
from grapheme_numba.errors import RecordError, few
from grapheme_numba.kernels.codec.encode import OTHER_INPUT, UNKNOWN_DOMAIN, Rows, encode_rows
from grapheme_numba.kernels.codec.tables import Columns

SLAB_BYTES = 2 << 20  # encoded at once; larger slabs fall out of the cache, smaller ones cost calls
FIRST_SLAB = 4  # batches
LEFT_OUT = -2  # number of a domain whose examples are left out of the batches; -1 is a domain nobody knows

RowRange = tuple[Window, npt.NDArray[np.int64]]


class Batch(NamedTuple):
    """B examples, encoded. Arrays are C-contiguous; do not write into them.

    domain : (B,) int32, index into `layout.domains`
    tokens : (B, text_length) int32, byte + 1 or `text_tokens.NUMBER`, 0 is padding; after the n_token of its domain
        the buckets of its words, + 1; all 0 where the input is not text
    values : (B, value_width) float32, a sequence (right-aligned) or an image (row-major) in the first n_input columns
        of its domain, or the numbers of a text at the places of their tokens, scaled; 0 elsewhere
    targets : (B, n_target) float32, the answer's code from column 0; 0 elsewhere
    n_active : (B,) int32, target columns that count: n_output of the domain, or 0 when the input or the
        answer does not fit
    answer_length : (B,) int32, code points of the expected answer
    rows : (B,) int64, row numbers in the dataset
    ids, answers : sequences of B str, made when looked at
    weight : (B,) float64, factor of each example's gradient; None where all are 1
    """

    domain: npt.NDArray[np.int32]
    tokens: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    targets: npt.NDArray[np.float32]
    n_active: npt.NDArray[np.int32]
    answer_length: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int64]
    ids: Sequence[str]
    answers: Sequence[str]
    weight: npt.NDArray[np.float64] | None = None


def row_bytes(layout: Layout) -> int:
    """Bytes of one encoded row."""
    return 4 * (layout.text_length + layout.value_width + layout.n_target + 6)


def empty_rows(n: int, layout: Layout) -> Rows:
    """Room for n encoded rows."""
    widths = (layout.text_length, np.int32), (layout.value_width, np.float32), (layout.n_target, np.float32)
    wide = [np.empty((n, width), dtype) for width, dtype in widths]
    return Rows(np.empty(n, np.int32), *wide, *(np.empty(n, np.int32) for _ in range(3)))


def check_rows(rows: Rows, window: Window, order: npt.NDArray[np.int64], layout: Layout) -> None:
    """RecordError for the first encoded row whose domain or input type the layout does not know."""
    unknown = (rows.status == UNKNOWN_DOMAIN) & (rows.domain != LEFT_OUT)
    wrong = np.flatnonzero(unknown | (rows.status == OTHER_INPUT))
    if not len(wrong):
        return
    row = int(order[wrong[0]])
    name = window.table.column("domain")[row].as_py()
    if not name:
        raise RecordError(
            f"example {window.ids[row].as_py()!r} names no domain; give it one, or choose one by its input with --route"
        )
    if rows.status[wrong[0]] == UNKNOWN_DOMAIN:
        raise RecordError(
            f"example {window.ids[row].as_py()!r} is of domain {name!r}, which this model does not know "
            f"(it knows {few(layout.names)}); remove such examples or train with them"
        )
    kinds = tuple(INPUT_KINDS)
    raise RecordError(
        f"example {window.ids[row].as_py()!r} of domain {name!r} has input type {kinds[window.columns.kind[row]]}, "
        f"but the model expects {layout.domains[layout.index(name)].input_type} for that domain"
    )


def encode_pieces(pieces: Iterable[tuple[Window, npt.NDArray[np.int64]]], layout: Layout, n: int | None = None) -> Rows:
    """Encode rows of one or more windows, one after the other; n : their number, unless `pieces` is a list."""
    rows_out = empty_rows(sum(len(order) for _, order in pieces) if n is None else n, layout)
    start = 0
    for window, order in pieces:
        part = Rows(*(array[start : start + len(order)] for array in rows_out))
        encode_rows(order, window.columns, layout.inputs, layout.answers, part)
        check_rows(part, window, order, layout)
        start += len(order)
        del window  # before the next is loaded
    return rows_out


def cut(rows: Rows, pieces: list[tuple[Window, npt.NDArray[np.int64]]], bounds: Sequence[int]) -> Iterator[Batch]:
    """The batches between consecutive bounds of encoded rows."""
    numbers = np.concatenate([np.zeros(0, np.int64), *(window.row[order] for window, order in pieces)])
    ids, answers = [(w.ids, order) for w, order in pieces], [(w.answers, order) for w, order in pieces]
    domain, tokens, values, targets, n_active, length, _ = rows
    given = [None if window.weight is None else window.weight[order] for window, order in pieces]
    weights = None if any(one is None for one in given) else np.concatenate([np.zeros(0), *given])
    for a, b in pairwise(bounds):
        arrays = domain[a:b], tokens[a:b], values[a:b], targets[a:b], n_active[a:b], length[a:b], numbers[a:b]
        yield Batch(*arrays, Texts(ids, a, b), Texts(answers, a, b), None if weights is None else weights[a:b])


def kept(batch: Batch) -> Batch:
    """The batch without the examples that are left out."""
    rows = np.flatnonzero(batch.domain != LEFT_OUT)
    if len(rows) == len(batch.domain):
        return batch
    arrays = (np.ascontiguousarray(array[rows]) for array in batch[:7])
    weight = None if batch.weight is None else batch.weight[rows]
    return Batch._make((*arrays, Chosen(batch.ids, rows), Chosen(batch.answers, rows), weight))


class Plan(NamedTuple):
    """Which rows of an epoch become which batches.

    streams : those of the own shards; n_row : rows of all shards; start : batches left out
    """

    streams: list[Stream]
    n_row: int
    batch_size: int
    start: int

    def slabs(self, per_slab: int) -> Iterator[list[tuple[tuple[int, int], ...]]]:
        """For each stream the positions (first, last + 1) of its parts of `per_slab` batches or fewer.

        The first slabs are smaller, since nobody has anything to do before the first batch is there. A slab ends
        sooner where its windows, all in memory at once, would hold more than WINDOW_BYTES.
        """
        at, held, most = [-1] * len(self.streams), 0, FIRST_SLAB
        slab: list[list[tuple[int, int]]] = []
        for number in range(self.start, -(-self.n_row // self.batch_size)):
            parts = [stream.part(number, self.batch_size, self.n_row) for stream in self.streams]
            more = 0
            for i, (stream, (first, stop)) in enumerate(zip(self.streams, parts, strict=True)):
                while at[i] + 1 < len(stream.spans) and stream.spans[at[i] + 1].start < stop:
                    at[i] += 1
                    span = stream.spans[at[i]]
                    more += span.size * (span.start + span.rows > first)  # else it lies before `start`
            if slab and more and held + more > WINDOW_BYTES:
                yield list(zip(*slab, strict=True))
                slab, held = [], 0
            held += more
            slab.append(parts)
            if len(slab) >= min(most, per_slab):
                yield list(zip(*slab, strict=True))
                slab, most = [], 2 * most
                held = sum(stream.spans[i].size for stream, i in zip(self.streams, at, strict=True) if i >= 0)
        if slab:
            yield list(zip(*slab, strict=True))


class Misfits(msgspec.Struct):
    """Of one domain: how many inputs or answers do not fit, and the ids and row numbers of the first few."""

    n: int = 0
    ids: list[str] = msgspec.field(default_factory=list)
    rows: list[int] = msgspec.field(default_factory=list)


def add_misfits(batch: Batch, names: tuple[str, ...], found: dict[str, Misfits], shown: int = 3) -> None:
    """Add the misfits of a batch to those of every domain name in `found`."""
    for row in np.flatnonzero(batch.n_active == 0).tolist():
        misfits = found.setdefault(names[batch.domain[row]], Misfits())
        misfits.n += 1
        if len(misfits.ids) < shown:
            misfits.ids.append(batch.ids[row])
            misfits.rows.append(int(batch.rows[row]))


def count_misfits(batches: Iterable[Batch], names: tuple[str, ...], shown: int = 3) -> dict[str, Misfits]:
    """Misfits of all batches per domain name; domains without any are left out."""
    found: dict[str, Misfits] = {}
    for batch in batches:
        add_misfits(batch, names, found, shown)
        del batch  # before the next is made: of long texts each may be 100 MB
    return found


def encode_examples(examples: list[MixedExample], layout: Layout) -> Batch:
    """One batch of `examples` in their order. Answers may be absent.

    Raises RecordError for a domain that the layout does not know or whose input type is another.
    """
    return encode_rows_of(to_arrow(examples), layout)


def encode_rows_of(rows: pa.RecordBatch, layout: Layout) -> Batch:
    """One batch of the rows of an Arrow batch, as `encode_examples` makes it of examples."""
    order = np.arange(rows.num_rows, dtype=np.int64)
    domains = {name: index for index, name in enumerate(layout.names)}
    pieces = [(window_of(pa.Table.from_batches([rows]), order, domains, layout.field_numbers), order)]
    return next(cut(encode_pieces(pieces, layout), pieces, [0, rows.num_rows]))


def misfit(example: MixedExample, domain: DomainLayout, layout: Layout) -> str | None:
    """Why the domain's slice cannot take the example's input, or None when it can."""
    if example.input_type != domain.input_type:
        return f"input_type is {example.input_type}, but domain {domain.name!r} takes {domain.input_type}"
    # an example has the field that its input type names
    if example.input_type == "text":
        text = cast(str, example.text)
        size, most, unit = len(text.encode()), domain.n_input // layout.embedding_dim, "bytes of text"
        if domain.by_tokens:
            size, most, unit = len(token_ends(text)), domain.n_token, "tokens of text (a number is one, else each byte)"
        if domain.n_bag and (not domain.spelled or size <= most):
            n_word = len(words_of(text, layout.n_bucket).buckets)
            size, most, unit = n_word, domain.n_word, "words and pairs of words"
    elif example.input_type == "sequence":
        size, most, unit = len(cast("list[float]", example.values)), domain.n_input, "values"
    elif example.input_type == "tabular":
        return misfit_cells(example, domain)
    else:
        size, most, unit = len(cast("list[float]", example.pixels)), domain.n_input, "pixels"
    return f"input has {size} {unit}, but domain {domain.name!r} takes at most {most}" if size > most else None


def misfit_cells(example: MixedExample, domain: DomainLayout) -> str | None:
    """Why a row of a table cannot enter: none of its fields is a column that the domain makes use of."""
    fields = {field.name: field for field in domain.fields if field.n_input}
    names, own = set(fields), [name for name, _ in shape_of(example.fields or "[]")]
    numbers, texts = iter(example.numbers or ()), iter(example.categories or ())
    for name, letter in shape_of(example.fields or "[]"):
        cell = next(texts) if letter == STRING else next(numbers)
        if name not in fields or cell is None or cell != cell:
            continue
        kind = column_kind(fields[name])
        if letter == STRING and fields[name].mean is not None and kind != "text":
            what = "a date, in days since 1970-01-01," if kind == "date" else "a number"
            return f"the field {name!r} is {what} in training, not the text {str(cell)[:40]!r}"
        if letter != STRING and kind == "text" and fields[name].mean is None:
            return f"the field {name!r} is a text in training, not the number {cell:g}"
    if names.intersection(own):
        return None
    return (
        f"none of the fields {', '.join(own[:6])} is a column of domain {domain.name!r}, which has "
        f"{', '.join(sorted(names)[:6]) or 'none that says anything'}"
    )


def why_unfit(example: MixedExample, domain: DomainLayout, layout: Layout) -> str:
    """Why the model has no room for an example that does not fit: its input, or its answer."""
    return misfit(example, domain, layout) or domain.answer.refusal(example.expected_output or "")


class Slab(NamedTuple):
    """Rows that are encoded at once: pieces of windows, and the bounds of the batches in them.

    n_stream : streams whose rows follow one another; a batch of each makes up a batch of the epoch
    made : the batches, where they had to be made one window after the other
    """

    pieces: list[RowRange]
    bounds: list[int]
    n_stream: int
    made: list[Batch]

    def batches(self, layout: Layout) -> list[Batch]:
        """Encode the rows and cut them into batches, those of all streams in turn."""
        made = self.made or list(cut(encode_pieces(self.pieces, layout), self.pieces, self.bounds))
        if self.n_stream == 1:
            return made
        n = len(made) // self.n_stream
        return [made[stream * n + number] for number in range(n) for stream in range(self.n_stream)]


def slabs(plan: Plan, layout: Layout, load: Callable[[Span], Window]) -> Iterator[Slab]:
    """The slabs of an epoch, in order; holds the windows it is at, and a slab those that it touches.

    A slab that touches more than two full windows would hold them all (64 rows of 16 MB: 1 GB), so it is encoded
    here, with one window at a time.
    """
    per_slab = max(SLAB_BYTES // (row_bytes(layout) * plan.batch_size), 1)
    readers = [_Reader(stream, load) for stream in plan.streams]
    for slab in plan.slabs(per_slab):
        bounds = [0, *accumulate(stop - first for parts in slab for first, stop in parts)]
        pieces = chain.from_iterable(reader.pieces(parts) for reader, parts in zip(readers, slab, strict=True))
        touched = sum(reader.touched(parts) for reader, parts in zip(readers, slab, strict=True))
        if touched > 2 * WINDOW_BYTES:
            light: list[RowRange] = []
            rows = encode_pieces(_noted(pieces, light), layout, bounds[-1])
            yield Slab([], bounds, len(readers), list(cut(rows, light, bounds)))
            del rows, light
        else:
            yield Slab(list(pieces), bounds, len(readers), [])


def _noted(pieces: Iterator[RowRange], light_out: list[RowRange]) -> Iterator[RowRange]:
    """The pieces; what batches need of them when they are encoded goes to `light_out`."""
    for window, order in pieces:
        light_out.append((window._replace(table=None, columns=cast(Columns, None)), order))
        yield window, order
        del window


class _Reader:
    """Loads the windows of a stream, each when its first row is due; the one before goes first."""

    def __init__(self, stream: Stream, load: Callable[[Span], Window]) -> None:
        self._stream, self._load, self._at = stream, load, 0
        self._loaded: RowRange | None = None  # of span `_at`

    def touched(self, parts: Sequence[tuple[int, int]]) -> int:
        """Bytes of the windows that hold the rows of a slab."""
        first, stop = parts[0][0], parts[-1][1]
        spans = takewhile(lambda span: span.start < stop, islice(self._stream.spans, self._at, None))
        return sum(span.size for span in spans if span.start + span.rows > first)

    def pieces(self, parts: Sequence[tuple[int, int]]) -> Iterator[RowRange]:
        """A piece for each window that holds rows of the slab, neighbouring rows of one window together."""
        orders: list[npt.NDArray[np.int64]] = []
        spans = self._stream.spans
        for first, stop in parts:
            while first < stop:
                while spans[self._at].start + spans[self._at].rows <= first:
                    if orders:
                        yield self._piece(orders)
                        orders = []
                    self._at, self._loaded = self._at + 1, None
                span = spans[self._at]
                if self._loaded is None:
                    self._loaded = self._load(span), self._stream.row_order(span)
                last = min(stop, span.start + span.rows)
                orders.append(self._loaded[1][first - span.start : last - span.start])
                first = last
        if orders:
            yield self._piece(orders)

    def _piece(self, orders: list[npt.NDArray[np.int64]]) -> RowRange:
        return cast(RowRange, self._loaded)[0], np.ascontiguousarray(np.concatenate(orders), np.int64)
