"""What a data file holds, for people: per-domain facts, misfits of the codecs, sample rows.

A look into a dataset for people: the commonest answer of every domain, and a few of its examples.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.parquet.columns import codes_of, whole
from grapheme_numba.data.reading import Reading, readings
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.schema import NAMELESS, from_arrow, to_plain
from grapheme_numba.data.sources.row_layouts import first_layout
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.open_table import is_table
from grapheme_numba.data.stream.dataset import Dataset, is_ours, open_dataset
from grapheme_numba.data.summary import DatasetSummary


class Inspected(NamedTuple):
    """summary; how training would read every domain; sample records."""

    dataset: Dataset
    summary: DatasetSummary
    readings: list[Reading]
    samples: list[dict[str, Any]]


def inspect(
    path: str | Path,
    samples: int = 3,
    progress: Callable[[str], None] | None = None,
    mapping: TableMapping | None = None,
) -> Inspected:
    """Read all of a file that training takes once; of Parquet every byte is compared with its digest on the way."""
    dataset = open_dataset(path, progress=progress, nameless=True, mapping=mapping)
    summary = dataset.summary()
    layout = shared_layout(summary, embedding_dim=1)
    found = readings(dataset, layout, dataset.view([NAMELESS]).misfits(layout))
    return Inspected(dataset, summary, found, first_records(dataset, samples))


def first_records(dataset: Dataset, n: int) -> list[dict[str, Any]]:
    """The first n records."""
    records: list[dict[str, Any]] = []
    for table in dataset.tables() if n else ():
        for example in from_arrow(table.slice(0, n - len(records)).combine_chunks().to_batches()[0]):
            records.append(to_plain(example))
        if len(records) >= n:
            break
    return records


def lacks_target(path: Path, mapping: TableMapping) -> bool:
    """Whether a file is a table of no known layout, whose answers no column is named for."""
    if mapping.target is not None or not path.is_file() or not is_table(path) or is_ours(path, target=True):
        return False
    return first_layout(path) is None


LOOKED_AT = 1 << 18  # rows at most; they give a share to a tenth of a per cent
COLUMNS = ["domain", "input_type", "text", "expected_output"]  # `input_type` and `text` are what a router looks at


class Peeked(NamedTuple):
    """One domain: how many rows were looked at, the commonest answer with its number of rows, some examples."""

    n: int
    answer: str
    n_answer: int
    examples: list[MixedExample]


def peek(dataset: Dataset, names: Iterable[str], most: int) -> dict[str, Peeked]:
    """The domains of `names` that `dataset` holds, each with its first `most` examples.

    dataset : Dataset
    names : domain names
    most : examples of each domain
    """
    names = tuple(names)
    answers: list[list[pa.StructArray]] = [[] for _ in names]
    rows: list[list[int]] = [[] for _ in names]
    first = 0
    for table in dataset.tables(COLUMNS):
        codes = codes_of(whole(table.column("domain")), {name: index for index, name in enumerate(names)})
        given = whole(table.column("expected_output"))
        for index in range(len(names)):
            own = np.flatnonzero(codes == index)
            answers[index].append(given.take(pa.array(own)).value_counts())
            rows[index] += (first + own[: most - len(rows[index])]).tolist()
        first += table.num_rows
        if first >= LOOKED_AT:
            break
    return {
        name: Peeked(*commonest(answers[index]), dataset.records(rows[index]))
        for index, name in enumerate(names)
        if rows[index]
    }


def commonest(counts: list[pa.StructArray]) -> tuple[int, str, int]:
    """Number of answers in all, the one that comes most often (of equals the first by its letters), and its number."""
    values = pa.concat_arrays([count.field("values") for count in counts])
    table = pa.table({"answer": values, "n": pa.concat_arrays([count.field("counts") for count in counts])})
    sums = (
        table.group_by("answer").aggregate([("n", "sum")]).sort_by([("n_sum", "descending"), ("answer", "ascending")])
    )
    return (
        int(np.sum(sums.column("n_sum").to_numpy())),
        sums.column("answer")[0].as_py() or "",
        sums["n_sum"][0].as_py(),
    )
