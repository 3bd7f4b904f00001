"""Cells of text as numbers, and dates as days; arrays at once.

Numbers may have signs, exponents, spaces, thousands marks, decimal commas and units. Dates are those of ISO 8601, which
cannot be misread; 01/03/2024 is January or March, and stays text.
"""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.parquet.columns import string_views

# Marks of a missing cell in any column, and those that may also be an answer or a category: only in columns of numbers.
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "#N/A", "<NA>", "?")
MISSING_NUMBER = ("-", "--", "---", ".", "..", "None", "none", "nil", "NONE", "na", "Na", "#NA", "#VALUE!", "#DIV/0!")
NUMERAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
PLAIN = re.compile(NUMERAL)
BLANKS = "[\\s\u00a0\u202f\u2009']"
# Signs that may stand before or behind a number without being part of it; 12 % is 12.
UNITS = "$\u20ac\u00a3\u00a5\u20b9%"
CODE = r"^\s*(0\d+|\d+E\d+)\s*$"  # as zip codes and keys are written, and numbers are not
POINTED = r"^\s*[+-]?\d*[.,]\d*E\d+\s*$"  # 2.5E3 can be no code, so 5E3 beside it is none
LEAST_DATE = 10  # bytes
ISO = (
    r"^\s*(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d(?:[.,]\d{1,12})?))?"
    r"(?: ?(?:[Zz]|UTC|(?P<sign>[+-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?))?)?\s*$"
)
_MAY_START = np.zeros(257, bool)
_MAY_START[[ord(sign) for sign in "0123456789+-.,( \t'$%"]] = True
_MAY_START[[0xC2, 0xE2]] = True  # a hard or thin space, a minus of typographers


def may_be_numbers(strings: pa.StringArray) -> npt.NDArray[np.bool_]:
    """(n,) bool: whether the first byte of each string could start a number."""
    offset, data = string_views(strings)
    first = np.full(len(strings), 256)
    some = offset[1:] > offset[:-1]
    first[some] = data[offset[:-1][some]]
    return _MAY_START[first]


def codes_among(strings: pa.StringArray) -> npt.NDArray[np.int64]:
    """(n,) int64: 1 for numerals that are written as codes are, 01234 or 5E3; NO_CODES for one as 2.5E3; else 0."""
    from grapheme_numba.kernels.codec.table_cells import LETTER, NO_CODES  # Numba takes a second to load

    offset, data = string_views(strings)
    long = np.diff(offset) > 1
    first, second = data[offset[:-1][long]], data[offset[:-1][long] + 1]
    digit = (second >= ord("0")) & (second <= ord("9"))
    maybe = long.copy()
    maybe[long] = ((first == ord("0")) & digit) | (first == ord(" ")) | (first == ord("\t")) | (first >= 0x80)
    if np.any(data[offset[0] : offset[-1]] == LETTER):
        maybe |= pc.match_substring(strings, chr(LETTER)).to_numpy(zero_copy_only=False)
    found = np.zeros(len(strings), np.int64)
    rows = np.flatnonzero(maybe)  # few: only these are looked at by the expressions
    if len(rows):
        cells = strings.take(pa.array(rows))
        coded, pointed = (
            pc.match_substring_regex(cells, way).to_numpy(zero_copy_only=False) for way in (CODE, POINTED)
        )
        found[rows] = np.where(pointed, NO_CODES, coded)
    return found


def units_of(strings: pa.StringArray) -> tuple[str, npt.NDArray[np.bool_]]:
    """The signs of UNITS and `(` that stand in cells, and which cells have some, (n,) bool."""
    offset, data = string_views(strings)
    data = data[offset[0] : offset[-1]]
    if not np.any((data == ord("$")) | (data == ord("%")) | (data == ord("(")) | (data >= 0x80)):
        return "", np.zeros(len(strings), bool)
    signs = [unit for unit in (*UNITS, "(") if pc.any(pc.match_substring(strings, unit), min_count=0).as_py()]
    held = pc.match_substring_regex(strings, f"[{UNITS}(]").to_numpy(zero_copy_only=False)
    return "".join(signs), held


def plain_numerals(strings: pa.StringArray, decimal: str = ".") -> pa.StringArray:
    """Each string as Python would write the numeral: trimmed, no thousands marks, a decimal point."""
    if decimal == "." and len(strings):
        try:
            pc.cast(strings, pa.float64())  # which takes no blanks, plus signs and thousands marks
            return strings
        except pa.ArrowInvalid:
            pass  # a cell that Arrow does not read: the expressions below look at each
    mark = re.escape("," if decimal == "." else ".")
    point = re.escape(decimal)
    text = pc.utf8_trim_whitespace(strings)
    text = pc.replace_substring_regex(text, "^([+\u2212-])\\s+", "\\1")
    text = pc.replace_substring(text, "\u2212", "-")
    if pc.any(pc.match_substring(text, "("), min_count=0).as_py():  # as accountants write what is below zero
        text = pc.replace_substring_regex(text, f"^\\(\\s*([{UNITS}]?[\\d.,]+[{UNITS}]?)\\s*\\)$", "-\\1")
    if pc.any(pc.match_substring_regex(text, f"[{UNITS}]"), min_count=0).as_py():
        text = pc.replace_substring_regex(text, f"^([+-]?)[{UNITS}]\\s*([+-]?)", "\\1\\2")
        text = pc.replace_substring_regex(text, f"\\s*[{UNITS}]$", "")
    grouped = pc.match_substring_regex(
        text, f"^[+-]?\\d{{1,3}}(({mark}\\d{{3}})+|({BLANKS}\\d{{3}})+)({point}\\d*)?([eE][+-]?\\d+)?$"
    )
    if pc.any(grouped, min_count=0).as_py():
        text = pc.if_else(grouped, pc.replace_substring_regex(text, f"{mark}|{BLANKS}", ""), text)
    if decimal == ",":
        # A point is a thousands mark here, and was taken out where groups fit; what still has one is no numeral.
        text = pc.if_else(pc.match_substring(text, "."), pc.binary_join_element_wise("x", text, ""), text)
        text = pc.replace_substring(text, ",", ".")
    return text


def numbers_of(strings: pa.StringArray, decimal: str = ".") -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(numbers (n,) float64, NaN where there is none; readable (n,) bool) of cells; null is not readable.

    A numeral beyond the range of a double is not readable.
    """
    if decimal == ".":
        try:  # nearly always; Arrow's reader of numbers takes a tenth of the time of the expressions below
            numbers = pc.cast(strings, pa.float64()).to_numpy(zero_copy_only=False)
            return np.where(np.isfinite(numbers), numbers, np.nan), np.isfinite(numbers)
        except pa.ArrowInvalid:
            pass  # a cell that Arrow does not read: the expressions below look at each
    text = plain_numerals(strings, decimal)
    fits = pc.fill_null(pc.match_substring_regex(text, NUMERAL), False)
    kept = pc.if_else(fits, pc.replace_substring_regex(text, r"^\+", ""), pa.scalar(None, pa.string()))
    numbers = pc.cast(kept, pa.float64()).to_numpy(zero_copy_only=False)
    readable = np.isfinite(numbers)
    return np.where(readable, numbers, np.nan), readable


def is_numeral(text: str, decimal: str = ".") -> bool:
    """Whether one cell is a numeral that `numbers_of` reads."""
    return bool(numbers_of(pa.array([text], pa.string()), decimal)[1][0])


def days_of(strings: pa.StringArray) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(days since 1970-01-01 (n,) float64, NaN where there is none; readable (n,) bool) of dates, with or without time.

    A time of day is a part of its day, in UTC where the cell says a zone. null, and a day or a time that is not in the
    calendar, is not readable.
    """
    days, readable = np.full(len(strings), np.nan), np.zeros(len(strings), bool)
    places = np.flatnonzero(may_be_dates(strings))
    cells = strings.take(pa.array(places))
    fits = pc.fill_null(pc.match_substring_regex(cells, ISO), False).to_numpy(zero_copy_only=False)
    if not fits.any():
        return days, readable
    places, cells = places[fits], cells.filter(pa.array(fits))
    parts = pc.extract_regex(cells, ISO)

    def part(name: str) -> npt.NDArray[np.float64]:
        text = parts.field(name)
        text = pc.if_else(pc.equal(text, ""), "0", pc.replace_substring(text, ",", "."))
        return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)

    year, month, day, hour, minute, second = map(part, ("year", "month", "day", "hour", "minute", "second"))
    sign = np.where(pc.equal(parts.field("sign"), "-").to_numpy(zero_copy_only=False), -1.0, 1.0)
    behind, more = part("zone_hour"), part("zone_minute")
    real = (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 60) & (behind < 24) & (more < 60)
    months = (np.where(real, year, 1970).astype(np.int64) - 1970) * 12 + np.where(real, month, 1).astype(np.int64) - 1
    first, after = ((months + i).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) for i in (0, 1))
    real &= (day >= 1) & (day <= after - first)
    clock = (hour * 60 + minute - sign * (behind * 60 + more)) * 60 + second
    days[places[real]] = (first + day - 1 + clock / 86_400)[real]
    readable[places[real]] = True
    return days, readable


def may_be_dates(strings: pa.StringArray) -> npt.NDArray[np.bool_]:
    """(n,) bool: whether a string has a digit and two dashes where a date has them, or starts with a blank."""
    offset, data = string_views(strings)
    start, size = offset[:-1].astype(np.int64), np.diff(offset)
    maybe = size >= LEAST_DATE
    at = start[maybe]
    first, dashes = data[at], (data[at + 4] == ord("-")) & (data[at + 7] == ord("-"))
    maybe[maybe] = (dashes & (first >= ord("0")) & (first <= ord("9"))) | (first == ord(" ")) | (first == ord("\t"))
    return maybe


def date_text(days: float) -> str:
    """Days since 1970-01-01 as a date, with the time of day where there is one."""
    try:
        moment = np.datetime64("1970-01-01T00:00:00", "s") + np.timedelta64(round(days * 86_400), "s")
    except (OverflowError, ValueError):
        return f"{days:g}"
    text = str(moment).replace("T", " ")
    return text.removesuffix(" 00:00:00")
