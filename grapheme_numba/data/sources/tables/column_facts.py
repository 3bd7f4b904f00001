"""What whole columns hold, block by block, and what they are taken for: never decided by a part of the rows.

A column is of numbers where at most one in TOLERATED of its cells that are not missing is no numeral; those few
cells' rows are refused, each with its number. Dates (`cells.days_of`) are taken for such in the same way. All else is
text. The order of rows changes nothing.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.sources.tables.cells import (
    codes_among,
    date_text,
    days_of,
    may_be_numbers,
    numbers_of,
    units_of,
)
from grapheme_numba.data.sources.tables.dialect import Dialect

TOLERATED = 20
MOST_DISTINCT = 1000  # different texts that are remembered
SHOWN = 3
SENTINELS = (-99, -999, -9999, -99999)

Kind = Literal["number", "date", "text", "empty"]
DAYS = "days since 1970-01-01"
NUMERIC = ("number", "date")  # kinds whose cells become numbers


class ColumnFacts(msgspec.Struct, kw_only=True):
    """Counts of one column. `typed` is the kind that the file's own schema says, None for text.

    n, missing : rows, and those without a value; marks : cells that are missing where the column is of numbers
    numbers, others : cells that are numerals, and that are not; low, high, whole : range, and no fraction anywhere
    padded : of the numerals, those as 01234 and 5E3, far below 0 where one is as 2.5E3
    units : signs that stand beside numerals; signed : numerals with such a sign
    distinct : different texts, None for more than MOST_DISTINCT; longest : most bytes of a text
    strange : the first few cells that are no numerals, with their row
    dates : cells that are dates; day_low, day_high : their range in days since 1970; odd_dates : the first few others
    """

    name: str
    typed: Kind | None = None
    n: int = 0
    missing: int = 0
    marks: int = 0
    numbers: int = 0
    others: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    whole: bool = True
    padded: int = 0
    units: str = ""
    signed: int = 0
    distinct: set[str] | None = msgspec.field(default_factory=set)
    longest: int = 0
    strange: list[tuple[int, str]] = msgspec.field(default_factory=list)
    dates: int = 0
    day_low: float = float("inf")
    day_high: float = float("-inf")
    odd_dates: list[tuple[int, str]] = msgspec.field(default_factory=list)

    def add(self, other: "ColumnFacts", first_row: int) -> None:
        """Take in the facts of the next block, whose first row is `first_row`."""
        self.typed = other.typed
        for key in ("n", "missing", "marks", "numbers", "others", "padded", "signed", "dates"):
            setattr(self, key, getattr(self, key) + getattr(other, key))
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.day_low, self.day_high = min(self.day_low, other.day_low), max(self.day_high, other.day_high)
        self.whole, self.longest = self.whole and other.whole, max(self.longest, other.longest)
        self.units = "".join(sorted({*self.units, *other.units}))
        if self.distinct is not None:
            self.distinct = None if other.distinct is None else self.distinct | other.distinct
            if self.distinct is not None and len(self.distinct) > MOST_DISTINCT:
                self.distinct = None
        for held, more in ((self.strange, other.strange), (self.odd_dates, other.odd_dates)):
            held += [(row + first_row, text) for row, text in more[: SHOWN - len(held)]]

    def kind(self, forced: Kind | None = None) -> Kind:
        """What the column is taken for."""
        if forced is not None:
            return forced
        if self.typed is not None:
            return "empty" if self.typed != "text" and self.missing == self.n else self.typed
        cells = self.numbers + self.others
        if self.dates and (cells - self.dates) * TOLERATED <= cells:
            return "date"
        if not self.numbers:
            return "text" if self.others or self.marks else "empty"
        if self.are_codes:
            return "text"
        return "number" if self.others * TOLERATED <= cells else "text"

    @property
    def are_codes(self) -> bool:
        """Whether numerals are codes as 01234 and 5E3: more than a few cells are, and none has a fraction."""
        return self.whole and self.typed is None and self.padded * TOLERATED > self.numbers

    def sentence(self, role: str, forced: Kind | None = None) -> str:
        """One line for people: name, role, kind, why, missing cells, range or classes."""
        kind, n = self.kind(forced), self.numbers + self.others
        missing = self.missing + (self.marks if kind in NUMERIC else 0)
        parts = [f"  {self.name}: {role}, {kind}"]
        if forced is not None:
            parts.append("as --kind or the run says")
        elif self.typed is not None:
            parts.append("as its type says")
        elif kind == "number":
            parts.append(f"{self.numbers:,} of {n:,} cells are numerals")
            if self.others:
                row, text = self.strange[0]
                parts.append(f"rows of the others are refused, as row {row}: {text[:40]!r}")
        elif kind == "date":
            parts.append(f"{self.dates:,} of {n:,} cells are dates")
            if self.odd_dates:
                row, text = self.odd_dates[0]
                parts.append(f"rows of the others are refused, as row {row}: {text[:40]!r}")
        elif kind == "text" and self.are_codes:
            parts.append(f"{self.padded:,} of {n:,} cells look like codes, 01234 or 5E3 (--kind {self.name}=number)")
        elif kind == "text":
            parts.append(f"{n - self.numbers + self.marks:,} of {n + self.marks:,} cells are no numerals")
        if missing:
            marks = " (empty, or a mark as NA: --missing)" if kind == "text" and self.typed is None else ""
            parts.append(f"{missing:,} of {self.n:,} missing{marks}")
        if kind == "number" and self.numbers:
            if self.units:
                some = f" that {self.signed:,} of them have" if self.signed < self.numbers else ""
                brackets = " (brackets are below zero)" if "(" in self.units else ""
                parts.append(f"without the signs {' '.join(self.units).replace('(', '( )')}{some}{brackets}")
            parts.append(f"from {_short(self.low)} to {_short(self.high)}{', whole' if self.whole else ''}")
            if self.low in SENTINELS and self.high >= 0:
                parts.append(f"{_short(self.low)} may mark missing cells (--missing {_short(self.low)})")
        elif kind == "date":
            low, high = (self.day_low, self.day_high) if self.dates else (self.low, self.high)
            if low <= high:
                parts.append(f"from {date_text(low)} to {date_text(high)}")
            read = f"answers are {DAYS}" if role == "target" else f"as {DAYS}"
            parts.append(read + (f" (--kind {self.name}=text)" if forced is None else ""))
        elif kind == "text":
            distinct = None if self.distinct is None else {cell.strip() for cell in self.distinct}
            classes = f"more than {MOST_DISTINCT:,}" if distinct is None else f"{len(distinct):,}"
            some = f" ({', '.join(sorted(distinct))[:60]})" if distinct and len(distinct) <= 6 else ""
            parts.append(f"{classes} different{some}")
            if alike := _alike(distinct or ()):
                parts.append(f"{alike[0]!r} and {alike[1]!r} count as two")
        return ", ".join(parts)


def _alike(texts: Iterable[str]) -> list[str]:
    """The first texts that differ in capitals alone, sorted; none where no two do."""
    found: dict[str, list[str]] = {}
    for text in sorted(texts):
        found.setdefault(text.casefold(), []).append(text)
    return next((several for several in found.values() if len(several) > 1), [])


def _short(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"


def number_facts(name: str, numbers: npt.NDArray[np.float64], typed: Kind | None) -> ColumnFacts:
    """The facts of cells that are numbers already, NaN where missing."""
    facts = ColumnFacts(name=name, typed=typed, n=len(numbers), distinct=None)
    finite = np.isfinite(numbers)
    held = numbers[finite]
    facts.numbers, facts.missing = len(held), int(np.count_nonzero(np.isnan(numbers)))
    facts.others = len(numbers) - facts.numbers - facts.missing
    if facts.others:
        rows = np.flatnonzero(np.isinf(numbers))[:SHOWN]
        facts.strange = [(int(row) + 1, str(numbers[row])) for row in rows]
    if len(held):
        facts.low, facts.high = float(held.min()), float(held.max())
        facts.whole = bool(np.all(held == np.floor(held)))
    return facts


def text_facts(
    name: str, cells: pa.StringArray, dialect: Dialect, typed: Kind | None, many: bool = False
) -> ColumnFacts:
    """The facts of cells of text, null where missing in any column.

    many : the column is known to have more than MOST_DISTINCT different ones, so they need not be found again
    """
    if many or not len(cells):
        return _facts_of_each(name, cells, dialect, typed, None if many else set())
    counts = pc.value_counts(cells)
    values, times = counts.field("values"), counts.field("counts").to_numpy()
    valid = np.flatnonzero(pc.is_valid(values).to_numpy(zero_copy_only=False))
    if len(valid) > MOST_DISTINCT:
        return _facts_of_each(name, cells, dialect, typed, None)
    # What holds for a cell holds for all that are the same: only the different ones are looked at.
    values, times = values.take(pa.array(valid)), times[valid]
    facts = _facts_of_each(name, values, dialect, typed, set(values.to_pylist()), times)
    facts.n, facts.missing = len(cells), cells.null_count
    if facts.others and (facts.numbers or facts.dates):
        each = _facts_of_each(name, cells, dialect, typed, None)
        facts.strange, facts.odd_dates = each.strange, each.odd_dates
    return facts


def _facts_of_each(
    name: str,
    cells: pa.StringArray,
    dialect: Dialect,
    typed: Kind | None,
    distinct: set[str] | None,
    times: npt.NDArray[np.int64] | None = None,
) -> ColumnFacts:
    """The facts of cells, each of which counts `times`."""
    times = np.ones(len(cells), np.int64) if times is None else times
    facts = ColumnFacts(name=name, typed=typed, n=len(cells), missing=cells.null_count, distinct=distinct)
    facts.longest = pc.max(pc.binary_length(cells)).as_py() or 0
    maybe = may_be_numbers(cells)
    valid = pc.is_valid(cells).to_numpy(zero_copy_only=False) if facts.missing else np.ones(len(cells), bool)
    maybe &= valid
    marks = np.zeros(len(cells), bool)
    if dialect.missing_number:
        listed = pa.array(dialect.missing_number, pa.string())
        marks = pc.is_in(pc.utf8_trim_whitespace(cells), listed).to_numpy(zero_copy_only=False) & valid
    readable = np.zeros(len(cells), bool)
    rows = np.flatnonzero(maybe & ~marks)
    if len(rows):
        numbers, fits = numbers_of(cells.take(pa.array(rows)), dialect.decimal)
        sentinel = np.isin(numbers, dialect.sentinels)
        marks[rows[sentinel]], fits = True, fits & ~sentinel
        readable[rows] = fits
        held = numbers[fits]
        if len(held):
            facts.low, facts.high = float(held.min()), float(held.max())
            facts.whole = bool(np.all(held == np.floor(held)))
            written = cells.take(pa.array(rows[fits]))
            facts.padded = int((times[rows[fits]] * codes_among(written)).sum())
            facts.units, signed = units_of(written)
            facts.signed = int(times[rows[fits]][signed].sum())
    facts.marks = int(times[marks].sum())
    facts.numbers = int(times[readable].sum())
    facts.others = int(times[valid].sum()) - facts.marks - facts.numbers
    days, dated = days_of(cells) if facts.others else (np.zeros(0), np.zeros(len(cells), bool))
    facts.dates = int(times[dated].sum())
    if facts.dates:
        facts.day_low, facts.day_high = float(days[dated].min()), float(days[dated].max())
    for found, fits, shown in ((facts.numbers, readable, facts.strange), (facts.dates, dated, facts.odd_dates)):
        if found and found < facts.numbers + facts.others:
            strange = np.flatnonzero(~fits & ~marks & valid)[:SHOWN]
            shown += [(int(row) + 1, cells[int(row)].as_py()) for row in strange]
    return facts
