"""Columns that other programs are reported to misread without a word: read as meant, or said."""

import json

import pytest

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.sources.tables.import_table import import_tables
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.dataset import open_parquet


def taken(tmp_path, cells, name="a.csv", **mapping):
    """(sentence on column c, its cells as they are trained on) of a column of these cells, each ten times."""
    cells = cells * 10
    path = tmp_path / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps({"c": cell, "y": i}) + "\n" for i, cell in enumerate(cells)))
    else:
        path.write_text("c;y\n" + "".join(f"{cell};{i}\n" for i, cell in enumerate(cells)))
    done = import_tables([path], tmp_path / "o.parquet", TableMapping(target="y", **mapping))
    records = first_records(open_parquet(tmp_path / "o.parquet"), len(cells) // 10)
    return done.columns[0], [one["input"]["fields"]["c"] for one in records]


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        (["(1,234.50)", "3.5", "( $2 )", "$4"], [-1234.5, 3.5, -2, 4], "without the signs $ ( ) that 30 of them have"),
        (["(7)", "(8)"], [-7, -8], "without the signs ( ) (brackets are below zero)"),
        (["5%", "0.05"], [5, 0.05], "without the signs % that 10 of them have"),
        (["$5", "€5"], [5, 5], "without the signs $ €, from"),
        (["(x)", "(1)", "1)"], ["(x)", "(1)", "1)"], "text"),
        (["True", "FALSE", "false", "TRUE"], ["true", "false", "false", "true"], "text"),
        ([" Oslo", "Oslo ", "Rome"], ["Oslo", "Oslo", "Rome"], "text"),
        (["NA", "US", "DE"], [None, "US", "DE"], "10 of 30 missing (empty, or a mark as NA: --missing)"),
        (["01234", "98765"], ["01234", "98765"], "10 of 20 cells begin with 0 as codes do (--kind c=number)"),
        (["0x10", "1_000", "１２"], ["0x10", "1_000", "１２"], "text"),
        (["01/02/2024", "13/02/2024"], ["01/02/2024", "13/02/2024"], "text"),
    ],
)
def test_cells_as_they_are_meant(tmp_path, cells, values, said):
    sentence, found = taken(tmp_path, cells)
    assert found == values
    assert said in sentence


def test_a_mark_of_missing_cells_can_be_a_category(tmp_path):
    sentence, found = taken(tmp_path, ["NA", "US"], missing=("-",))
    assert found == ["NA", "US"]
    assert "missing" not in sentence


def test_booleans_are_the_same_in_every_kind_of_file(tmp_path):
    assert taken(tmp_path, [True, False], "a.jsonl")[1] == taken(tmp_path, ["True", "False"])[1] == ["true", "false"]


def test_a_line_for_spreadsheets_names_the_delimiter(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\na;y\n" + "".join(f"{i},5;{i}\n" for i in range(30)))
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert (done.converted.rows_out, done.converted.rejects) == (30, 0)
    assert first_records(open_parquet(tmp_path / "o.parquet"), 1)[0]["input"]["fields"] == {"a": 0.5}


def test_a_first_row_of_numbers_is_a_header_where_it_names_the_target(tmp_path):
    (tmp_path / "a.csv").write_text("2019,2020\n" + "".join(f"{i},{2 * i}\n" for i in range(30)))
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="2020"))
    assert (done.converted.rows_out, done.notes[0].count("with a header")) == (30, 1)
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="column_2"))
    assert (done.converted.rows_out, done.notes[0].count("without a header")) == (31, 1)
