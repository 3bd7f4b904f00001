"""How the text of a table is written, found out from its first bytes: encoding, delimiter, header, decimal sign."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.sources.tables.cells import CODE, MISSING, MISSING_NUMBER, is_numeral
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.errors import RecordError, UsageError

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 1000
LIKELY_BYTES = 256 << 10
MOST_CELLS, LEAST_ROWS = 50_000, 20  # of the sample that are looked at for the decimal sign
SPACE = "space"  # any run of blanks is one delimiter
# Comma last: the others are hardly found in ordinary text in equal numbers on every line, a decimal comma is.
DELIMITERS = ("\t", ";", "|", ",")
NAMES = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma", SPACE: "blanks"}
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How a table's text is written.

    encoding : a Python codec; delimiter : one character or `space`; decimal : `.` or `,`
    header : the first row holds names; names : the columns; unnamed : those whose header is empty
    comment : start of lines that are left out; missing, missing_number : marks of missing cells, of all columns and
        of columns of numbers alone; sentinels : those that are numbers, as -999, however cells write them
    guessed : nothing but the bytes that cannot be UTF-8 speaks for the encoding
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    names: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    comment: str | None = None
    missing: tuple[str, ...] = MISSING
    missing_number: tuple[str, ...] = MISSING_NUMBER
    guessed: bool = False
    sentinels: tuple[float, ...] = ()

    def sentence(self, path: Path) -> str:
        """What was found out, for people."""
        header = "with a header" if self.header else "without a header"
        comment = f", lines of {self.comment!r} left out" if self.comment else ""
        guess = " (a guess: --encoding)" if self.guessed else ""
        return (
            f"{path}: {self.encoding.removesuffix('-sig').upper()}{guess}, cells between "
            f"{NAMES.get(self.delimiter, repr(self.delimiter))}, "
            f"{header}, decimal {'comma' if self.decimal == ',' else 'point'}{comment}"
        )


def dialect_of(sample: bytes, whole: bool, path: Path, mapping: TableMapping) -> Dialect:
    """The dialect of a table that starts with `sample`; what the mapping names is taken as it is.

    whole : the sample is all of the file
    Raises RecordError for a file that is no text or holds no row, UsageError for an encoding nobody knows.
    """
    encoding = _encoding(sample, mapping.encoding, path)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(sample, whole)
    if sample.startswith(b"PK\x03\x04"):
        raise RecordError(f"{path} is a zip file, as spreadsheets are; save the sheet as .csv, or unpack the file")
    if "\0" in text:
        raise RecordError(f"{path} is not a table of text: it holds zero bytes; is it named rightly?")
    lines = text.splitlines(keepends=True)
    if not whole and len(lines) > 1:
        lines.pop()
    named = re.match(r'"?sep=(.)"?\s*$', lines[0]) if lines else None  # a line for spreadsheets
    comment = mapping.comment or ("sep=" if named else _comment(lines))
    if comment:
        lines = [line for line in lines if not line.startswith(comment)]
    lines = [line for line in lines if line.strip()][:SAMPLE_ROWS]
    if not lines:
        raise RecordError(f"{path} holds no row; at least a row of names and one of cells are needed")
    delimiter = _checked(mapping.delimiter) or (named[1] if named else _delimiter(lines, path))
    rows = list(split_rows(lines, delimiter))
    decimal = mapping.decimal or _decimal(rows, delimiter)
    header = mapping.header
    if header is None:  # a column that the user names by a cell of the first row has a name there
        first = {cell.strip() for cell in rows[0]}
        header = _header(rows, decimal) or not first.isdisjoint({mapping.target, mapping.id, mapping.weight})
    names = tuple(name.strip() or f"column_{i}" for i, name in enumerate(rows[0], 1))
    if not header:
        names = tuple(f"column_{i}" for i in range(1, len(rows[0]) + 1))
    unnamed = tuple(name for name, cell in zip(names, rows[0], strict=True) if header and not cell.strip())
    return Dialect(
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal,
        header=header,
        names=names,
        unnamed=unnamed,
        comment=comment,
        guessed=mapping.encoding is None and not encoding.startswith("utf"),
        **marks_of(mapping.missing),
    )


def marks_of(given: Sequence[str]) -> dict[str, Any]:
    """The marks of missing cells as fields of a `Dialect`: those given for the usual ones, but numbers join them."""
    numbers = [mark for mark in given if is_numeral(mark)]
    sentinels = tuple(float(mark) for mark in numbers)
    # Columns of text and answers are looked through for the ways in which programs write a number.
    written = [text for number in sentinels for text in (f"{number:g}", repr(number), f"{number:.2f}")]
    joined = len(numbers) == len(given)
    marks = tuple(dict.fromkeys((*(MISSING if joined else ("",)), *given, *written)))
    return {"missing": marks, "missing_number": MISSING_NUMBER if joined else (), "sentinels": sentinels}


def without_sentinels(numbers: pa.Array, dialect: Dialect) -> pa.Array:
    """A column of doubles with null for the numbers that mark missing cells."""
    if not dialect.sentinels:
        return numbers
    found = pc.is_in(numbers, pa.array(dialect.sentinels, numbers.type))
    return pc.if_else(found, pa.scalar(None, numbers.type), numbers)


def _checked(delimiter: str | None) -> str | None:
    named = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "blanks": SPACE, " ": SPACE}
    delimiter = named.get(delimiter or "", delimiter)
    if delimiter and delimiter != SPACE and (len(delimiter) != 1 or not delimiter.isascii()):
        raise UsageError(f"--delimiter wants one ASCII character, `tab` or `space`, got {delimiter!r}")
    return delimiter or None


def _encoding(sample: bytes, given: str | None, path: Path) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if sample.startswith(mark) and (given is None or codecs.lookup(given).name in ("utf-8", "utf-16", "utf-32")):
            return encoding
    if given is not None:
        try:
            name = codecs.lookup(given).name
            "".encode(given)  # some codecs, as hex, are not of text
        except (LookupError, TypeError):
            raise UsageError(f"--encoding {given}: unknown; try utf-8, utf-16, cp1252 or latin-1") from None
        return name
    if sample[1:2] == b"\0" and sample[3:4] == b"\0":
        return "utf-16-le"
    if sample[:1] == b"\0" and sample[2:3] == b"\0":
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, False)
        return "utf-8"
    except UnicodeDecodeError:
        pass  # not UTF-8: one of the encodings of a byte a character
    undefined = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))  # no characters of cp1252
    return "latin-1" if any(byte in undefined for byte in sample) else "cp1252"


def _comment(lines: list[str]) -> str | None:
    """`#` where the first lines start with it and more follow; a header alone may start with it."""
    first = 0
    while first < len(lines) and lines[first].startswith("#"):
        first += 1
    if not first or first == len(lines):
        return None
    if first == 1:
        widths = [max(line.count(delimiter) for delimiter in DELIMITERS) for line in (lines[0], lines[1])]
        if widths[0] == widths[1] > 0:
            return None
    return "#"


def split_rows(lines: list[str], delimiter: str) -> list[list[str]]:
    """The cells of text lines, quotes understood."""
    if delimiter == SPACE:
        return [line.split() for line in lines]
    csv.field_size_limit(1 << 30)
    return [row for row in csv.reader(lines, delimiter=delimiter) if row]


def _delimiter(lines: list[str], path: Path) -> str:
    best, best_share = None, 0.0
    if path.name.lower().partition(".")[2].split(".")[0] in ("tsv", "tab"):
        return "\t"
    for delimiter in DELIMITERS:
        widths = Counter(len(row) for row in split_rows(lines, delimiter))
        width = len(split_rows(lines, delimiter)[0])
        share = widths[width] / sum(widths.values())
        if width > 1 and share > best_share + 0.05:
            best, best_share = delimiter, share
    if best is not None:
        return best
    widths = Counter(len(line.split()) for line in lines)
    width, n = widths.most_common(1)[0]
    cells = [cell for line in lines[1:] for cell in line.split()]
    numeric = sum(map(_looks_numeric, cells)) > len(cells) / 2
    return SPACE if width > 1 and n == len(lines) and numeric else ","


def likely_numbers(sample: bytes, dialect: Dialect) -> set[str]:
    """The columns that hold numerals in the first rows: a guess, which whole columns confirm or not."""
    text = codecs.getincrementaldecoder(dialect.encoding)("replace").decode(sample[:LIKELY_BYTES], False)
    lines = [one for one in text.splitlines(keepends=True) if not (dialect.comment and one.startswith(dialect.comment))]
    rows = split_rows(lines[:LEAST_ROWS], dialect.delimiter)[int(dialect.header) :]
    width = len(dialect.names)
    cells = list(zip(*(row for row in rows if len(row) == width), strict=True))
    marks = {*dialect.missing, *dialect.missing_number}
    found = set()
    for name, column in zip(dialect.names, cells, strict=False):
        given = [cell.strip() for cell in column if cell.strip() not in marks]
        if given and all(map(_looks_numeric, given)) and not any(re.match(CODE, cell) for cell in given):
            found.add(name)
    return found


def _looks_numeric(cell: str) -> bool:
    return bool(re.match(r"^[+-]?[\d.,]+([eE][+-]?\d+)?$", cell))


def _decimal(rows: list[list[str]], delimiter: str) -> str:
    looked_at = max(LEAST_ROWS, MOST_CELLS // len(rows[0]))
    cells = [cell.strip() for row in rows[1 : 1 + looked_at] or rows for cell in row]
    comma = sum(bool(re.match(r"^[+-]?\d+(\.\d{3})*,\d+([eE][+-]?\d+)?$", cell)) for cell in cells)
    if not comma:
        return "."
    point = sum(bool(re.match(r"^[+-]?\d+(,\d{3})*\.\d+([eE][+-]?\d+)?$", cell)) for cell in cells)
    grouped = sum(bool(re.match(r"^[+-]?[1-9]\d{0,2}(,\d{3})+$", cell)) for cell in cells)
    if delimiter == "," and grouped == comma:
        return "."
    return "," if comma > point else "."


_STARTS = frozenset("0123456789+-.,'\u2212")  # of a numeral; to ask Arrow for each cell of 5,000 takes seconds


def _header(rows: list[list[str]], decimal: str) -> bool:
    """The first row holds names unless it has numbers where the others do, or cells that are empty or the same."""
    first, rest = rows[0], rows[1:200]
    numeric = [cell.strip()[:1] in _STARTS and is_numeral(cell, decimal) for cell in first]
    if not rest:
        return not any(numeric)
    for column, (cell, number) in enumerate(zip(first, numeric)):
        below = [row[column] for row in rest if len(row) > column and row[column].strip() not in MISSING]
        if not number and cell.strip() and below and sum(_looks_numeric(one.strip()) for one in below) > len(below) / 2:
            return cell.strip() not in (*MISSING, *MISSING_NUMBER)
    return not any(numeric)
