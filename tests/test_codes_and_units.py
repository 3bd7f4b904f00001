"""Numerals that are codes (01234), and numbers beside a currency or per cent sign, as whole columns say."""

import numpy as np
import pytest
from test_table_files import fields, taken, written

from grapheme_numba.data.sources.tables import readers


def rows(cells, quoted=False):
    mark = '"' if quoted else ""
    return "zip,price\n" + "".join(f"{mark}{cell}{mark},{i}\n" for i, cell in enumerate(cells))


@pytest.mark.parametrize("by_kernel", [True, False])
def test_numerals_that_begin_with_0_are_codes(tmp_path, monkeypatch, by_kernel):
    if not by_kernel:
        monkeypatch.setattr(readers, "MOST_ODD", 0)  # Arrow reads all
    done, records = taken(written(tmp_path, rows([f"{i:05d}" for i in range(990, 1010)] * 10)))
    assert fields(records)[0] == {"zip": "00990"}
    assert (
        done.columns[0]
        == "  zip: input, text, 200 of 200 cells look like codes, 01234 or 5E3 (--kind zip=number), 20 different"
    )


@pytest.mark.parametrize("by_kernel", [True, False])
def test_codes_late_in_a_file_are_codes_from_its_start(tmp_path, monkeypatch, by_kernel):
    if not by_kernel:
        monkeypatch.setattr(readers, "MOST_ODD", 0)
    cells = [str(11_000 + i % 30) for i in range(300_000)] + [f"{i % 30:05d}" for i in range(40_000)]
    _, records = taken(written(tmp_path, rows(cells)))
    assert fields(records)[0] == {"zip": "11000"}
    assert fields(records)[-1] == {"zip": cells[-1]}


def test_a_few_zeros_in_front_change_no_column_of_numbers(tmp_path):
    done, records = taken(written(tmp_path, rows([*map(str, range(1, 200)), "007"])))
    assert fields(records)[-1] == {"zip": 7}
    assert done.columns[0].startswith("  zip: input, number, 200 of 200 cells are numerals")


def test_a_fraction_makes_them_numbers(tmp_path):
    _, records = taken(written(tmp_path, rows(["00.5", "01.5", "02", "03"])))
    assert [one["zip"] for one in fields(records)] == [0.5, 1.5, 2, 3]


def test_the_user_has_the_last_word(tmp_path):
    _, records = taken(written(tmp_path, rows(["00990", "00991"])), kinds={"zip": "number"})
    assert [one["zip"] for one in fields(records)] == [990, 991]


def test_a_target_of_codes_keeps_its_zeros(tmp_path):
    _, records = taken(written(tmp_path, "x,key\n" + "".join(f"{i},{i % 3:03d}\n" for i in range(90))), target="key")
    assert [one["expected_output"] for one in records[:3]] == ["000", "001", "002"]


@pytest.mark.parametrize(
    ("cells", "numbers", "signs"),
    [
        (["$1,200.50", "-$3", "$ 4", "$-5.25"], [1200.5, -3, 4, -5.25], "$"),
        (["12%", "0.5 %", "-3%", "100"], [12, 0.5, -3, 100], "%"),
        (["€5", "7 €", "1e3€", "+8"], [5, 7, 1000, 8], "€"),
        (["£5", "¥7", "₹9", "$1"], [5, 7, 9, 1], "$ £ ¥ ₹"),
    ],
)
def test_signs_beside_a_number_are_named_and_left_out(tmp_path, cells, numbers, signs):
    text = "price,x\n" + "".join(f'"{cell}",{i}\n' for i, cell in enumerate(cells))
    done, records = taken(written(tmp_path, text), target="x")
    assert [one["price"] for one in fields(records)] == numbers
    assert f"4 of 4 cells are numerals, without the signs {signs}" in done.columns[0]
    _, records = taken(written(tmp_path, text), target="price")
    assert [float(one["expected_output"]) for one in records] == numbers


def test_signs_alone_and_other_units_are_text(tmp_path):
    text = "a,b,c,price\n" + "".join(f"$,5kg,$x,{i}\n" for i in range(9))
    _, records = taken(written(tmp_path, text))
    assert fields(records)[0] == {"a": "$", "b": "5kg", "c": "$x"}
    assert np.unique([str(one) for one in fields(records)]).size == 1


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["5E3", "1E10", "2E5"], "text"),
        (["100", "200", "5E3", "300"], "text"),
        ([" 5E3", '"1E7"', "12"], "text"),
        (["5E3", "2.5E4", "1E5"], "number"),  # counts of colonies, say: no code has a point
        (["5E+3", "1E-5"], "number"),
        (["5e3", "1e10"], "number"),
        (["0.5", "0", "-0.25"], "number"),
    ],
)
def test_letters_between_digits_are_codes_where_nothing_speaks_against_it(
    tmp_path, monkeypatch, by_kernel, cells, kind
):
    if not by_kernel:
        monkeypatch.setattr(readers, "MOST_ODD", 0)  # Arrow reads all
    done, records = taken(written(tmp_path, rows(cells * 20)))
    assert done.columns[0].startswith(f"  zip: input, {kind}, ")
    first = fields(records)[0]["zip"]
    assert first == (cells[0].strip() if kind == "text" else float(cells[0]))
    assert ("look like codes" in done.columns[0]) == (kind == "text")


def test_letters_late_in_a_file_make_codes_of_its_start(tmp_path):
    _, records = taken(written(tmp_path, rows([str(i % 30) for i in range(300_000)] + ["5E3"] * 40_000)))
    assert fields(records)[0] == {"zip": "0"}
