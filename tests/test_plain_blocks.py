"""The kernel that reads plain CSV gives the rows, facts and refusals that Arrow's reader gives, or leaves the block."""

import math
import random

import numpy as np
import pytest

from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.passes import TablePasses
from grapheme_numba.data.sources.tables.readers import plain_block
from grapheme_numba.data.sources.tables.row_examples import examples_of
from grapheme_numba.kernels.codec.table_cells import read_decimal

NUMERALS = ("0", "-1", "+2", "3.25", ".5", "7.", "-0", "1e3", "2E-2", "1.5e+2", "007", "123456789012345678", "0.1")
ODD_NUMERALS = ("0.00012345678901234567", "1e22", "1e23", "9007199254740993", "1e-22", "1e-23")
LEFT = ("1e-300", "179769313486231570000", "4.9e-324")  # to Arrow
MISSING = ("", "NA", "?", "-", "nan")
TEXTS = ("red", "blue sky", " left", "right ", "NA", "", "naïve", "3", "x'y", 'a"b')


def text_of(rows, sign=",", end="\n"):
    return "".join(sign.join(row) + end for row in rows)


def both(tmp_path, text, **mapping):
    """(the kernel's block, Arrow's block, form, dialect) of a whole file whose answers are `y`."""
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    table = TablePasses(path, TableMapping(target="y", **mapping), "", True)
    form = table.form(table.first_facts(), table.roles)
    data, dialect = path.read_bytes(), table.table.dialect
    given = data, dialect.header, table.roles.used, table.numeric(form)
    plain = plain_block(*given, dialect, 160)
    return plain, table.table._read_by_arrow(*given), form, table


def same(plain, arrow, form, table):
    made = [examples_of(block, form, table.table.dialect, "d") for block in (plain, arrow)]
    assert plain.n == arrow.n
    assert made[0].refused == made[1].refused
    np.testing.assert_array_equal(made[0].row, made[1].row)
    for name in made[0].batch.schema.names:
        one, other = (one.batch.column(name) for one in made)
        if name == "numbers":
            np.testing.assert_array_equal(one.values.to_numpy(), other.values.to_numpy())
        else:
            assert one.equals(other), name
    facts = [table.facts_of(block) for block in (plain, arrow)]
    assert facts[0].keys() == facts[1].keys()
    for name, fact in facts[0].items():
        if name in plain.numbers.names:
            other = facts[1][name]
            keys = ("n", "numbers", "others", "low", "high", "whole")
            assert [getattr(fact, key) for key in keys] == [getattr(other, key) for key in keys]
            # Where Arrow has read text, marks that are missing only among numbers are counted apart.
            assert fact.missing + fact.marks == other.missing + other.marks
            assert fact.padded == other.padded


def rows(rng, n, numerals):
    found = [["a", "word", "b", "y"]]
    for _ in range(n):
        number = [rng.choice(MISSING if rng.random() < 0.1 else numerals) for _ in range(2)]
        found.append([number[0], rng.choice(TEXTS), number[1], rng.choice(numerals)])
    return found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("sign", "seed"), [(",", 0), (",", 1), ("\t", 2), (";", 3), ("|", 4)])
def test_blocks_are_those_of_arrow(tmp_path, sign, seed, end):
    rng = random.Random(seed)
    numerals = (*NUMERALS, *ODD_NUMERALS) if seed else NUMERALS
    plain, arrow, form, table = both(tmp_path, text_of(rows(rng, 400, numerals), sign, end), delimiter=sign)
    assert set(plain.numbers.names) == {"a", "b"}
    same(plain, arrow, form, table)


def test_a_decimal_comma_and_blanks(tmp_path):
    text = text_of([["a", "b", "y"], *[[f" {i},5", f"{i} ", f"{i},25"] for i in range(50)]], ";")
    plain, arrow, form, table = both(tmp_path, text)
    same(plain, arrow, form, table)
    assert plain.numbers.values[3, 0] == 3.5


def test_ragged_rows_are_refused_alike(tmp_path):
    lines = [["a", "word", "y"], *[[str(i), "w", "1"] for i in range(200)]]
    lines[7], lines[40], lines[41], lines[199] = ["6", "w"], ["x", "w", "1", "2"], ["only"], ["1", "2", "3", "4", "5"]
    plain, arrow, form, table = both(tmp_path, text_of(lines))
    assert [one.row for one in plain.refused] == [7, 40, 41, 199]
    same(plain, arrow, form, table)


@pytest.mark.parametrize(
    "cell", ["1,234,5", '"1.5', "abc", "1.2.3", "1e", "--1", "inf", "1" * 20, "1e400", *LEFT, '"a""b"', "1\r2"]
)
def test_what_is_not_plain_is_left_to_arrow(tmp_path, cell):
    good = [[str(i), f"w{i % 3}", "1"] for i in range(60)]
    text = text_of([["a", "word", "y"], *good]) + f'{cell},"w","1"\n' + text_of(good)
    if cell == "1,234,5":
        text = text.replace(cell + ',"w"', '"1,234"')
    path = tmp_path / "t.csv"
    path.write_text(text, newline="")
    table = TablePasses(path, TableMapping(target="y", kinds={"a": "number"}), "", True)
    dialect = table.table.dialect
    assert plain_block(text.encode(), True, ["a", "word", "y"], {"a"}, dialect, 160) is None


def test_bytes_that_are_not_utf8_and_empty_lines_are_left(tmp_path):
    rest = "".join(f"{i},x\n" for i in range(30)).encode()
    plain, *_ = both(tmp_path, b"a,y\n1,caf\xc3\xa9\n" + rest)
    assert plain is not None
    dialect = TablePasses(tmp_path / "t.csv", TableMapping(target="y"), "", True).table.dialect
    for more in (b"2,caf\xe9\n", b"\n", b"\r\n"):
        assert plain_block(b"a,y\n" + rest + more + rest, True, ["a", "y"], {"a"}, dialect, 160) is None


def test_numerals_are_read_as_python_reads_them():
    rng = np.random.default_rng(5)
    texts = [repr(float(x)) for x in rng.normal(size=3000) * 10.0 ** rng.integers(-40, 40, 3000)]
    texts += [f"{x:.{d}f}" for x, d in zip(rng.normal(size=500) * 1000, rng.integers(0, 12, 500))]
    texts += [*NUMERALS, *ODD_NUMERALS, *LEFT]
    read = 0
    for text in texts:
        data = np.frombuffer(text.encode() + b"\n", np.uint8)
        end, short, value, bits = read_decimal(data, 0, 46)
        value = value if short else np.uint64(bits).view(np.float64)
        if end == len(text):  # else Arrow reads it
            read += 1
            assert value == float(text) and math.copysign(1, value) == math.copysign(1, float(text)), text
    assert read > 0.98 * len(texts)
