"""What a data file holds, for people: per-domain facts, misfits of the codecs, sample rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.reading import Reading, readings
from grapheme_numba.data.schema import NAMELESS, from_arrow, to_plain
from grapheme_numba.data.stream.dataset import Dataset, open_dataset
from grapheme_numba.data.summary import DatasetSummary


class Inspected(NamedTuple):
    """summary; how training would read every domain; sample records."""

    dataset: Dataset
    summary: DatasetSummary
    readings: list[Reading]
    samples: list[dict[str, Any]]


def inspect(path: str | Path, samples: int = 3, progress: Callable[[str], None] | None = None) -> Inspected:
    """Read all of a Parquet or JSONL file once; every byte is compared with its digest on the way."""
    dataset = open_dataset(path, progress=progress, nameless=True)
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
