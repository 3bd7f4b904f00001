"""Numerals as people write them, against a plain reading of them."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.kernels.codec.column_facts import scan_reals
from grapheme_numba.kernels.codec.decimals import decimal_value, read_decimal, real_number

GOOD = ["0", "1", "-1", "+1", "12", "1.5", "-1.50", ".5", "5.", "1e3", "1E-05", "1.5e+10", "-0", "0.000", "0e5"]
LONG = ["123456789012345678901234", "1,234", "-1,234,567.89", "1'000", "1_000_000", "3.4e38", "1e-80", "0.1", "00.5"]
ODD = ["1 234", " 7 ", "\t8", "1\u00a0234", "1\u202f234.5", "\u22125", "- 5", "1,23", "1,2345", "12,34,567", "0,123"]
BAD = ["", " ", "-", "+", ".", "e5", "1e", "1e+", "007", "01", "1..2", "1.2.3", "--1", "0x1", "nan", "inf", "1e39"]
MIXED = ["1,234 567", "1,234_567", "1234,567", "12a", "a", "٣", "1e5.5", "1 2", "5 %", "1,234e2", "1.234,5"]


def plain_reading(text):
    """The value of a numeral as people write it, None where it is none or float32 cannot hold it."""
    text = text.strip(" \t")
    sign = -1.0 if text[:1] in ("-", "\u2212") else 1.0
    text = text[1:] if text[:1] in ("-", "+", "\u2212") else text
    for mark in (",", " ", "'", "_", "\u00a0", "\u202f"):
        grouped = re.match(rf"[1-9][0-9]{{0,2}}({mark}[0-9]{{3}})+(?![0-9])", text)
        if grouped:
            text = grouped.group().replace(mark, "") + text[grouped.end() :]
            break
    if not re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text) or re.match("0[0-9]", text):
        return None
    value = sign * float(text)
    return value if abs(value) <= 3.4028234663852886e38 else None


def read(text):
    data = np.frombuffer(text.encode(), np.uint8)
    return real_number(data, 0, len(data))


@pytest.mark.parametrize("text", [*GOOD, *LONG, *ODD, *BAD, *MIXED])
def test_against_a_plain_reading(text):
    ok, value = read(text)
    expected = plain_reading(text)
    assert ok == (expected is not None)
    if ok:
        assert value == pytest.approx(expected, rel=1e-15)


@given(st.text(alphabet="0123456789+-., eE_'\u00a0\u2212", max_size=12))
def test_any_characters_of_numerals(text):
    ok, value = read(text)
    expected = plain_reading(text)
    assert ok == (expected is not None), text
    assert not ok or value == pytest.approx(expected, rel=1e-15)


@given(st.floats(-3e38, 3e38))
def test_floats_come_through_their_text(value):
    ok, found = read(repr(value))
    assert ok
    assert found == pytest.approx(value, rel=4e-16, abs=1e-61)


def test_the_digits_are_those_of_the_numeral():
    def parts(text):
        data = np.frombuffer(text.encode(), np.uint8)
        return read_decimal(data, 0, len(data))

    assert parts("-1,200.50") == (True, -12005, -1)
    assert parts("0.00") == (True, 0, 0)
    assert parts("9" * 30) == (True, 10**18 - 1, 12)
    assert decimal_value(3, 70) == np.inf
    assert decimal_value(3, -90) == 0.0


def test_the_facts_of_a_column():
    texts = ["1.5", "x", "-2", "1e3", "", "0.125"]
    parts = [text.encode() for text in texts]
    offset = np.cumsum([0, *map(len, parts)]).astype(np.int32)
    facts, counts = np.array([np.inf, -np.inf, 0, 0, 0, 0, 0]), np.zeros(2, np.int64)
    other = scan_reals(np.arange(6), offset, np.frombuffer(b"".join(parts), np.uint8), facts, counts)
    values = [1.5, -2.0, 1000.0, 0.125]
    assert other == 1
    assert facts[:3].tolist() == [-2.0, 1000.0, 4.0]
    assert facts[3] + facts[4] == sum(values)
    assert facts[5] + facts[6] == sum(value * value for value in values)
    assert counts.tolist() == [2, 3]
