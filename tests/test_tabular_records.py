"""Tabular records: parsed, refused with a reason, stored in version 2 of the format, and given back equal."""

import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grapheme_numba.data.fields import Field, cells_of, shape_of, shape_text, stored
from grapheme_numba.data.jsonl.convert import convert, export, validate
from grapheme_numba.data.parquet.files import ParquetSink, ParquetSource
from grapheme_numba.data.parquet.row_groups import row_groups
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import SCHEMA, TABULAR_SCHEMA, to_arrow, to_plain
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import RecordError

CELLS = {"rooms": 3, "city": "Oslo", "garden": True, "area": None, "share": 0.1, "floor": -0.0, "note": ""}


def record(cells=CELLS, **more):
    given = {"id": "a", "domain": "homes", "input_type": "tabular", "input": {"fields": cells}}
    return {**given, "expected_output": "1", **more}


def text_record(i):
    return {
        "id": f"t{i}",
        "domain": "words",
        "input_type": "text",
        "input": {"text": f"t {i}"},
        "expected_output": "x",
    }


def parsed(one):
    return parse_example(json.dumps(one).encode())


def lines(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.mark.parametrize(
    "cells",
    [
        CELLS,
        {"big": 12345678901234567891, "b": 2**53 + 1, "c": 1},
        {"": 1, "ä\n": "ö", '"': False},
        {str(i): i / 7 for i in range(5000)},
        {"e": 1e300, "f": 5e-324},
    ],
)
def test_a_record_comes_back_equal(cells):
    again = to_plain(parsed(record(cells, note={"kept": 1})))
    assert again == record(cells, note={"kept": 1})
    kinds = {name: type(cell) for name, cell in cells.items() if type(cell) in (bool, str)}
    assert {name: type(again["input"]["fields"][name]) for name in kinds} == kinds
    assert list(again["input"]["fields"]) == list(cells)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "input.fields is missing"),
        ({"fields": [1]}, "input.fields must be an object, got a list"),
        ({"fields": {}}, "input.fields is empty; at least one field is needed"),
        ({"fields": {"a": [1]}}, "input.fields.a must be a number, a string, true, false or null, got a list"),
        ({"fields": {"a": {"b": 1}}}, "input.fields.a must be a number"),
        ({"fields": {"a": 10**400}}, "input.fields.a is beyond the range of a double: 1000"),
        ({"fields": {"a": "\ud800"}}, "input.fields.a holds a lone surrogate"),
        ({"fields": {"\ud800": 1}}, "a name in input.fields holds a lone surrogate"),
    ],
)
def test_what_is_refused(given, reason):
    with pytest.raises(RecordError, match=reason):
        parsed({**record(), "input": given})


def test_a_name_that_comes_twice_is_refused():
    line = json.dumps(record({"a": 1})).replace('"a": 1', '"a": 1, "a": 2')
    with pytest.raises(RecordError, match="key 'a' comes twice"):
        parse_example(line.encode())


def test_shapes_and_cells():
    row = stored(CELLS)
    assert json.loads(row.fields) == ["nrooms", "scity", "bgarden", "narea", "nshare", "nfloor", "snote"]
    assert cells_of(row) == CELLS
    assert shape_of(shape_text([Field("x", "n"), Field("y", "s")])) == (("x", "n"), ("y", "s"))
    with pytest.raises(ValueError, match="is not a shape"):
        shape_of('["zwrong"]')


def test_convert_validate_export(tmp_path):
    records = [record({"i": i, "c": None if i % 3 else f"c{i}"}, id=f"r{i}") for i in range(2000)]
    source = lines(tmp_path / "a.jsonl", records)
    done = convert(source, tmp_path / "a.parquet")
    assert (done.rows_out, done.rejects) == (2000, 0)
    assert pq.ParquetFile(tmp_path / "a.parquet").schema_arrow.equals(TABULAR_SCHEMA)
    assert validate([tmp_path / "a.parquet"])[:2] == (2000, 0)
    export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()] == records


@pytest.mark.parametrize("first", [True, False])
def test_tabular_rows_among_others(tmp_path, monkeypatch, first):
    monkeypatch.setattr("grapheme_numba.data.parquet.row_groups.GROUP_ROWS", 64)
    texts, rows = [text_record(i) for i in range(150)], [record(id=f"r{i}") for i in range(150)]
    records = rows + texts if first else texts + rows
    convert(lines(tmp_path / "a.jsonl", records), tmp_path / "a.parquet")
    export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()] == records
    dataset = open_parquet(tmp_path / "a.parquet")
    assert dataset.n_rows == 300
    assert not [name for name in tmp_path.iterdir() if name.name.endswith(".tmp")]


def test_files_without_tabular_rows_keep_version_1(tmp_path):
    convert(lines(tmp_path / "a.jsonl", [text_record(i) for i in range(10)]), tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.schema_arrow.equals(SCHEMA)
    assert file.metadata.metadata[b"grapheme_numba.schema"] == b"1"
    assert hashlib.sha256((tmp_path / "a.parquet").read_bytes()).hexdigest() == VERSION_1


VERSION_1 = "c74e4240dd885f86081626ec615e47a74a06eb48769bc33d05fe294132352b35"


def test_shapes_of_their_own_count_where_groups_are_cut():
    """A thousand rows of 200 kB of names each do not make one row group of 200 MB."""
    names = "x" * 200_000
    batch = to_arrow([parsed(record({f"{names}{i}": 1}, id=str(i))) for i in range(200)])
    groups = list(row_groups([batch]))
    assert len(groups) > 1
    assert sum(group.num_rows for group in groups) == 200
    same = to_arrow([parsed(record({names: 1}, id=str(i))) for i in range(200)])
    assert len(list(row_groups([same]))) == 1


def test_cuts_do_not_depend_on_batches(tmp_path):
    examples = [parsed(record({f"f{i % 7}": i, "c": "y" * (i % 50)}, id=str(i))) for i in range(3000)]
    digests = set()
    for size in (3000, 100, 7):
        batches = [to_arrow(examples[i : i + size]) for i in range(0, 3000, size)]
        with ParquetSink(tmp_path / f"{size}.parquet") as sink:
            for group in row_groups(batches):
                sink.write(group)
        digests.add(ParquetSource(tmp_path / f"{size}.parquet").digest)
    assert len(digests) == 1


def test_the_cells_of_a_group_are_two_arrays(tmp_path):
    examples = [parsed(record({"a": i, "b": f"c{i % 3}"}, id=str(i))) for i in range(50)]
    with ParquetSink(tmp_path / "a.parquet") as sink:
        sink.write(next(row_groups([to_arrow(examples)])))
    table = ParquetSource(tmp_path / "a.parquet").read(0, ["fields", "numbers", "categories"])
    assert pa.types.is_dictionary(table.schema.field("fields").type)
    assert len(table.column("fields").chunk(0).dictionary) == 1
    assert table.column("numbers").chunk(0).values.to_numpy().tolist() == [float(i) for i in range(50)]
