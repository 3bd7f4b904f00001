"""Examples in Parquet, streamed in batches, and what was decided when the Parquet was made of other data.

A view may leave out domains, or give rows others, chosen by what an example holds and not by its `domain` field.
"""

import copy
import hashlib
import shutil
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.parquet.columns import (
    CELLS,
    EXTRA,
    NEEDED,
    Weights,
    Window,
    codes_of,
    string_views,
    weights_in,
    weights_of,
    whole,
    window_of,
)
from grapheme_numba.data.parquet.files import ParquetSource, parquet_files
from grapheme_numba.data.records import INPUT_KINDS, MixedExample
from grapheme_numba.data.schema import NAMELESS, from_arrow
from grapheme_numba.data.sources.tables.mapping import ColumnKind, TableMapping
from grapheme_numba.data.stream.batches import (
    LEFT_OUT,
    SLAB_BYTES,
    Batch,
    Misfits,
    Plan,
    count_misfits,
    kept,
    row_bytes,
    slabs,
)
from grapheme_numba.data.stream.order import Span, rows_of, stream_of
from grapheme_numba.data.summary import SCANNED, DatasetSummary, summarize
from grapheme_numba.data.threads import LARGE, in_order, release_memory
from grapheme_numba.errors import RecordError

UNROUTED = NAMELESS  # also that of an example for which no domain was chosen with enough confidence
MOST_AHEAD_BYTES = 16 << 20  # of a batch, to be prepared ahead: several are, at the same time

Choose = Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]], npt.NDArray[np.integer[Any]]]


class Decisions(msgspec.Struct, frozen=True):
    """What was decided in a conversion.

    sentences : for people; kinds : of the columns that are used; inputs : columns, in order; layout : as of a mapping
    decimal, header : how the first table's text was read, None where it is none
    split_rows : of train, val and test, where a column names them
    rows, refused : their numbers; first : the first refused row and why
    """

    sentences: list[str]
    kinds: dict[str, ColumnKind]
    inputs: tuple[str, ...]
    layout: Literal["row", "cells", "values"]
    decimal: Literal[".", ","] | None
    header: bool | None
    rows: int
    refused: int
    first: str
    split_rows: tuple[int, ...] = ()

    def refusal(self, path: Path) -> str:
        """How many rows are left out, and why the first."""
        return f"{self.refused:,} of {self.rows:,} rows of {path} cannot be used; {self.first}"

    def lacking(self, other: "Decisions") -> list[str]:
        """The input columns that another conversion does not have."""
        return [name for name in self.inputs if name not in other.inputs] if other.inputs else []

    def mapping(self, given: TableMapping) -> TableMapping:
        """A mapping that reads other files of the same data as this one was read."""
        return msgspec.structs.replace(
            given,
            kinds={**given.kinds, **self.kinds},
            layout=self.layout if given.layout == "row" else given.layout,
            decimal=given.decimal or self.decimal,
            header=self.header if given.header is None else given.header,
        )


class Dataset:
    """Examples in Parquet, one file or a folder of them.

    path : Path, what the user named; files : the Parquet files
    n_rows : number of examples
    fingerprint : hex digest of the content
    """

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path, self.files = Path(path), tuple(files)
        self._sources = [ParquetSource(file) for file in files]
        self.n_rows = sum(source.n_rows for source in self._sources)
        if not self.n_rows:
            raise RecordError(f"{path} holds no examples; at least one is needed")
        digests = "".join(source.digest for source in self._sources)
        self.fingerprint = hashlib.blake2b(digests.encode(), digest_size=16).hexdigest()
        self._groups = [(source, i) for source in self._sources for i in range(len(source.groups))]
        self._rows = [source.groups[i].rows for source, i in self._groups]
        self._sizes = [source.groups[i].unpacked for source, i in self._groups]
        self._first = np.cumsum([0, *self._rows])
        self._summary: DatasetSummary | None = None
        self._temporary: Callable[[], object] | None = None
        self._only: pa.Table | None = None
        self.kept_open: list[Dataset] = []  # those whose files these are
        self.decisions: Decisions | None = None  # of the conversion that made the file
        self._mean_weight: float | None = None  # None: the weights of examples are not looked at
        self._left_out: frozenset[str] = frozenset()
        self._replace_domains: Callable[[pa.Table], pa.Table] | None = None

    def goes_with(self, folder: Path) -> None:
        """Remove a temporary folder when this dataset is closed or collected."""
        self._temporary = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def close(self) -> None:
        """Close the files, and remove what was converted without a cache."""
        for source in self._sources:
            source.close()
        if self._temporary is not None:
            self._temporary()

    def view(
        self, left_out: Iterable[str] = (), replace_domains: Callable[[pa.Table], pa.Table] | None = None
    ) -> "Dataset":
        """The same dataset without the examples of some domains, or with domains chosen anew.

        Batches keep their place and order and only lose the rows left out, so one may be empty; `n_rows`
        and `fingerprint` stay those of the files.

        left_out : names of domains; added to those that this dataset leaves out already
        replace_domains : gives every table it is handed another `domain` column
        """
        view = copy.copy(self)
        view._left_out, view._summary, view._only = self._left_out | frozenset(left_out), None, None
        if replace_domains is not None:
            view._replace_domains = replace_domains
        return view

    def weights(self) -> Weights | None:
        """The weights of the examples (one pass over their column), None where they have none."""
        return weights_in(source.glance(index, [EXTRA]) for source, index in self._groups)

    def weighted(self, mean: float) -> "Dataset":
        """The same dataset, its batches with the weights of their examples in shares of `mean`."""
        view = self.view()
        view._mean_weight = mean
        return view

    def tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """The row groups as Arrow tables, in file order."""
        for source, index in self._groups:
            yield self._read(source, index, columns)

    def summary(self) -> DatasetSummary:
        """What the dataset holds, domain by domain (one streaming pass, then remembered)."""
        if self._summary is None:
            whole = summarize(self.tables(SCANNED))
            kept = tuple(domain for domain in whole.domains if domain.name not in self._left_out)
            nameless = 0 if NAMELESS in self._left_out else whole.nameless
            self._summary = DatasetSummary(sum(domain.n for domain in kept), kept, nameless)
        return self._summary

    def batches(
        self,
        layout: Layout,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: int = 0,
        start: int = 0,
        prefetch: int = 2,
        shard: tuple[int, ...] = (0, 1),
    ) -> Generator[Batch]:
        """Stream batches; the last one of an epoch may be smaller.

        seed : None for file order; else the order is a function of (seed, epoch) and the number of shards alone
        start : number of batches to leave out, without reading them
        prefetch : slabs of batches prepared ahead in threads; 0 prepares them in the caller's thread, as huge
            batches are in any case
        shard : (i, n): of every batch only its i-th of n contiguous parts; (i, n, k): its k parts from the
            i-th on, each a batch of its own. Each shard reads rows of its own (`order`)
        """
        first, n_shard, width = (*shard, 1)[:3]
        given = self._rows, self._sizes, batch_size
        streams = [stream_of(*given, (i, n_shard), seed, epoch) for i in range(first, first + width)]
        plan, spans = Plan(streams, self.n_rows, batch_size, start), [span for one in streams for span in one.spans]
        domains = {name: index for index, name in enumerate(layout.names)} | dict.fromkeys(self._left_out, LEFT_OUT)
        # Bytes that a window's batches hold, of the heaviest window, not on average.
        read = max((span.size // -(-span.rows // batch_size) for span in spans), default=0)
        if row_bytes(layout) * batch_size + read > MOST_AHEAD_BYTES:
            prefetch = 0
        numbers = domains, layout.field_numbers
        todo = slabs(plan, layout, lambda span: self._load(span, numbers, seed, epoch))
        for batches in in_order(lambda slab: slab.batches(layout), todo, prefetch):
            while batches:  # none is held here while the next are made
                yield kept(batches.pop(0)) if self._left_out else batches.pop(0)

    def records(self, rows: Iterable[int]) -> list[MixedExample]:
        """The examples with these row numbers, ascending; reads only the row groups that hold them."""
        wanted = np.unique(np.fromiter(rows, np.int64))
        examples: list[MixedExample] = []
        group = np.searchsorted(self._first, wanted, "right") - 1
        for index in np.unique(group).tolist():
            source, at = self._groups[index]
            table = self._read(source, at, None).take(wanted[group == index] - self._first[index])
            examples += from_arrow(table.combine_chunks().to_batches()[0])
        return examples

    def _row_bytes(self, layout: Layout) -> int:
        """Bytes of a row, as it is read and as it is encoded."""
        return row_bytes(layout) + sum(self._sizes) // self.n_rows

    def misfits(self, layout: Layout) -> dict[str, Misfits]:
        """Examples that the layout has no room for, per domain (one streaming pass)."""
        batch_size = max(SLAB_BYTES // self._row_bytes(layout), 1)
        return count_misfits(self.batches(layout, batch_size), layout.names)

    def _load(self, span: Span, known: tuple[dict[str, int], dict[str, int]], seed: int | None, epoch: int) -> Window:
        tables, numbers = [], []
        for piece in span.pieces:
            n_row, first = self._rows[piece.group], self._first[piece.group]
            table = self._needed(piece.group)
            rows = rows_of(piece, n_row, seed, epoch)
            tables.append(table if rows is None else table.take(rows))
            numbers.append(first + (np.arange(n_row) if rows is None else rows))
            del table
        wide = any(one.num_columns != tables[0].num_columns for one in tables)  # some files hold tables, others do not
        table = pa.concat_tables(tables, promote_options="default" if wide else "none")
        del tables
        window = window_of(table, np.concatenate(numbers), *known)
        if self._mean_weight is not None:
            weight = weights_of(whole(table.column(EXTRA)))
            weight = np.ones(table.num_rows) if weight is None else weight
            window = window._replace(weight=weight / self._mean_weight)
        if span.size > LARGE:
            release_memory()  # what unpacking took beside: as much again, in each of Arrow's threads
        return window

    def _needed(self, group: int) -> pa.Table:
        """What batches need of a row group. The only one of a small dataset is read once, not every epoch."""
        if self._only is not None:
            return self._only
        more = () if self._mean_weight is None else (EXTRA,)
        table = self._read(*self._groups[group], [*NEEDED, *CELLS, *more])
        if len(self._groups) == 1:
            self._only = table
        return table

    def _read(self, source: ParquetSource, index: int, columns: list[str] | None) -> pa.Table:
        table = source.read(index, columns)
        return table if self._replace_domains is None else self._replace_domains(table)


def open_parquet(path: str | Path) -> Dataset:
    """Open a .parquet file or a folder of them."""
    return Dataset(Path(path), parquet_files(path))


def rerouting(choose: Choose, names: Sequence[str]) -> Callable[[pa.Table], pa.Table]:
    """A function that gives a table's rows the domains that `choose` says, for `Dataset.view`.

    choose : called with kind (n,) int32 (`INPUT_KINDS`), offset (n + 1,) int32 and text (n_byte,) uint8 of
        the input texts (empty where the input is no text); returns an index into `names` per row, or -1
    """

    def replace_domains(table: pa.Table) -> pa.Table:
        kind = codes_of(whole(table.column("input_type")), INPUT_KINDS)
        chosen = choose(kind, *string_views(whole(table.column("text"))))
        indices = pa.array(np.where(chosen < 0, len(names), chosen).astype(np.int32))
        column = pa.DictionaryArray.from_arrays(indices, pa.array([*names, UNROUTED], pa.string()))
        return table.set_column(table.column_names.index("domain"), "domain", column)

    return replace_domains


def unrouted_rows(tables: Iterator[pa.Table]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(row number, id, input as in its record) of every rerouted row for which no domain was chosen."""
    first = 0
    for table in tables:
        lost = np.flatnonzero(codes_of(whole(table.column("domain")), {UNROUTED: 1}) == 1)
        for row in lost.tolist():
            one = {name: table.column(name)[row].as_py() for name in ("id", "text", "values", "pixels")}
            given = {name: one[name] for name in ("text", "values", "pixels") if one[name] is not None}
            yield first + row, one["id"], given
        first += table.num_rows
