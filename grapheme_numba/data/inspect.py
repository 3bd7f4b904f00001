"""What a data file holds, for people: how each domain is read, its facts, misfits of the codecs, sample rows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from grapheme_numba.data.codec.inputs import describe_fields
from grapheme_numba.data.codec.layout import DomainLayout, Layout, shared_layout
from grapheme_numba.data.file_kinds import is_table
from grapheme_numba.data.schema import NAMELESS, from_arrow, to_plain
from grapheme_numba.data.sources.row_layouts import first_layout
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.batches import Misfits, why_unfit
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.open_dataset import is_ours, open_dataset
from grapheme_numba.data.summary import DatasetSummary, DomainSummary
from grapheme_numba.errors import RecordError

UNITS = {"text": "tokens", "sequence": "numbers", "image": "pixels", "tabular": "columns"}


class Reading(msgspec.Struct, frozen=True):
    """How a domain is read.

    domain : its place and codec; n : examples; longest : tokens, numbers, pixels or columns of the longest input
    n_unfit : examples that the model has no room for; unfit_ids : of the first few; unfit : the first with its reason
    """

    domain: DomainLayout
    n: int
    longest: int
    n_unfit: int = 0
    unfit_ids: tuple[str, ...] = ()
    unfit: str = ""

    def line(self) -> str:
        """Everything that was decided about the domain, in one line."""
        domain = self.domain
        if domain.input_type == "tabular":
            given = f"tabular, {describe_fields(domain.fields)}"
        else:
            given = f"{domain.input_type} up to {self.longest:,} {UNITS[domain.input_type]}"
        unfit = f"{self.n_unfit:,} do not fit ({self.unfit})" if self.n_unfit else "all fit"
        reason = f" ({domain.reason})" if domain.reason else ""
        return f"{domain.name}: {self.n:,} rows, {given}; answers coded as {domain.answer.describe()}{reason}; {unfit}"


def readings(dataset: Dataset, layout: Layout, misfits: Mapping[str, Misfits]) -> list[Reading]:
    """How every domain that `dataset` holds is read; `misfits` are those of all of its examples."""
    known = {domain.name: domain for domain in dataset.summary().domains}
    return [
        _reading(dataset, domain, known[domain.name], misfits.get(domain.name, Misfits()), layout)
        for domain in layout.domains
        if domain.name in known
    ]


def _reading(
    dataset: Dataset, domain: DomainLayout, summary: DomainSummary, misfits: Misfits, layout: Layout
) -> Reading:
    first = ""
    if misfits.n:
        (example,) = dataset.records(misfits.rows[:1])
        first = f"the first is {misfits.ids[0]!r}: {why_unfit(example, domain, layout)}"
    longest = summary.text.longest or summary.longest_input
    return Reading(domain, summary.n, longest, misfits.n, tuple(misfits.ids), first)


def misfit_lines(dataset: Dataset, layout: Layout) -> list[str]:
    """What of a dataset that is not trained on has no room in the model, one line a domain (a pass over it)."""
    return [
        f"{dataset.path}: {one.n_unfit:,} of {one.n:,} examples of domain {one.domain.name!r} do not fit "
        f"({one.unfit}); they count as wrong"
        for one in readings(dataset, layout, dataset.misfits(layout))
        if one.n_unfit
    ]


def check_fit(found: Sequence[Reading], most: float) -> None:
    """Raise RecordError where a domain has nothing that fits, or more than the share `most` that does not."""
    for one in found:
        if one.n_unfit == one.n:
            raise RecordError(
                f"none of the {one.n:,} examples of domain {one.domain.name!r} fits; {one.unfit}; choose another kind "
                f"of answer with --answer {one.domain.name}=number|label|text, or shorten what is too long"
            )
        if one.n_unfit > most * one.n:
            raise RecordError(
                f"{one.n_unfit:,} of the {one.n:,} examples of domain {one.domain.name!r} do not fit "
                f"({100 * one.n_unfit / one.n:.3g} %, more than --max-unfit {most:g}); {one.unfit}; mend or remove "
                f"them, choose another kind with --answer {one.domain.name}=number|label|text, or raise --max-unfit"
            )


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
