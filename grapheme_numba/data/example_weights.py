"""Weights of examples: the field `example_weight` of a record, which `--weight COLUMN` of a table fills.

A weight scales the gradient of its example. Weights are divided by their mean over the training data, so that the
mean gradient of all examples is that of data in which each row stands as often as its weight says.
"""

import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.parquet.columns import whole
from grapheme_numba.errors import RecordError

WEIGHT = "example_weight"
EXTRA = "extra"  # the column of a record's own fields, as JSON
ALONE = rf'^\{{"{WEIGHT}":([-+.0-9eE]+)\}}$'


class Weights(NamedTuple):
    """The weights of all examples: least, mean and largest."""

    least: float
    mean: float
    largest: float


def weights_of(extra: pa.StringArray) -> npt.NDArray[np.float64] | None:
    """(n,) float64, 1 where a row has no weight; None where no row has one. Raises RecordError for what is none."""
    if extra.null_count == len(extra):
        return None
    holds = pc.fill_null(pc.match_substring(extra, f'"{WEIGHT}"'), False)
    rows = np.flatnonzero(holds.to_numpy(zero_copy_only=False))
    if not len(rows):
        return None
    weights, texts = np.ones(len(extra)), extra.take(pa.array(rows))
    if pc.all(pc.match_substring_regex(texts, ALONE)).as_py():
        numbers = pc.cast(pc.replace_substring_regex(texts, ALONE, "\\1"), pa.float64())
        weights[rows] = numbers.to_numpy(zero_copy_only=False)
    else:  # beside other fields
        for row, text in zip(rows.tolist(), texts.to_pylist(), strict=True):
            found = json.loads(text).get(WEIGHT, 1.0)
            weights[row] = found if isinstance(found, int | float) else np.nan
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise RecordError(f"field {WEIGHT} has to be a number of 0 or more; remove it from the other examples")
    return weights


def weights_in(tables: Iterable[pa.Table]) -> Weights | None:
    """The weights of tables with the column `extra`; None where no row has one.

    Raises RecordError where all are 0.
    """
    total, n, least, largest, some = 0.0, 0, np.inf, -np.inf, False
    for table in tables:
        weights = weights_of(whole(table.column(EXTRA)))
        some |= weights is not None
        held = np.ones(table.num_rows) if weights is None else weights
        total, n = total + float(held.sum()), n + len(held)
        least, largest = min(least, float(held.min())), max(largest, float(held.max()))
    if some and not total:
        raise RecordError("every example has the weight 0, so there is nothing to learn from")
    return Weights(least, total / n, largest) if some else None
