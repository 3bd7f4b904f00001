"""The reader of dense JSON beside `json.loads`: the same records, the same reasons, at the same positions."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutants import mutants
from odd_lines import ODD_LINES, record, values
from test_round_trip import records

from grapheme_numba.dataset import loading
from grapheme_numba.dataset.records import Limits, parse_example
from grapheme_numba.errors import RecordError

N_MUTANT = int(os.environ.get("GRAPHEME_DENSE_MUTANTS", "2000"))
LIMITS = Limits(line_bytes=1 << 20, numbers=5, depth=20)
FIELDS = [
    b'"x":{},"y":[]',
    b'"x":[[],{},[1,-0,1.50,1e15,"\\u00e9\\n",true,null]],"y":{"a":{"b":[{"c":0}]}}',
    b'"metadata":{"a" : [1, {"b":2}]} , "x" : 1',
    b'"metadata":[1],"x":{}',
    b'"metadata":null,"x":{}',
    b'"x":{"a":1,"b":{"c":1,"c":2}}',
    b'"id":"b"',
    b'"input":{}',
    b'"x":"\\ud800"',
    b'"x":NaN',
    b'"x":[1e999]',
    b'"x":[' + b"9" * 5000 + b"]",
    b'"x":' + b"[" * 30 + b"]" * 30,
    b'"x":{' + b",".join(b'"%d":0' % i for i in range(200)) + b"}",
    b'"x":{' + b",".join(b'"%d":0' % (i % 150) for i in range(200)) + b"}",
]
GIVEN = [
    (b'"text"', b'{"values":[1,{}],"text":"a","width":[],"z":{}}'),
    (b'"text"', b'{"text":{}}'),
    (b'"text"', b"[1]"),
    (b'"sequence"', b'{"values":[],"z":1}'),
    (b'"sequence"', b'{"values":{},"z":1}'),
    (b'"sequence"', b'{"a":1,"values":[9007199254740993,0.5],"z":[2]}'),
    (b'"sequence"', b'{"values":[1,2,{},"a"]}'),
    (b'"sequence"', b'{"values":[1,"a",{}]}'),
    (b'"sequence"', b'{"values":[1e39,{}]}'),
    (b'"sequence"', b'{"values":[1,2,3,4,5,{}]}'),
    (b'"sequence"', b'{"values":[1,2,3,4,5,6]}'),
    (b'"image"', b'{"width":[],"height":1,"pixels":[1]}'),
    (b'"image"', b'{"width":1,"height":1,"pixels":[1],"z":[[]]}'),
]
LINES = [line for line, _ in ODD_LINES.values() if len(line) < 1 << 16]
LINES += [record(more=b"," + more) for more in FIELDS] + [record(kind=kind, given=one) for kind, one in GIVEN]
LINES += [
    values(b"[1, 2.5 ,3e2]"),
    b"",
    b" ",
    b"[]",
    b"[1]",
    b"1",
    b"\xef\xbb\xbf{}",
    b"{} x",
    b'{"a":1,}',
    b"[1,]",
    b"tru",
]


def verdict(line: bytes):
    """The example of a line, or the reason that it has none."""
    try:
        return parse_example(line, LIMITS)
    except RecordError as error:
        return str(error)


def compare(monkeypatch, lines) -> int:
    """The verdicts of both readers are the same; how many lines are usable."""
    with monkeypatch.context() as patch:
        patch.setattr(loading, "MOST_OBJECTS", 1 << 60)
        usual = [verdict(line) for line in lines]
        patch.setattr(loading, "MOST_OBJECTS", -1)
        for line, wanted in zip(lines, usual):
            assert verdict(line) == wanted, line[:300]
    return sum(type(one) is not str for one in usual)


def test_the_same_verdict_on_odd_lines(monkeypatch):
    assert compare(monkeypatch, LINES) > 20


def test_the_same_verdict_on_mutants(monkeypatch, figure):
    lines = [mutant for line in LINES if line for mutant in mutants(line, max(N_MUTANT // len(LINES), 1), len(line))]
    usable = compare(monkeypatch, lines)
    figure("damaged lines read as dense JSON", f"{len(lines)} judged as by json.loads, {usable} of them usable")


@settings(max_examples=60)
@given(st.lists(records(), min_size=1, max_size=5))
def test_the_same_verdict_on_any_records(drawn):
    with pytest.MonkeyPatch.context() as patch:
        compare(patch, [json.dumps(one).encode() for one in drawn])
