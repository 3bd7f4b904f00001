"""How columns of tables and texts enter a network.

Numbers of columns are standardised, categories one-hot, missing cells have a mark; everything is decided from whole
columns of the training data, and the order of its rows changes nothing. Texts are tokens: here is how their numbers are
scaled, and which bytes a token or a word is made of.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import read_only
from grapheme_numba.data.summary import FieldSummary, TextSummary, rounded
from grapheme_numba.kernels.codec import text_tokens
from grapheme_numba.kernels.codec.tabular import Fields

NUMBER_SCALE = 1.7  # of standardised numbers in a text: rows of the embedding, beside which they enter, are as large
MOST_VALUES = 64  # categories of a column that have an input of their own


class FieldCode(msgspec.Struct, frozen=True):
    """One column of a table as inputs: its number, the mark of a missing cell, its categories, all other ones.

    mean, std : of the training numbers; None where the column has none, or all are the same
    missing : whether the training data misses cells of the column
    values : categories with an input of their own, sorted by their bytes
    other : whether there is an input for all other categories
    date : whether the numbers are dates, in days since 1970-01-01
    """

    name: str
    mean: float | None = None
    std: float | None = None
    missing: bool = False
    values: tuple[str, ...] = ()
    other: bool = False
    date: bool = False

    @property
    def n_input(self) -> int:
        return (self.mean is not None) + self.missing + len(self.values) + self.other

    @property
    def inputs(self) -> list[str]:
        """What each of its inputs is called, in order."""
        return [
            *([self.name] if self.mean is not None else []),
            *([f"{self.name} missing"] if self.missing else []),
            *(f"{self.name} = {value}" for value in self.values),
            *([f"{self.name} other"] if self.other else []),
        ]


def field_code(field: FieldSummary, n: int) -> FieldCode:
    """The inputs of a column, of a domain of n examples.

    Of more than 64 categories the 64 commonest that come at least twice have inputs of their own (of equally common
    ones the first by their bytes), and one input says "another". Hashing the others into a few inputs would tell
    some apart, but not which, and embeddings would learn from a row or two each.
    """
    n_cell = field.spread.n + sum(field.counts)
    numeric = field.spread.std > 0
    values, counts = field.values, field.counts
    if len(values) > MOST_VALUES:
        common = sorted(range(len(values)), key=lambda i: (-counts[i], values[i].encode()))[:MOST_VALUES]
        values = tuple(values[i] for i in sorted(common) if counts[i] > 1)
    if len(field.values) + (field.spread.n > 0) < 2:
        values = ()  # the same everywhere
    return FieldCode(
        field.name,
        field.spread.mean if numeric else None,
        field.spread.std if numeric else None,
        missing=n_cell < n,
        values=values,
        other=bool(values) and len(values) < len(field.values),
        date=field.date and numeric,
    )


def column_kind(field: FieldCode) -> Literal["number", "date", "text"]:
    """What the column of a table was taken for in training."""
    return "text" if field.values or field.other else "date" if field.date else "number"


def unseen_sentence(column: str, n: int, first: str, other: bool) -> str:
    """What becomes of n cells with categories that a column's code does not have; `other` : of FieldCode."""
    how = "go to the input of all rare ones" if other else "count as missing"
    return (
        f"column {column!r}: {n:,} cells hold categories that training did not have or had too rarely, as "
        f"{first[:40]!r}; they {how}"
    )


def field_codes(fields: Sequence[FieldSummary], n: int) -> tuple[FieldCode, ...]:
    """The columns of a domain of n examples, by name; those that say nothing have no input."""
    return tuple(field_code(field, n) for field in sorted(fields, key=lambda field: field.name))


def describe_fields(codes: Sequence[FieldCode]) -> str:
    """Columns in a few words."""
    numbers = sum(code.mean is not None and not code.date for code in codes)
    dates = [code.name for code in codes if code.date]
    categories = [code for code in codes if code.values or code.other]
    idle = [code.name for code in codes if not code.n_input]
    missing = [code.name for code in codes if code.missing]
    parts = []
    if numbers:
        parts.append(f"{numbers} of numbers, standardised")
    if dates:
        parts.append(f"dates, as days since 1970-01-01, standardised, in {', '.join(dates[:6])}{_more(dates, 6)}")
    if categories:
        shown = ", ".join(f"{code.name} {len(code.values)}{' and others' * code.other}" for code in categories[:6])
        parts.append(f"{len(categories)} of categories, one-hot ({shown}{_more(categories, 6)})")
    if missing:
        parts.append(f"cells missing in {', '.join(missing[:6])}{_more(missing, 6)}, each with a mark")
    if idle:
        parts.append(f"nothing to learn from in {', '.join(idle[:6])}{_more(idle, 6)}")
    return f"{len(codes)} columns: {'; '.join(parts)}"


def _more(names: Sequence[object], shown: int) -> str:
    return f" and {len(names) - shown} more" if len(names) > shown else ""


class FieldTables(NamedTuple):
    """The fields' names by their number, and the tables for kernels."""

    numbers: dict[str, int]
    fields: Fields


def field_tables(domains: Sequence[Sequence[FieldCode]]) -> FieldTables:
    """The columns of all domains (none for one that is not tabular) as the arrays that kernels read."""
    names = sorted({code.name for codes in domains for code in codes})
    numbers = {name: number for number, name in enumerate(names)}
    column = np.full((len(domains), max(len(names), 1)), -1, np.int32)
    flat = [code for codes in domains for code in codes if code.n_input]
    numeric, missing, other = [], [], []
    value_input: list[int] = []
    at = 0
    start = [0]
    for index, codes in enumerate(domains):
        place = 0
        for code in codes:
            if not code.n_input:
                continue
            column[index, numbers[code.name]] = at
            at += 1
            numeric.append(place if code.mean is not None else -1)
            place += code.mean is not None
            missing.append(place if code.missing else -1)
            place += code.missing
            value_input += range(place, place + len(code.values))
            place += len(code.values)
            other.append(place if code.other else -1)
            place += code.other
        start.append(at)
    values = [value.encode() for code in flat for value in code.values]
    fields = Fields(
        column=column,
        start=np.array(start, np.int32),
        numeric=np.array(numeric, np.int32),
        mean=np.array([code.mean or 0.0 for code in flat], np.float64),
        scale=np.array([1.0 / code.std if code.std else 0.0 for code in flat], np.float64),
        missing=np.array(missing, np.int32),
        first_value=np.array([0, *itertools.accumulate(len(code.values) for code in flat)], np.int32),
        value_offset=np.array([0, *itertools.accumulate(map(len, values))], np.int64),
        value_bytes=read_only(np.frombuffer(b"".join(values), np.uint8)),
        value_input=np.array(value_input, np.int32),
        other=np.array(other, np.int32),
    )
    return FieldTables(numbers, fields)


class Words(NamedTuple):
    """The words and pairs of words of a text, n of them.

    buckets : (n,) int32; spans : (n, 2) int32, first byte and end of each
    """

    buckets: npt.NDArray[np.int32]
    spans: npt.NDArray[np.int32]


def token_ends(text: str) -> npt.NDArray[np.int32]:
    """(n_token,) int32: the byte before which each token of a text ends."""
    data = np.frombuffer(text.encode(), np.uint8)
    ends = np.zeros(len(data), np.int32)
    return ends[: text_tokens.token_spans(data, 0, len(data), ends)]


def words_of(text: str, n_bucket: int) -> Words:
    """The words of a text and their buckets."""
    data = np.frombuffer(text.encode(), np.uint8)
    buckets, spans = np.zeros(2 * len(data) + 1, np.int32), np.zeros((2 * len(data) + 1, 2), np.int32)
    n = text_tokens.word_spans(data, 0, len(data), n_bucket, buckets, spans)
    return Words(buckets[:n] - 1, spans[:n])


def text_scaling(text: TextSummary) -> tuple[float, float, float]:
    """(shift, scale, knee) of the numbers in texts, which enter as themselves up to the knee, then by logarithm.

    Most numbers lie below the knee where they spread over one order of magnitude (all of 0 to 20, or of 1 to 10**6
    where all are as likely). Where they spread over several, it lies at e**2 times their geometric mean, and a few
    huge ones do not make all others the same.
    """
    numbers, logs = text.numbers, text.logs
    if not numbers.n:
        return 0.0, 1.0, 1.0
    knee = rounded(math.expm1(logs.mean + 2.0 * min(logs.std, 1.0))) or 1.0
    if max(abs(numbers.low), abs(numbers.high)) <= knee:
        return numbers.mean, rounded(NUMBER_SCALE / (numbers.std or 1.0)), knee
    return 0.0, rounded(2.0 * NUMBER_SCALE / knee), knee
