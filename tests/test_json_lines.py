"""The compiled scanner accepts nothing that the reference parser refuses, and reads what it accepts alike."""

import json
import os
import struct

import numpy as np
import pytest
from odd_lines import ODD_LINES, TEXT, record, values

from grapheme_numba.data.jsonl.lines import Block, parse_line_by_line
from grapheme_numba.data.jsonl.scanner import Scanner
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits
from grapheme_numba.data.schema import from_arrow, to_plain
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.kernels.json.numerals import FIVES, LEAST_POWER, numeral_bits, read_numeral
from grapheme_numba.kernels.json.scanner import UNSURE, scan_lines

N_MUTANT = int(os.environ.get("GRAPHEME_MUTANTS", "3000"))


def block(lines):
    return Block("file", b"\n".join(lines) + b"\n", 1, 0, 0)


def compare(lines, limits=DEFAULT_LIMITS):
    """Judge and scanner on the same lines; returns what they agree on."""
    fast, slow = Scanner(limits).parse(block(lines)), parse_line_by_line(block(lines), limits)
    assert fast.rejects == slow.rejects
    assert fast.lines == slow.lines == fast.rows.num_rows + len(fast.rejects)
    fast.rows.validate(full=True)
    assert [to_plain(a) for a in from_arrow(fast.rows)] == [to_plain(b) for b in from_arrow(slow.rows)]
    return fast


def test_odd_lines():
    found = compare([line for line, _ in ODD_LINES.values()])
    refused = {reject.line - 1 for reject in found.rejects}
    assert refused == {i for i, (_, reason) in enumerate(ODD_LINES.values()) if reason is not None}


@pytest.mark.parametrize("name", ODD_LINES)
def test_a_line_after_an_odd_line_is_unharmed(name):
    found = compare([TEXT, ODD_LINES[name][0], TEXT])
    assert found.lines == 3


def test_generated_records_are_read_without_the_reference_parser():
    lines = [json.dumps(one, ensure_ascii=i % 2 == 0).encode() for i, one in enumerate(generate(50, "train"))]
    scanner = Scanner()
    data = b"\n".join(lines) + b"\n"
    scanner._reserve(len(data), len(lines))
    out = scanner._out()
    assert scan_lines(np.frombuffer(data, np.uint8), 1 << 20, 1 << 20, False, scanner._scratch, out)[:2] == (200, 200)
    assert not (out.line_status[:200] == UNSURE).any()
    rows = compare(lines).rows
    assert [to_plain(example) for example in from_arrow(rows)] == [json.loads(line) for line in lines]


def test_blank_lines_carriage_returns_and_a_missing_last_line_feed():
    data = b"\n \t\r\n" + TEXT + b"\r\n\r\n" + TEXT
    found = Scanner().parse(Block("file", data, 1, 0, 0))
    assert (found.rows.num_rows, found.lines, found.rejects) == (2, 2, [])


def test_rejects_name_line_and_byte():
    lines = [TEXT, b"", b'{"id":1}', TEXT, b"oops"]
    data = b"\n".join(lines)
    found = Scanner().parse(Block("some.jsonl", data, 11, 1000, 0))
    first, second = found.rejects
    assert (first.file, first.line, first.offset) == ("some.jsonl", 13, 1000 + len(TEXT) + 2)
    assert (second.line, second.offset, second.start) == (15, 1000 + data.rfind(b"oops"), "oops")


def test_limits():
    lines = [values(b"[1,2,3]"), values(b"[1,2,3,4]"), TEXT + b" " * 200]
    found = compare(lines, Limits(line_bytes=200, numbers=3))
    assert [reject.line for reject in found.rejects] == [2, 3]


def test_more_domains_than_the_table_holds():
    lines = [record(domain=b'"d%d"' % i) for i in range(300)]
    rows = compare(lines).rows
    assert rows.column("domain").to_pylist() == [f"d{i}" for i in range(300)]


def mutants(rng, seeds, n):
    """Lines with bytes flipped, cut, doubled or swapped; line feeds are left out."""
    pieces = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"e", b"-", b".", b"0", b"\\u0", b"\xc3", b"\x00", b" "]
    for _ in range(n):
        line = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(1 if rng.random() < 0.8 else 4):
            at = int(rng.integers(len(line))) if line else 0
            kind = rng.integers(5)
            if kind == 0 and line:
                line[at] = rng.integers(256)
            elif kind == 1:
                del line[at : at + int(rng.integers(1, 8))]
            elif kind == 2:
                line[at:at] = pieces[rng.integers(len(pieces))]
            elif kind == 3:
                line[at:at] = line[at : at + int(rng.integers(1, 12))]
            elif line:
                line[at] ^= 1 << int(rng.integers(8))
        yield bytes(line).replace(b"\n", b" ")


def mutate(rng, n):
    seeds = [line for line, _ in ODD_LINES.values() if len(line) < 1000]
    seeds += [json.dumps(one).encode() for one in generate(5, "train")]
    lines = list(mutants(rng, seeds, n))
    found = compare(lines)
    assert found.lines == sum(bool(line.strip(b" \t\r")) for line in lines)
    return found


def test_mutated_lines(rng):
    found = mutate(rng, N_MUTANT)
    assert found.rows.num_rows > N_MUTANT // 100  # both verdicts must be among them
    assert len(found.rejects) > N_MUTANT // 10


@pytest.mark.long
def test_100_000_mutated_lines(rng, figure):
    for _ in range(10):
        mutate(rng, 10_000)
    figure("damaged JSONL", "100,000 lines with one verdict by two readers, no crash")


def numeral(text):
    """Bits of a numeral by the kernel, or None where it is unsure."""
    data = np.frombuffer(text.encode() + b"\n", np.uint8)
    end, negative, digits, power, _ = read_numeral(data, 0)
    if end < 0:
        return None
    assert end == len(text)
    ok, bits = numeral_bits(negative, np.uint64(digits), power)
    return int(bits) if ok else None


def numerals(rng, n):
    for i in range(n):
        whole = int(rng.integers(1 << 62))
        yield (
            repr(float(rng.random())),
            repr(struct.unpack("d", struct.pack("Q", whole >> 10 | int(rng.integers(823, 1223)) << 52))[0]),
            str(whole >> int(rng.integers(62))),
            f"-{rng.uniform(0, 99):.{int(rng.integers(1, 15))}f}",
            f"{whole}e{int(rng.integers(-70, 40))}",
            str(2 * (whole >> 9 | 1 << 52) + 1),  # halfway between two doubles
        )[i % 6]


def test_numerals_are_rounded_as_python_rounds(rng):
    sure = 0
    known = ["9007199254740993", "9007199254740993e0", "0", "-0", "0.0", "1e22", "1e23", "9999999999999999999"]
    drawn = list(numerals(rng, 6 * N_MUTANT))
    for text in known + drawn:
        bits = numeral(text)
        if bits is not None:
            sure += 1
            assert bits == struct.unpack("Q", struct.pack("d", float(text)))[0], text
    assert sure > 0.9 * len(drawn)


def test_the_table_of_powers_is_exact_where_it_can_be():
    for power in range(28):
        high, low = (int(part) for part in FIVES[power - LEAST_POWER])
        assert (high << 64 | low) == 5**power << 128 - (5**power).bit_length()
