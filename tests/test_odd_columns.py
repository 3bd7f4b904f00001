"""Columns that other programs are reported to misread without a word: read as meant, or said."""

import datetime
import json

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.sources.tables import readers
from grapheme_numba.data.sources.tables.import_table import import_tables
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import RecordError


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
        (["01234", "98765"], ["01234", "98765"], "10 of 20 cells look like codes, 01234 or 5E3 (--kind c=number)"),
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


def missing_numbers(tmp_path, name, mark="-999"):
    """A table whose column c holds the mark in every fifth row, as a file of this name."""
    frame = pd.DataFrame({"c": [-999.0 if i % 5 == 0 else i * 0.5 for i in range(100)], "y": range(100)})
    path = tmp_path / name
    if name.endswith(".parquet"):
        frame.to_parquet(path, index=False)
    elif name.endswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    else:
        path.write_text(
            "c,y\n" + "".join(f"{mark if c == -999 else c},{y}\n" for c, y in frame.itertuples(index=False))
        )
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
def test_a_number_that_marks_missing_cells_is_pointed_out(tmp_path, name):
    path = missing_numbers(tmp_path, name)
    done = import_tables([path], tmp_path / "o.parquet", TableMapping(target="y"))
    assert "from -999 to 49.5, -999 may mark missing cells (--missing -999)" in done.columns[0]


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a.csv", "-999"),
        ("a.csv", "-999.0"),
        ("a.csv", " -999"),
        ("a.csv", '"-999"'),
        ("a.parquet", ""),
        ("a.jsonl", ""),
    ],
)
def test_a_number_can_mark_missing_cells_however_it_is_written(tmp_path, monkeypatch, name, written, by_kernel):
    if not by_kernel:
        monkeypatch.setattr(readers, "MOST_ODD", 0)  # Arrow reads all
    path = missing_numbers(tmp_path, name, written)
    mapping = TableMapping(target="y", missing=("-999",))
    done = import_tables([path], tmp_path / "o.parquet", mapping)
    assert "20 of 100 missing, from 0.5 to 49.5" in done.columns[0]
    found = [one["input"]["fields"]["c"] for one in first_records(open_parquet(tmp_path / "o.parquet"), 6)]
    assert found == [None, 0.5, 1.0, 1.5, 2.0, None]
    done = import_tables([path], tmp_path / "p.parquet", TableMapping(target="c", inputs=("y",), missing=("-999",)))
    assert (done.converted.rows_out, done.converted.rejects) == (80, 20)


def test_numbers_join_the_usual_marks(tmp_path):
    sentence, found = taken(tmp_path, ["NA", "-999", "2"], missing=("-999",))
    assert found == [None, None, 2]
    assert "20 of 30 missing" in sentence


def test_classes_are_told_apart_by_more_than_blanks_and_named_where_only_capitals_differ(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n" + "".join(f"{i},{('Yes', 'yes', 'no ', 'no')[i % 4]}\n" for i in range(80)))
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert done.columns[1].endswith("3 different (Yes, no, yes), 'Yes' and 'yes' count as two")
    found = {one["expected_output"] for one in first_records(open_parquet(tmp_path / "o.parquet"), 80)}
    assert found == {"Yes", "yes", "no"}


@pytest.mark.parametrize("odd", [float("nan"), None, float("inf"), 1e39])
def test_lists_with_a_number_that_is_none_are_refused(tmp_path, odd):
    table = pa.table({"a": [[1.0, 2.0], [odd, 1.0], [3.0, 4.0]], "y": [1, 2, 3]})
    parquet.write_table(table, tmp_path / "a.parquet")
    done = import_tables([tmp_path / "a.parquet"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert (done.converted.rows_out, done.converted.rejects) == (2, 1)
    assert done.converted.first_reject.reason == "column a holds a list with a number that is missing or not finite"
    assert done.converted.first_reject.line == 2
    assert "  a: lists of numbers, read as a sequence" in done.notes


def test_times_are_seconds_as_inputs_and_as_answers(tmp_path):
    clock = [datetime.time(i % 24, 5) for i in range(40)]
    span = [datetime.timedelta(minutes=i) for i in range(40)]
    parquet.write_table(pa.table({"a": clock, "y": span}), tmp_path / "a.parquet")
    done = import_tables([tmp_path / "a.parquet"], tmp_path / "o.parquet", TableMapping(target="y"))
    first = first_records(open_parquet(tmp_path / "o.parquet"), 2)[1]
    assert (first["input"]["fields"], first["expected_output"]) == ({"a": 3900}, "60")
    assert "  a: time64[us], read as seconds" in done.notes
    assert "  y: duration[us], read as seconds" in done.notes


def test_a_key_that_comes_twice_in_a_row_of_json_is_no_value(tmp_path):
    rows = ['{"a": 1, "y": 2, "a": 3}', *(f'{{"a" : {i}, "y":{2 * i}, "s": "q\\":1"}}' for i in range(30))]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    done = import_tables([tmp_path / "a.jsonl"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert (done.converted.rows_out, done.converted.first_reject.line) == (30, 1)
    assert done.converted.first_reject.reason == "not JSON: the key 'a' comes twice"
    (tmp_path / "a.json").write_text(f"[{rows[0]}]")
    with pytest.raises(RecordError, match=r"a.json is not JSON: the key 'a' comes twice"):
        import_tables([tmp_path / "a.json"], tmp_path / "p.parquet", TableMapping(target="y"))


def test_names_with_commas_can_be_named(tmp_path):
    (tmp_path / "a.csv").write_text('"a,b",c,y\n' + "".join(f"{i},{i},{i}\n" for i in range(30)))
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y", inputs=("a", "b")))
    assert [line.split(":")[0].strip() for line in done.columns] == ["a,b", "y"]


def test_an_index_of_names_is_no_input(tmp_path):
    table = pd.DataFrame({"a": range(40), "y": range(40)}, index=[f"row {i}" for i in range(40)])
    table.to_parquet(tmp_path / "a.parquet")
    done = import_tables([tmp_path / "a.parquet"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert first_records(open_parquet(tmp_path / "o.parquet"), 1)[0]["input"]["fields"] == {"a": 0}
    assert any("__index_level_0__: left out, as it names the rows (--input takes it)" in line for line in done.columns)


def test_an_encoding_that_is_guessed_is_called_so(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a;y\n" + "".join(f"东京;{i}\n" for i in range(30)).encode("gb18030"))
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y"))
    assert "CP1252 (a guess: --encoding)" in done.notes[0]
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y", encoding="gb18030"))
    assert first_records(open_parquet(tmp_path / "o.parquet"), 1)[0]["input"]["fields"] == {"a": "东京"}
    assert "a guess" not in done.notes[0]
