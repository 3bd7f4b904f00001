"""Row groups cut by content alone: the same lines give the same bytes, however they were read and by how many."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from grapheme_numba.data.parquet.columns import number_views, string_views
from grapheme_numba.data.schema import SCHEMA

GROUP_ROWS = 16_384
GROUP_BYTES = 16 << 20
LONG_DOMAIN = 1024
TEXTS = ("id", "text", "expected_output", "metadata", "extra", "input_extra")
LISTS = ("values", "pixels")
REPEATED = ("domain", "input_type")


def row_sizes(batch: pa.RecordBatch) -> np.ndarray:
    """(n,) int64: bytes of the strings and numbers of each row."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for name in TEXTS:
        sizes += np.diff(string_views(batch.column(name))[0])
    sizes += _long_domains(batch.column("domain"))
    for name in LISTS:
        sizes += 8 * np.diff(number_views(batch.column(name))[0])
    return sizes


def _long_domains(domain: pa.DictionaryArray) -> np.ndarray | int:
    """(n,) int64: bytes of each row's domain where they are more than LONG_DOMAIN, which are no names any more.

    Short ones do not count: they come again and again, and groups are cut where they always were.
    """
    sizes = np.diff(string_views(domain.dictionary)[0])
    if not np.any(sizes > LONG_DOMAIN):
        return 0
    return np.where(sizes > LONG_DOMAIN, sizes, 0).astype(np.int64)[domain.indices.to_numpy(zero_copy_only=False)]


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches into row groups of GROUP_ROWS rows, or fewer where they would pass GROUP_BYTES."""
    held, rows, size = [], 0, 0
    for batch in batches:
        ends, start = np.cumsum(row_sizes(batch)), 0
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
    table = pa.Table.from_batches(batches, SCHEMA).unify_dictionaries().combine_chunks()
    for name in REPEATED:
        at = SCHEMA.get_field_index(name)
        table = table.set_column(at, SCHEMA.field(at), table.column(name).cast(pa.string()).dictionary_encode())
    return table
