"""What a data file holds, for people: per-domain facts, misfits of the codecs, sample rows."""

from pathlib import Path
from typing import NamedTuple

from grapheme_numba.dataset.layout import shared_layout
from grapheme_numba.dataset.misfits import Misfits
from grapheme_numba.dataset.plain import to_plain
from grapheme_numba.dataset.schema import NAMELESS, from_arrow
from grapheme_numba.dataset.source import Dataset, open_dataset
from grapheme_numba.dataset.summary import DatasetSummary


class Inspected(NamedTuple):
    """summary; misfits per domain under the codecs that training would choose; sample records."""

    dataset: Dataset
    summary: DatasetSummary
    codecs: dict[str, str]
    misfits: dict[str, Misfits]
    samples: list[dict]


def inspect(path: str | Path, samples: int = 3, progress=None) -> Inspected:
    """Read all of a Parquet or JSONL file once; every byte is compared with its digest on the way."""
    dataset = open_dataset(path, progress=progress, nameless=True)
    summary = dataset.summary()
    layout = shared_layout(summary, embedding_dim=1)
    codecs = {domain.name: describe(domain.answer) for domain in layout.domains}
    misfits = dataset.view([NAMELESS]).misfits(layout)
    return Inspected(dataset, summary, codecs, misfits, first_records(dataset, samples))


def describe(answer) -> str:
    """A codec in a few words."""
    kind = type(answer).__name__
    if kind == "TextAnswer":
        return f"text of {answer.n_char} bytes"
    if kind == "LabelAnswer":
        return f"one of {len(answer.labels)} labels"
    fraction = f", {answer.decimals} decimals" if answer.decimals else ""
    return f"number up to {answer.format(answer.limit)}{fraction}"


def first_records(dataset: Dataset, n: int) -> list[dict]:
    """The first n records."""
    records = []
    for table in dataset.tables():
        for example in from_arrow(table.slice(0, n - len(records)).combine_chunks().to_batches()[0]):
            records.append(to_plain(example))
        if len(records) >= n:
            break
    return records
