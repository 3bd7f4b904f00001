"""The reference parser: every odd line is refused with its reason, every usable record comes back equal."""

import json

import pytest
from odd_lines import ODD_LINES, TEXT, record, values

from grapheme_numba.data import records
from grapheme_numba.data.jsonl.lines import Block
from grapheme_numba.data.jsonl.scanner import Scanner
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits, parse_example
from grapheme_numba.data.schema import to_line, to_plain
from grapheme_numba.errors import RecordError
from grapheme_numba.kernels.json.scanner import ACCEPTED, MOST_VALUES, UNSURE


@pytest.mark.parametrize("name", ODD_LINES)
def test_odd_lines_get_their_verdict(name):
    line, reason = ODD_LINES[name]
    if reason is None:
        parse_example(line)
    else:
        with pytest.raises(RecordError, match=reason):
            parse_example(line)


@pytest.mark.parametrize("name", [name for name, (_, reason) in ODD_LINES.items() if reason is None])
def test_usable_records_come_back_equal(name):
    line = ODD_LINES[name][0]
    example = parse_example(line)
    back = to_plain(example)
    assert back == json.loads(line)
    assert to_plain(parse_example(to_line(example))) == back


def test_numbers_keep_their_bits():
    numbers = [0.1, 1 / 3, 2.5e-310, 123456789.123456789, -1e-7]
    assert parse_example(values(json.dumps(numbers).encode())).values == numbers


def test_whole_numbers_are_written_without_a_fraction():
    assert b"[1, 2, -3]" in to_line(parse_example(values(b"[1.0,2,-3]")))
    assert b"[1.0, 0.5]" in to_line(parse_example(values(b"[1,0.5]")))


def test_limits_are_exact():
    limits = Limits(line_bytes=len(TEXT), numbers=3, depth=2)
    parse_example(TEXT, limits)
    parse_example(values(b"[1,2,3]"), Limits(numbers=3))
    with pytest.raises(RecordError, match=f"has {len(TEXT) + 1} bytes, more than the limit of {len(TEXT)}"):
        parse_example(TEXT + b" ", limits)
    with pytest.raises(RecordError, match="has 4 numbers, more than the limit of 3"):
        parse_example(values(b"[1,2,3,4]"), Limits(numbers=3))
    with pytest.raises(RecordError, match="nested deeper than the limit of 2"):
        parse_example(record(more=b',"metadata":{"a":[]}'), Limits(depth=2))
    parse_example(record(more=b',"metadata":{"a":"[[[[{{{{"}'), Limits(depth=3))


@pytest.mark.parametrize("piece", [b"1", b"[]", b'{"a":0}', b'"a"'])
def test_what_would_be_millions_of_objects_is_refused(piece, monkeypatch):
    """Values are counted, wherever they stand, but not what only looks like some inside of a string."""
    monkeypatch.setattr(records, "OTHER_VALUES", 100)
    for place in (b',"x":[%s]', b',"metadata":{"x":[%s]}'):
        parse_example(record(more=place % b",".join([piece] * 10)), Limits(numbers=3))
        many = record(more=place % b",".join([piece] * 150))
        with pytest.raises(RecordError, match=r"the line holds \d+ values \(a list .*\), more than the limit of 103"):
            parse_example(many, Limits(numbers=3))
        parse_example(many, Limits(numbers=1000))
    parse_example(record(more=b',"x":"%s"' % (b'[{,:\\"' * 100)), Limits(numbers=3))


def test_the_scanner_leaves_metadata_of_many_values_to_the_reference_parser():
    for n, accepted in ((MOST_VALUES - 2, ACCEPTED), (MOST_VALUES, UNSURE)):
        line = record(more=b',"metadata":{"a":[%s]}' % b",".join([b"1"] * n)) + b"\n"
        scanner = Scanner(DEFAULT_LIMITS)
        assert scanner.parse(Block("", line, 1, 0, 0)).rows.num_rows == 1
        assert scanner._line[1][0] == accepted


def test_a_question_needs_neither_domain_nor_answer():
    question = parse_example(b'{"id":"a","input_type":"text","input":{"text":"q"}}', question=True)
    assert question.domain is None
    assert question.expected_output is None
