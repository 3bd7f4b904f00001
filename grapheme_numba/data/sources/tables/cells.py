"""Cells of text as numbers: signs, exponents, spaces, thousands marks, decimal commas and units, arrays at once."""

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
PADDED = r"^\s*0\d+\s*$"  # as zip codes and keys are written, and numbers are not
_MAY_START = np.zeros(257, bool)
_MAY_START[[ord(sign) for sign in "0123456789+-., \t'$%"]] = True
_MAY_START[[0xC2, 0xE2]] = True  # a hard or thin space, a minus of typographers


def may_be_numbers(strings: pa.StringArray) -> npt.NDArray[np.bool_]:
    """(n,) bool: whether the first byte of each string could start a number."""
    offset, data = string_views(strings)
    first = np.full(len(strings), 256)
    some = offset[1:] > offset[:-1]
    first[some] = data[offset[:-1][some]]
    return _MAY_START[first]


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
