"""Row groups cut by content alone: the same lines give the same bytes, however they were read and by how many."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.parquet.columns import list_offsets, number_views, string_views, whole
from grapheme_numba.data.schema import SCHEMA, TABULAR_SCHEMA, is_tabular, widened

GROUP_ROWS = 16_384
GROUP_BYTES = 16 << 20
LONG_DOMAIN = 1024
TEXTS = ("id", "text", "expected_output", "metadata", "extra", "input_extra")
LISTS = ("values", "pixels")
REPEATED: tuple[str, ...] = ("domain", "input_type")
CELL_BYTES = 8  # of a number; of a category besides its text: offset, length and levels


def row_sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """(n,) int64: bytes of the strings and numbers of each row."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for name in TEXTS:
        sizes += np.diff(string_views(batch.column(name))[0])
    sizes += _long_domains(batch.column("domain"))
    for name in LISTS:
        sizes += 8 * np.diff(number_views(batch.column(name))[0])
    return sizes


def cell_sizes(batch: pa.RecordBatch, shape: str | None) -> tuple[npt.NDArray[np.int64], str | None]:
    """(n,) int64: bytes of the tabular cells of each row, and the shape of the last row.

    A shape counts where it is another than that of the row before (`shape` for the first row), so that a table
    counts its own once, and rows that all have shapes of their own count each.
    """
    cells = batch.column("categories")
    sizes = CELL_BYTES * np.diff(number_views(batch.column("numbers"))[0]).astype(np.int64)
    at = list_offsets(cells).astype(np.int64)
    text = string_views(cells.values)[0] if len(cells.values) else np.zeros(1, np.int32)
    sizes += CELL_BYTES * np.diff(at) + (text[at[1:]] - text[at[:-1]])
    codes = batch.column("fields").indices.fill_null(-1).to_numpy(zero_copy_only=False)
    shapes = [*batch.column("fields").dictionary.to_pylist(), None]
    length = np.array([len((one or "").encode()) for one in shapes], np.int64)
    first = codes[:1] if len(codes) and shapes[codes[0]] == shape else np.full(min(len(codes), 1), -2)
    new = codes != np.concatenate([first, codes[:-1]])
    return sizes + np.where(new, length[codes], 0), shapes[codes[-1]] if len(codes) else shape


def _long_domains(domain: pa.DictionaryArray) -> npt.NDArray[np.int64] | int:
    """(n,) int64: bytes of each row's domain where they are more than LONG_DOMAIN, which are no names any more.

    Short ones do not count: they come again and again, and groups are cut where they always were.
    """
    sizes = np.diff(string_views(domain.dictionary)[0])
    if not np.any(sizes > LONG_DOMAIN):
        return 0
    return np.where(sizes > LONG_DOMAIN, sizes, 0).astype(np.int64)[domain.indices.to_numpy(zero_copy_only=False)]


def in_order_of_rows(array: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same values with a dictionary in the order in which they first come, and of no others.

    Without making the strings: those of shapes are long, and there is one in every row.
    """
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    known, first = np.unique(codes, return_index=True)
    known = known[np.argsort(first)]
    known = known[known >= 0]
    new = np.zeros(len(array.dictionary) + 1, np.int32)
    new[known] = np.arange(len(known), dtype=np.int32)
    indices = pa.array(new[codes], mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, array.dictionary.take(pa.array(known)))


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches into row groups of GROUP_ROWS rows, or fewer where they would pass GROUP_BYTES."""
    held: list[pa.RecordBatch] = []
    rows, size, shape = 0, 0, None
    for batch in batches:
        sizes = row_sizes(batch)
        if is_tabular(batch):
            cells, shape = cell_sizes(batch, shape)
            sizes = sizes + cells
        elif batch.num_rows:
            shape = None
        ends, start = np.cumsum(sizes), 0
        while start < batch.num_rows:
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + GROUP_BYTES - size, "right"))
            stop = min(max(stop, start if held else start + 1), start + GROUP_ROWS - rows)
            if stop > start:
                held.append(batch.slice(start, stop - start))
                rows, size = rows + stop - start, size + int(ends[stop - 1]) - before
            start = stop
            # A row beyond GROUP_BYTES takes no other; it is written before the next is there.
            if start < batch.num_rows or rows == GROUP_ROWS or size > GROUP_BYTES:
                group, held, rows, size = group_of(held), [], 0, 0  # the pieces go before the group is written
                yield group
                del group
        del batch  # before the next comes
    if held:
        yield group_of(held)


def group_of(batches: list[pa.RecordBatch]) -> pa.Table:
    """One table of one chunk, its dictionaries in the order in which their values first come."""
    schema, repeated = SCHEMA, REPEATED
    if any(is_tabular(batch) and batch.column("fields").null_count < batch.num_rows for batch in batches):
        schema, repeated = TABULAR_SCHEMA, (*REPEATED, "fields")
        batches = [widened(batch) for batch in batches]
    else:
        batches = [batch.select(SCHEMA.names) if is_tabular(batch) else batch for batch in batches]
    table = pa.Table.from_batches(batches, schema).unify_dictionaries().combine_chunks()
    for name in repeated:
        at = schema.get_field_index(name)
        if name == "fields":
            table = table.set_column(at, schema.field(at), in_order_of_rows(whole(table.column(name))))
            continue
        table = table.set_column(at, schema.field(at), table.column(name).cast(pa.string()).dictionary_encode())
    return table
