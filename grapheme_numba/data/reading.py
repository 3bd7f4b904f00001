"""How each domain of a dataset is read, in one line: what enters, what the answers are and why, what does not fit."""

from collections.abc import Mapping, Sequence

import msgspec

from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.data.codec.tabular import describe_fields
from grapheme_numba.data.stream.batches import Misfits, why_unfit
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.summary import DomainSummary
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
    return Reading(
        domain, summary.n, summary.text.longest or summary.longest_input, misfits.n, tuple(misfits.ids), first
    )


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
