"""Domains chosen by what an example holds, not by its `domain` field."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from grapheme_numba.data.parquet.columns import codes_of, string_views, whole
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.data.schema import NAMELESS

NOWHERE = NAMELESS  # also that of an example that no choice was sure of

Choose = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def rerouting(choose: Choose, names: Sequence[str]) -> Callable[[pa.Table], pa.Table]:
    """A function that gives a table's rows the domains that `choose` says, for `Dataset.view`.

    choose : called with kind (n,) int32 (`INPUT_KINDS`), offset (n + 1,) int32 and text (n_byte,) uint8 of
        the input texts (empty where the input is no text); returns an index into `names` per row, or -1
    """

    def retell(table: pa.Table) -> pa.Table:
        kind = codes_of(whole(table.column("input_type")), INPUT_KINDS)
        chosen = choose(kind, *string_views(whole(table.column("text"))))
        indices = pa.array(np.where(chosen < 0, len(names), chosen).astype(np.int32))
        column = pa.DictionaryArray.from_arrays(indices, pa.array([*names, NOWHERE], pa.string()))
        return table.set_column(table.column_names.index("domain"), "domain", column)

    return retell


def nowhere(tables: Iterator[pa.Table]) -> Iterator[tuple[int, str, dict]]:
    """(row number, id, input as in its record) of every rerouted row that went nowhere."""
    first = 0
    for table in tables:
        lost = np.flatnonzero(codes_of(whole(table.column("domain")), {NOWHERE: 1}) == 1)
        for row in lost.tolist():
            one = {name: table.column(name)[row].as_py() for name in ("id", "text", "values", "pixels")}
            given = {name: one[name] for name in ("text", "values", "pixels") if one[name] is not None}
            yield first + row, one["id"], given
        first += table.num_rows
