"""What a dataset holds, domain by domain: the facts that slices and codecs are made from.

The streaming pass that finds a DatasetSummary: one row group at a time, no object per row.
"""

import math
from collections.abc import Iterable
from fractions import Fraction

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.fields import DATE, shape_of
from grapheme_numba.data.parquet.columns import CELLS, NEEDED, cells_of, codes_of, number_views, string_views, whole
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.errors import RecordError
from grapheme_numba.kernels.codec.column_facts import largest_number, scan_numbers, scan_reals, scan_values
from grapheme_numba.kernels.codec.tabular import Cells, fields_of_strings, scan_number_cells
from grapheme_numba.kernels.codec.text_tokens import scan_texts

MOST_LABELS = 1000  # distinct answers that are remembered as labels
DIGITS = 12  # of means and deviations that are kept: the others depend on the order of the rows


class Spread(msgspec.Struct, frozen=True):
    """Where the numbers of a column lie; means and deviations to DIGITS digits.

    n : how many; low, high : smallest and largest; mean, std : of all of them (0 deviation where they are equal)
    """

    n: int = 0
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 0.0


class Numerals(msgspec.Struct, frozen=True):
    """Those answers of a domain that are finite numbers, however they are written ("1e-05", " +3", "12,500").

    spread : their values; whole : none has a fraction; decimals : most fraction digits of one of them
    other : the first answer that is none, None where all are
    """

    spread: Spread = Spread()
    whole: bool = False
    decimals: int = 0
    other: str | None = None


class FieldSummary(msgspec.Struct, frozen=True):
    """One column of a table.

    spread : its numbers; values, counts : its categories, sorted by their bytes, and how often each comes
    date : whether its numbers are days since 1970-01-01, in all rows
    """

    name: str
    spread: Spread = Spread()
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    date: bool = False


class TextSummary(msgspec.Struct, frozen=True):
    """What the texts of a domain have in common.

    longest : most tokens of one; n_gram : most words and pairs of words of one; n_word : words of two letters or more
    numbers : the numbers in them; logs : log(1 + |number|) of these
    """

    longest: int = 0
    n_gram: int = 0
    n_word: int = 0
    numbers: Spread = Spread()
    logs: Spread = Spread()


class DomainSummary(msgspec.Struct, frozen=True):
    """One domain of a dataset.

    name, input_type : str
    n : number of examples
    longest_input : most UTF-8 bytes (text), values (sequence), pixels (image) or fields (tabular) of one input
    longest_answer : most UTF-8 bytes of one answer
    labels : the distinct answers, sorted by their bytes; empty when there are more than MOST_LABELS
    label_counts : how often each of them comes
    n_answer : examples that have an answer
    numerals : the answers that are numbers of any form
    numbers : every answer is a canonical decimal number
    decimals : most fraction digits of one answer (numbers only)
    fixed : every answer has exactly `decimals` fraction digits, trailing zeros kept
    largest : largest |answer| * 10**decimals (numbers only)
    value_low, value_high, value_rms : smallest, largest and root mean square of all values or pixels
    text : what its texts hold
    fields : the columns of a table, by name
    """

    name: str
    input_type: str
    n: int
    longest_input: int
    longest_answer: int
    labels: tuple[str, ...] = ()
    label_counts: tuple[int, ...] = ()
    n_answer: int = 0
    numerals: Numerals = Numerals()
    numbers: bool = False
    decimals: int = 0
    fixed: bool = False
    largest: int = 0
    value_low: float = 0.0
    value_high: float = 0.0
    value_rms: float = 0.0
    text: TextSummary = TextSummary()
    fields: tuple[FieldSummary, ...] = ()


class DatasetSummary(msgspec.Struct, frozen=True):
    """All domains of a dataset, sorted by name; `nameless` examples have none and are not among the n."""

    n: int
    domains: tuple[DomainSummary, ...]
    nameless: int = 0

    def domain(self, name: str) -> DomainSummary:
        """The summary of one domain (KeyError when the dataset has none of that name)."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)


SCANNED = [*NEEDED, *CELLS]
TABULAR = INPUT_KINDS["tabular"]


class _Tally:
    """What is known of one domain so far."""

    def __init__(self, name: str, kind: int):
        self.name, self.kind, self.n, self.unanswered = name, kind, 0, 0
        self.longest_input = self.longest_answer = 0
        self.labels: dict[str, int] | None = {}
        self.facts = np.array([1, 0, 99, 1], np.int64)
        self.reals, self.real_counts = new_spread(), np.zeros(2, np.int64)
        self.other: str | None = None
        self.by_fraction: dict[int, int] = {}
        self.values = np.array([np.inf, -np.inf, 0.0, 0.0, 0.0])
        self.text_numbers, self.text_logs, self.text_counts = new_spread(), new_spread(), np.zeros(4, np.int64)
        self.numbers: dict[str, np.ndarray] = {}  # of each column of a table
        self.categories: dict[str, dict[str, int]] = {}
        self.letters: dict[str, set[str]] = {}  # of the kinds of each field

    def summary(self) -> DomainSummary:
        numbers = bool(self.facts[0]) and self.n > self.unanswered
        decimals = int(self.facts[1])
        trimmed, fixed = bool(self.facts[3]), int(self.facts[2]) == decimals
        numbers = numbers and (trimmed or fixed)  # "3.50" beside "3.5": no one way to write a number
        low, high, squares, count, longest = self.values.tolist()
        labels = sorted((self.labels or {}).items(), key=lambda pair: pair[0].encode())
        most_bytes, most_tokens, n_gram, n_word = self.text_counts.tolist()
        largest = max((most * 10 ** (decimals - f) for f, most in self.by_fraction.items()), default=0)
        return DomainSummary(
            name=self.name,
            input_type=tuple(INPUT_KINDS)[self.kind],
            n=self.n,
            longest_input=max(self.longest_input, int(longest), most_bytes),
            longest_answer=self.longest_answer,
            labels=tuple(label for label, _ in labels),
            label_counts=tuple(n for _, n in labels),
            n_answer=self.n - self.unanswered,
            numerals=Numerals(spread_of(self.reals), not self.real_counts[0], int(self.real_counts[1]), self.other),
            numbers=numbers,
            decimals=decimals if numbers else 0,
            fixed=numbers and fixed and decimals > 0,
            largest=largest if numbers else 0,
            value_low=low if count else 0.0,
            value_high=high if count else 0.0,
            value_rms=(squares / count) ** 0.5 if count else 0.0,
            text=TextSummary(most_tokens, n_gram, n_word, spread_of(self.text_numbers), spread_of(self.text_logs)),
            fields=tuple(self.field(name) for name in sorted(self.numbers)),
        )

    def field(self, name: str) -> FieldSummary:
        """What is known of a column of a table."""
        found = sorted(self.categories.get(name, {}).items(), key=lambda pair: pair[0].encode())
        spread = spread_of(self.numbers[name])
        values, counts = tuple(value for value, _ in found), tuple(n for _, n in found)
        return FieldSummary(name, spread, values, counts, self.letters.get(name) == {DATE})


def new_spread() -> np.ndarray:
    """(7,) float64 for `column_facts.add_number`, of no number yet."""
    return np.array([np.inf, -np.inf, 0.0, 0.0, 0.0, 0.0, 0.0])


def spread_of(facts: np.ndarray) -> Spread:
    """The spread of the numbers that were added to `facts` (7,)."""
    low, high, count = facts[:3].tolist()
    if not count:
        return Spread()
    if low == high:
        return Spread(int(count), low, high, low, 0.0)
    mean = (Fraction(facts[3]) + Fraction(facts[4])) / int(count)
    variance = (Fraction(facts[5]) + Fraction(facts[6])) / int(count) - mean * mean
    return Spread(int(count), low, high, rounded(float(mean)), rounded(math.sqrt(max(float(variance), 0.0))))


def rounded(value: float) -> float:
    """`value` to DIGITS significant digits."""
    return float(f"{value:.{DIGITS - 1}e}")


def _scan_numbers(tally: _Tally, rows: np.ndarray, answers: pa.StringArray) -> None:
    offset, text = string_views(answers)
    before = int(tally.facts[1])
    scan_numbers(rows, offset, text, tally.facts)
    if tally.facts[0]:
        decimals = max(before, int(tally.facts[1]))
        most = int(largest_number(rows, offset, text, decimals))
        if most < 0:
            tally.facts[0] = 0
        tally.by_fraction[decimals] = max(tally.by_fraction.get(decimals, 0), most)


def _scan_cells(tally: _Tally, rows: np.ndarray, cells: Cells, names: list[str], strings: pa.StringArray) -> None:
    """Add the cells of the given rows, whose fields `names` numbers."""
    facts = np.stack([tally.numbers.setdefault(name, new_spread()) for name in names])
    scan_number_cells(rows, cells, facts)
    tally.numbers.update(zip(names, facts, strict=True))
    field = np.empty(len(strings), np.int32)
    fields_of_strings(rows, cells, field)
    order = np.argsort(field, kind="stable")
    bounds = np.searchsorted(field[order], np.arange(len(names) + 1))
    for number, name in enumerate(names):
        if bounds[number] == bounds[number + 1]:
            continue
        known = tally.categories.setdefault(name, {})
        own = strings.take(pa.array(order[bounds[number] : bounds[number + 1]]))
        for one in pc.value_counts(own).to_pylist():
            known[one["values"]] = known.get(one["values"], 0) + one["counts"]


def _scan_domain(tally: _Tally, rows: np.ndarray, array: dict[str, pa.Array]) -> None:
    """Add the given rows, all of one domain, to its tally."""
    answers = array["expected_output"]
    tally.n += len(rows)
    size = pc.binary_length(answers)
    answered = rows[pc.is_valid(answers).to_numpy(zero_copy_only=False)[rows]]
    tally.unanswered += len(rows) - len(answered)
    if len(answered):
        tally.longest_answer = max(tally.longest_answer, int(size.fill_null(0).to_numpy()[rows].max()))
        if tally.labels is not None:
            for one in pc.value_counts(answers.take(pa.array(answered))).to_pylist():
                tally.labels[one["values"]] = tally.labels.get(one["values"], 0) + one["counts"]
            if len(tally.labels) > MOST_LABELS:
                tally.labels = None
        other = int(scan_reals(answered, *string_views(answers), tally.reals, tally.real_counts))
        if other >= 0 and tally.other is None:
            tally.other = answers[other].as_py()
        if tally.facts[0]:
            _scan_numbers(tally, answered, answers)
    if tally.kind == 0:
        scan_texts(rows, *string_views(array["text"]), tally.text_numbers, tally.text_logs, tally.text_counts)
        return
    if tally.kind == TABULAR:
        fields = array["fields"]
        texts = fields.dictionary.take(pc.unique(fields.indices.take(pa.array(rows))).drop_null())
        fields_of_rows = {field for text in texts.to_pylist() for field in shape_of(text)}
        for field in fields_of_rows:
            tally.letters.setdefault(field.name, set()).add(field.kind)
        names = sorted({field.name for field in fields_of_rows})
        tally.longest_input = max(tally.longest_input, len(names))
        cells = cells_of(array, len(answers), {name: number for number, name in enumerate(names)})
        return _scan_cells(tally, rows, cells, names, array["categories"].values)
    scan_values(rows, *number_views(array["values" if tally.kind == 1 else "pixels"]), tally.values)


def summarize(tables: Iterable[pa.Table]) -> DatasetSummary:
    """The summary of all rows. RecordError when a domain has examples of two input types."""
    tallies: dict[str, _Tally] = {}
    nameless = 0
    for table in tables:
        array = {name: whole(table.column(name)) for name in SCANNED if name in table.column_names}
        names = array["domain"].dictionary.to_pylist()
        codes = codes_of(array["domain"], {name: i for i, name in enumerate(names)})
        kinds = codes_of(array["input_type"], INPUT_KINDS)
        for code, name in enumerate(names):
            rows = np.flatnonzero(codes == code)
            if not name:
                nameless += len(rows)
                continue
            if not len(rows):
                continue
            tally = tallies.setdefault(name, _Tally(name, int(kinds[rows[0]])))
            other = rows[kinds[rows] != tally.kind]
            if len(other):
                types = tuple(INPUT_KINDS)
                raise RecordError(
                    f"example {array['id'][int(other[0])].as_py()!r} of domain {name!r} has input type "
                    f"{types[kinds[other[0]]]}, others of that domain have {types[tally.kind]}; "
                    "give each input type a domain of its own"
                )
            _scan_domain(tally, rows, array)
    found = sorted(tallies.values(), key=lambda tally: tally.name)
    return DatasetSummary(sum(tally.n for tally in found), tuple(tally.summary() for tally in found), nameless)
