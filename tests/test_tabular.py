"""Rows of named cells as inputs: against a plain reading of the same rows, in any order of rows and fields."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.data.codec.inputs import FieldCode, describe_fields
from grapheme_numba.data.codec.layout import Layout, domain_needs, shared_layout
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.parquet.columns import window_of
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.stream.batches import encode_examples
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.summary import summarize
from grapheme_numba.kernels.codec.tabular import count_strange

ROWS = [
    {"rooms": 3, "city": "Oslo", "area": 70.5, "garden": True},
    {"rooms": 4, "city": "Rome", "area": None, "garden": False},
    {"rooms": 2, "city": "Oslo", "area": 40, "garden": True},
    {"rooms": 5, "city": None, "area": 120.25, "garden": False},
    {"rooms": 3, "city": "", "area": 55, "garden": True},
]


def record(cells, answer="1", domain="homes", name="r"):
    given = {"id": name, "domain": domain, "input_type": "tabular", "input": {"fields": cells}}
    return {**given, "expected_output": answer}


def examples(rows, **more):
    return [parse_example(json.dumps(record(row, name=f"r{i}", **more)).encode()) for i, row in enumerate(rows)]


def table_of(rows, **more):
    return pa.Table.from_batches([to_arrow(examples(rows, **more))])


def layout_of(rows):
    return shared_layout(summarize([table_of(rows)]), 1)


def plain_inputs(codes, row):
    """The inputs of a row by the documentation, cell after cell."""
    found = []
    for code in codes:
        cell = row.get(code.name)
        number = isinstance(cell, (int, float))
        known = cell is not None and ((number and code.mean is not None) or cell in code.values or code.other)
        if code.mean is not None:
            found.append(float(np.clip((float(cell) - code.mean) / code.std, -100, 100)) if number else 0.0)
        if code.missing:
            found.append(0.0 if known else 1.0)
        found += [float(cell == value and not number) for value in code.values]
        if code.other:
            strange = (
                cell is not None and not (number and code.mean is not None) and (number or cell not in code.values)
            )
            found.append(float(strange))
    return found


def test_columns_become_inputs_by_what_they_hold():
    (homes,) = layout_of(ROWS).domains
    area, city, garden, rooms = homes.fields
    areas = [70.5, 40, 120.25, 55]
    assert area == FieldCode("area", pytest.approx(np.mean(areas)), pytest.approx(np.std(areas)), missing=True)
    assert city == FieldCode("city", missing=True, values=("", "Oslo", "Rome"))
    assert garden == FieldCode("garden", pytest.approx(0.6), pytest.approx(np.sqrt(0.24)))
    assert (rooms.name, rooms.mean, rooms.n_input) == ("rooms", pytest.approx(3.4), 1)
    assert homes.n_input == 2 + 4 + 1 + 1
    assert city.inputs == ["city missing", "city = ", "city = Oslo", "city = Rome"]
    assert describe_fields(homes.fields) == (
        "4 columns: 3 of numbers, standardised; 1 of categories, one-hot (city 3); "
        "cells missing in area, city, each with a mark"
    )


def test_rows_enter_as_a_plain_reading_says():
    layout = layout_of(ROWS)
    strange = [
        {"rooms": 1e30, "city": "Lima", "area": "big", "garden": None},
        {"city": 7, "attic": 5, "rooms": -1e30},
        {"area": 1},
        {},
    ]
    rows = [*ROWS, *strange[:3]]
    batch = encode_examples(examples(rows), layout)
    expected = [plain_inputs(layout.domains[0].fields, row) for row in rows]
    np.testing.assert_allclose(batch.values, expected, rtol=1e-6)
    assert (batch.n_active > 0).all()
    nothing = encode_examples(examples([{"attic": 3}]), layout)
    assert nothing.n_active.tolist() == [0]


def test_many_categories_keep_the_commonest_and_one_for_the_others():
    rows = [{"c": f"v{i:03}", "n": i} for i in range(100) for _ in range(1 + (i < 80))]
    (domain,) = layout_of(rows).domains
    category, number = domain.fields
    assert category.values == tuple(f"v{i:03}" for i in range(64))
    assert (category.other, category.missing, number.n_input) == (True, False, 1)
    batch = encode_examples(
        examples([{"c": "v070", "n": 0}, {"c": "unheard of", "n": 0}, {"c": "v001", "n": 0}]), layout_of(rows)
    )
    assert batch.values[:, :65].argmax(axis=1).tolist() == [64, 64, 1]


def test_columns_that_say_nothing_have_no_input():
    rows = [{"same": 3, "name": f"n{i}", "word": "x", "gone": None, "n": i} for i in range(70)]
    (domain,) = layout_of(rows).domains
    assert {field.name: field.n_input for field in domain.fields} == {
        "same": 0,
        "name": 0,
        "word": 0,
        "gone": 1,
        "n": 1,
    }
    assert describe_fields(domain.fields).endswith("nothing to learn from in name, same, word")


def test_a_column_of_numbers_and_words_has_both():
    rows = [{"a": 1}, {"a": 3}, {"a": "many"}, {"a": 5}]
    (domain,) = layout_of(rows).domains
    assert domain.fields[0].inputs == ["a", "a = many"]
    batch = encode_examples(examples(rows), layout_of(rows))
    assert batch.values[2].tolist() == [0.0, 1.0]
    assert batch.values[:, 1].tolist() == [0, 0, 1, 0]


def test_strange_cells_are_counted():
    layout = layout_of(ROWS)
    rows = [ROWS[0], {"city": "Lima", "rooms": 2}, {"city": "Lima", "area": "x", "attic": "y"}, {"city": None}]
    table, numbers = table_of(rows), np.arange(4)
    columns = window_of(table, numbers, {"homes": 0}, layout.field_numbers).columns
    counts = np.empty(4, np.int64)
    count_strange(
        columns.domain, columns.cells, layout.inputs.fields, np.empty((1, layout.value_width), np.float32), counts
    )
    assert counts.tolist() == [0, 1, 2, 0]


cells = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-1e6, 1e6), st.sampled_from(["a", "b", "", "é"])
)
rows_of_a_table = st.lists(st.dictionaries(st.sampled_from("wxyz"), cells, min_size=1), min_size=1, max_size=12)


@given(st.data(), rows_of_a_table)
def test_the_order_of_rows_and_fields_never_matters(data, rows):
    layout = layout_of(rows)
    shuffled = [dict(data.draw(st.permutations(list(row.items())))) for row in data.draw(st.permutations(rows))]
    assert layout_of(shuffled) == layout
    batch = encode_examples(examples(rows), layout)
    fields = layout.domains[0].fields
    if any(field.n_input for field in fields):
        np.testing.assert_allclose(batch.values, [plain_inputs(fields, row) for row in rows], rtol=1e-5, atol=1e-6)


def test_tables_stream_from_files_beside_other_inputs(tmp_path):
    lines = [json.dumps(record(row, answer=str(i), name=f"h{i}")) for i, row in enumerate(ROWS * 3)]
    text = {"id": "t", "domain": "words", "input_type": "text", "input": {"text": "abc"}, "expected_output": "x"}
    pet = record({"legs": 4, "city": "Rome"}, domain="pets", name="p")
    lines += [json.dumps(text), json.dumps(pet), json.dumps(record({"legs": 2, "city": "Oslo"}, domain="pets"))]
    source = tmp_path / "a.jsonl"
    source.write_text("\n".join(lines) + "\n")
    convert([source], tmp_path / "a.parquet")
    dataset = open_parquet(tmp_path / "a.parquet")
    layout = shared_layout(dataset.summary(), 2)
    homes, pets, words = layout.domains
    assert (homes.input_start, pets.input_start) == (words.n_input, words.n_input + homes.n_input)
    assert pets.fields == (FieldCode("city", values=("Oslo", "Rome")), FieldCode("legs", 3.0, 1.0))
    for batch in dataset.batches(layout, 7, seed=3):
        for row, domain, values in zip(batch.ids, batch.domain.tolist(), batch.values, strict=True):
            given = next(line for line in map(json.loads, lines) if line["id"] == row)
            if domain < 2 and row != "r":
                expected = plain_inputs(layout.domains[domain].fields, given["input"]["fields"])
                np.testing.assert_allclose(values[: len(expected)], expected, rtol=1e-6)
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


def test_a_table_without_a_single_useful_column_still_has_an_input():
    (need,) = domain_needs(summarize([table_of([{"a": 1}, {"a": 1}])]), 1)
    assert need.n_input == 1
