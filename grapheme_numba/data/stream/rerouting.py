"""Domains chosen by what an example holds, not by its `domain` field."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from grapheme_numba.data.parquet.columns import codes_of, string_views, whole
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.data.schema import NAMELESS

UNROUTED = NAMELESS  # also that of an example for which no domain was chosen with enough confidence

Choose = Callable[[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]], npt.NDArray[np.integer[Any]]]


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
