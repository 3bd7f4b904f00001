"""A hash of every example's input: the same input goes to the same split, wherever and however often it stands."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.parquet.columns import list_offsets, number_views, string_views, whole
from grapheme_numba.data.schema import is_tabular


def input_hashes(table: pa.Table | pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """(n,) uint64: a hash of each row's input, of its content alone."""
    from grapheme_numba.kernels.codec.table_text import hash_strings

    hashes = np.zeros(table.num_rows, np.uint64)

    def column(name: str) -> pa.Array:
        found = table.column(name)
        return whole(found) if isinstance(found, pa.ChunkedArray) else found

    offset, text = string_views(column("text"))
    hash_strings(offset.astype(np.int64), text, hashes)
    for name in ("values", "pixels", *(["numbers"] if is_tabular(table) else [])):
        offset, numbers = number_views(column(name))
        hash_strings(offset.astype(np.int64) * 8, numbers.view(np.uint8), hashes)
    if is_tabular(table):
        cells = column("categories")
        starts, data = string_views(cells.values)
        hash_strings(starts[list_offsets(cells)].astype(np.int64), data, hashes)
    return hashes


def shares_cut(hashes: npt.NDArray[np.uint64], shares: tuple[float, float, float]) -> npt.NDArray[np.int64]:
    """(n,) int64: 0, 1 or 2 for train, val and test, each with its share of all hashes."""
    place = (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
    return (place >= shares[0]).astype(np.int64) + (place >= shares[0] + shares[1])
