"""Tables of any writer: every row is an example or a reject, columns are decided whole, and pandas agrees."""

import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.sources.external import import_data
from grapheme_numba.data.sources.tables.cells import numbers_of
from grapheme_numba.data.sources.tables.import_table import import_tables
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

HOMES = "rooms,city,area,price\n3,Oslo,70.5,1000\n4,Rome,NA,2500.5\n2,Oslo,50,900\n5,Rome,120,3000\n"


def taken(path, out=None, **mapping):
    """(conversion, records) of a table."""
    out = out or Path(path).with_suffix(".out.parquet")
    done = import_tables([Path(path)], out, TableMapping(**{"target": "price", **mapping}))
    return done, first_records(open_parquet(out), 10**6)


def fields(records):
    return [one["input"]["fields"] for one in records]


def written(tmp_path, text, name="homes.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table(tmp_path):
    done, records = taken(written(tmp_path, HOMES))
    assert (done.converted.rows_in, done.converted.rows_out, done.converted.rejects) == (4, 4, 0)
    assert fields(records)[:2] == [
        {"rooms": 3, "city": "Oslo", "area": 70.5},
        {"rooms": 4, "city": "Rome", "area": None},
    ]
    assert [one["expected_output"] for one in records] == ["1000", "2500.5", "900", "3000"]
    assert [one["id"] for one in records] == [f"homes-{i}" for i in (1, 2, 3, 4)]
    assert {one["domain"] for one in records} == {"homes"}
    assert done.notes[0].endswith("homes.csv: UTF-8, cells between comma, with a header, decimal point")
    assert done.columns == [
        "  rooms: input, number, 4 of 4 cells are numerals, from 2 to 5, whole",
        "  city: input, text, 4 of 4 cells are no numerals, 2 different (Oslo, Rome)",
        "  area: input, number, 3 of 3 cells are numerals, 1 of 4 missing, from 50 to 120",
        "  price: target, number, 4 of 4 cells are numerals, from 900 to 3000",
    ]


@pytest.mark.parametrize(
    ("text", "name", "encoding"),
    [
        (HOMES, "homes.csv", "utf-8-sig"),
        (HOMES, "homes.csv", "utf-16"),
        (HOMES.replace("Oslo", "Malmö"), "homes.csv", "latin-1"),
        (HOMES.replace("Oslo", "Łódź"), "homes.csv", "utf-16-le"),
        (HOMES.replace(",", ";"), "homes.csv", "utf-8"),
        (HOMES.replace(".", "#").replace(",", ";").replace("#", ","), "homes.csv", "utf-8"),
        (HOMES.replace(",", "\t"), "homes.tsv", "utf-8"),
        (HOMES.replace(",", "|"), "homes.txt", "utf-8"),
        (HOMES.replace("\n", "\r\n"), "homes.csv", "utf-8"),
        ("# made by a program\n# version 2\n" + HOMES, "homes.csv", "utf-8"),
        (HOMES.replace("Oslo", '"Oslo"').replace("3,", '"3",'), "homes.csv", "utf-8"),
        (HOMES.replace("NA", ""), "homes.csv", "utf-8"),
        (HOMES.replace("NA", "?"), "homes.csv", "utf-8"),
        (HOMES.replace("NA", "-"), "homes.csv", "utf-8"),
        (HOMES.replace("NA", " NA "), "homes.csv", "utf-8"),
        (HOMES.replace("2500.5", "2.5005e3").replace("120", "+1.2E2"), "homes.csv", "utf-8"),
        (HOMES.removesuffix("\n"), "homes.csv", "utf-8"),
    ],
)
def test_text_of_many_kinds_says_the_same(tmp_path, text, name, encoding):
    (tmp_path / "plain").mkdir()
    _, records = taken(written(tmp_path, text, name, encoding))
    _, plain = taken(written(tmp_path / "plain", HOMES))
    city = {"Malmö": "Oslo", "Łódź": "Oslo"}
    for one in records:
        one["input"]["fields"]["city"] = city.get(one["input"]["fields"]["city"], one["input"]["fields"]["city"])
        one["expected_output"] = f"{float(one['expected_output']):g}"
    assert records == plain


@pytest.mark.parametrize("packed", [gzip.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_packed_tables(tmp_path, packed):
    ending = "gz" if packed is gzip.compress else "zst"
    (tmp_path / f"homes.csv.{ending}").write_bytes(packed(HOMES.encode()))
    assert len(taken(tmp_path / f"homes.csv.{ending}", tmp_path / "o.parquet")[1]) == 4
    pq.write_table(pa.table({"x": [1.5, 2.5], "price": [1, 2]}), tmp_path / "a.parquet")
    (tmp_path / f"b.parquet.{ending}").write_bytes(packed((tmp_path / "a.parquet").read_bytes()))
    assert fields(taken(tmp_path / f"b.parquet.{ending}", tmp_path / "p.parquet")[1]) == [{"x": 1.5}, {"x": 2.5}]


def test_no_header_and_runs_of_blanks(tmp_path):
    path = written(tmp_path, "  1.5   2.5  10\n 3.5   4.5  20\n", "housing.data")
    done, records = taken(path, target="column_3")
    assert fields(records) == [{"column_1": 1.5, "column_2": 2.5}, {"column_1": 3.5, "column_2": 4.5}]
    assert "between blanks, without a header" in done.notes[0]
    path = written(tmp_path, "a,b\n1,2\n")
    assert len(taken(path, target="column_2", header=False)[1]) == 2


def test_decisions_are_of_whole_columns_in_any_order(tmp_path):
    """One strange cell in 100,000 rows is refused and named wherever it stands; the column stays one of numbers."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=100_000).round(4).astype(str)
    y = rng.integers(0, 9, 100_000)
    digests = []
    for at in (0, 50_000, 99_999):
        cells = x.copy()
        cells[at] = "broken"
        pd.DataFrame({"x": cells, "y": y}).to_csv(tmp_path / "a.csv", index=False)
        done, _ = taken(tmp_path / "a.csv", target="y")
        assert (done.converted.rows_out, done.converted.rejects) == (99_999, 1)
        assert (done.converted.first_reject.line, done.converted.first_reject.start) == (at + 1, "broken")
        digests.append(done.columns[0].split(", rows of")[0])
    assert digests == ["  x: input, number, 99,999 of 100,000 cells are numerals"] * 3


def test_a_column_that_turns_to_text_late_is_text_everywhere(tmp_path):
    n = 60_000
    texts = [f"{i}.000001234567890123456789" for i in range(n)] + ["word"] * n
    pd.DataFrame({"x": texts, "z": range(2 * n), "y": 1}).to_csv(tmp_path / "a.csv", index=False)
    assert (tmp_path / "a.csv").stat().st_size > 2 * (1 << 20)
    done, records = taken(tmp_path / "a.csv", target="y")
    assert done.converted.rejects == 0
    assert [one["input"]["fields"]["x"] for one in records] == texts


def test_pandas_agrees(tmp_path):
    rng = np.random.default_rng(1)
    n = 20_000
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=n) * 10.0 ** rng.integers(-8, 8, n),
            "b": rng.integers(-(10**9), 10**9, n),
            "c": rng.choice(["x", "y, z", 'q"q', "line\nbreak", "ü"], n),
            "d": np.where(rng.random(n) < 0.1, np.nan, rng.random(n)),
            "y": rng.normal(size=n),
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    done, records = taken(tmp_path / "a.csv", target="y")
    again = pd.read_csv(tmp_path / "a.csv")
    assert done.converted.rejects == 0
    cells = pd.DataFrame(fields(records))
    for name in "abd":
        assert np.array_equal(cells[name].to_numpy(float), again[name].to_numpy(float), equal_nan=True)
    assert cells["c"].tolist() == again["c"].tolist()
    with open(tmp_path / "a.csv", newline="") as file:
        assert [one["expected_output"] for one in records] == [row["y"] for row in csv.DictReader(file)]


def test_rows_that_do_not_fit(tmp_path):
    rows = "".join(f"{i},{i},{i}\n" for i in range(1, 98))
    path = written(tmp_path, "x,z,y\n" + rows + "1,2\n1,2,3,4\n1,2,\n\n5,6,7\n")
    done, records = taken(path, target="y")
    assert (done.converted.rows_in, done.converted.rows_out, done.converted.rejects) == (101, 98, 3)
    refused = [json.loads(line) for line in done.converted.rejects_path.read_text().splitlines()]
    assert [(one["line"], one["reason"]) for one in refused] == [
        (98, "the row has 2 cells instead of 3"),
        (99, "the row has 4 cells instead of 3"),
        (100, "the answer is missing (column y)"),
    ]
    assert records[-1]["id"] == "homes-101"


def test_bytes_that_are_no_text_late_in_a_file(tmp_path):
    data = b"x,y\n" + b"".join(b"w%d,%d\n" % (i, i) for i in range(200_000)) + b"M\xf6,1\nlast,2\n"
    (tmp_path / "a.csv").write_bytes(data)
    done, records = taken(tmp_path / "a.csv", target="y", kinds={"x": "text"})
    assert (done.converted.rows_out, done.converted.rejects) == (200_001, 1)
    assert done.converted.first_reject.line == 200_001
    assert "name its --encoding" in done.converted.first_reject.reason
    assert len(taken(tmp_path / "a.csv", target="y", encoding="cp1252")[1]) == 200_002


@pytest.mark.parametrize(
    ("text", "mapping", "reason"),
    [
        ("a,a,y\n1,2,3\n", {}, "has two columns named 'a'; rename one"),
        ("a,b,y\n1,2,3\n", {"target": "Y"}, "has no column 'Y', only a, b, y \\(--target\\); did you mean 'y'"),
        ("a,b,y\n1,2,3\n", {"target": None}, "is a table; name the column of the answers with --target, of a, b, y"),
        ("a,b,y\n1,2,3\n", {"inputs": ("c*",)}, r"has no column 'c\*'"),
        ("a,b,y\n1,2,3\n", {"drop": ("y",)}, "'y' is both --target and --drop"),
        ("a,b,y\n1,2,3\n", {"drop": ("a", "b")}, "has no column left to be an input"),
        ("y\n1\n2\n", {}, "has no column left to be an input; it has y"),
        ("a,y\n1,2\n", {"delimiter": "ab"}, "--delimiter wants one ASCII character"),
        ("a,y\n1,2\n", {"encoding": "klingon"}, "--encoding klingon: unknown"),
        ("a,y\n1,2\n", {"split": "0.5,0.6"}, "wants two or three shares with sum 1"),
        ("a,y\n1,2\n", {"split": "0.5,0.5"}, "--split makes a folder"),
    ],
)
def test_mappings_that_cannot_be_meant(tmp_path, text, mapping, reason):
    with pytest.raises(UsageError, match=reason):
        taken(written(tmp_path, text), **{"target": "y", **mapping})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["homes.csv"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty; a row of names"),
        (b"\n\n", "holds no row"),
        (b"x,y\n", "holds no row of cells"),
        (b"x,y\n1,\n2,NA\n", "no row of .* could be used: .*row 1: the answer is missing"),
        (b"x,y\nNA,1\n?,2\n", "every input column is empty"),
        (b"\x00\x01\x02,\x00", "it holds zero bytes"),
    ],
)
def test_files_that_are_no_table(tmp_path, data, reason):
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(RecordError, match=reason):
        taken(tmp_path / "a.csv", target="y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_a_missing_file_and_a_cut_one(tmp_path):
    with pytest.raises(MissingInputError, match="does not exist"):
        taken(tmp_path / "a.csv")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(HOMES.encode())[:-12])
    with pytest.raises(RecordError, match="cannot be unpacked"):
        taken(tmp_path / "a.csv.gz", tmp_path / "o.parquet")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RecordError, match="is not Parquet"):
        taken(tmp_path / "a.parquet", tmp_path / "o.parquet")


def test_ids(tmp_path):
    _, records = taken(written(tmp_path, "id,x,y\np,1,2\nq,3,4\n"), target="y")
    assert [one["id"] for one in records] == ["p", "q"]
    assert fields(records) == [{"x": 1}, {"x": 3}]
    done, records = taken(written(tmp_path, "id,x,y\np,1,2\np,3,4\n"), target="y")
    assert [one["id"] for one in records] == ["homes-1", "homes-2"]
    assert fields(records)[0] == {"id": "p", "x": 1}
    assert "column 'id' repeats, so it is an input, and rows are numbered" in done.notes
    with pytest.raises(RecordError, match="column 'x' holds an id twice"):
        taken(written(tmp_path, "x,y,z\np,1,2\np,3,4\n"), target="y", id="x")


def test_files_of_one_name_have_ids_of_their_own(tmp_path):
    for year in ("2023", "2024"):
        (tmp_path / year).mkdir()
        written(tmp_path / year, HOMES)
    done = import_data(None, [tmp_path], tmp_path / "o.parquet", TableMapping(target="price", domain="homes"))
    ids = [one["id"] for one in first_records(open_parquet(tmp_path / "o.parquet"), 100)]
    assert done.converted.rows_out == len(set(ids)) == 8
    assert ids[0] == "homes-2023-homes-1"


def test_weight_domain_and_split_columns(tmp_path):
    text = "x,place,w,part,y\n1,a,2,train,5\n2,b,0.5,dev,6\n3,a,1,test,7\n4,a,1,what,8\n5,,1,train,9\n6,a,-1,train,1\n"
    mapping = TableMapping(target="y", domain="place", weight="w", split="part")
    done = import_tables([written(tmp_path, text)], tmp_path / "out", mapping)
    assert [path.name for path in done.converted.outputs] == ["train.parquet", "val.parquet", "test.parquet"]
    first = [first_records(open_parquet(path), 9) for path in done.converted.outputs]
    assert [[one["id"] for one in part] for part in first] == [["a-1"], ["b-2"], ["a-3"]]
    assert first[0][0]["example_weight"] == 2.0
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out.rejects.jsonl").read_text().splitlines()]
    assert reasons == [
        "column part is none of train, val and test",
        "column place is empty",
        "column w holds no weight of 0 or more",
    ]


def test_shares_keep_equal_inputs_together(tmp_path):
    rng = np.random.default_rng(2)
    pd.DataFrame({"x": rng.integers(0, 500, 5000), "c": "k", "y": 1}).to_csv(tmp_path / "a.csv", index=False)
    import_tables([tmp_path / "a.csv"], tmp_path / "out", TableMapping(target="y", split="0.8,0.1,0.1"))
    held = [
        {one["input"]["fields"]["x"] for one in first_records(open_parquet(tmp_path / "out" / f"{name}.parquet"), 9999)}
        for name in ("train", "val", "test")
    ]
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    assert [len(part) > 20 for part in held] == [True] * 3
    assert len(held[0]) > 350


def test_typed_tables(tmp_path):
    when = pd.Timestamp("2024-01-02T12:00")
    table = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int64()),
            "f": pa.array([0.1, float("nan"), 2.0], pa.float32()),
            "d": pa.array([Decimal("1.50"), Decimal("2.25"), None], pa.decimal128(8, 2)),
            "t": pa.array([when, when, None], pa.timestamp("ns")),
            "b": pa.array([True, False, None]),
            "k": pa.array(["u", "v", "u"]).dictionary_encode(),
            "raw": pa.array([b"a", b"\xff", b"c"], pa.binary()),
            "s": pa.array([{"q": 1}] * 3),
            "m": pa.array([[("q", 1)]] * 3, pa.map_(pa.string(), pa.int32())),
            "y": pa.array([0.1, 1e-05, 3.0], pa.float32()),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    feather.write_feather(table, tmp_path / "a.feather")
    with pa.OSFile(str(tmp_path / "a.arrows"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    found = []
    for name in ("a.parquet", "a.feather", "a.arrows"):
        done, records = taken(tmp_path / name, tmp_path / "o.parquet", target="y", drop=("raw",))
        found.append(records)
        assert "  s: left out, struct<q: int64>, which no input takes" in done.notes
        assert any(note.startswith("  m: left out, map<") for note in done.notes)
    assert found[0] == found[1] == found[2]
    first, second, third = fields(found[0])
    assert first == {"i": 1, "f": float(np.float32(0.1)), "d": 1.5, "t": 19724.5, "b": "true", "k": "u"}
    assert second == {"i": None, "f": None, "d": 2.25, "t": 19724.5, "b": "false", "k": "v"}
    assert third == {"i": 3, "f": 2, "d": None, "t": None, "b": None, "k": "u"}
    assert [one["expected_output"] for one in found[0]] == ["0.1", "0.00001", "3"]
    with pytest.raises(UsageError, match="column 's' is struct<q: int64>, which no input takes"):
        taken(tmp_path / "a.parquet", target="y", inputs=("s",))
    with pytest.raises(UsageError, match="the target 's' is struct"):
        taken(tmp_path / "a.parquet", target="s")


def test_rows_of_json(tmp_path):
    rows = [{"x": 1, "c": "a", "y": 0.5}, {"x": None, "c": "b", "y": 2}, {"x": 2.5, "y": 3, "c": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nnot json\n[1]\n")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    done, records = taken(tmp_path / "a.jsonl", target="y")
    assert (done.converted.rows_out, done.converted.rejects) == (3, 2)
    assert fields(records) == [{"x": 1, "c": "a"}, {"x": None, "c": "b"}, {"x": 2.5, "c": None}]
    assert taken(tmp_path / "a.json", tmp_path / "b.parquet", target="y")[1] == records


def test_wide_tables_and_many_categories(tmp_path):
    names = [f"c{i}" for i in range(5000)]
    with open(tmp_path / "wide.csv", "w") as file:
        file.write(",".join([*names, "y"]) + "\n")
        for row in range(20):
            file.write(",".join([str(row + i) for i in range(5000)] + ["1"]) + "\n")
    _, records = taken(tmp_path / "wide.csv", target="y")
    assert fields(records)[7]["c4999"] == 5006
    table = pa.table({"k": [f"k{i}" for i in range(10**6)], "x": np.arange(10**6), "y": np.ones(10**6, int)})
    pq.write_table(table, tmp_path / "many.parquet")
    done = import_tables([tmp_path / "many.parquet"], tmp_path / "m.parquet", TableMapping(target="y"))
    assert done.converted.rows_out == 10**6
    assert "more than 1,000 different" in done.columns[0]


def test_an_answer_that_is_missing_nearly_everywhere(tmp_path):
    text = "x,y\n" + "".join(f"{i},{i if i % 100 == 0 else ''}\n" for i in range(1000))
    done, records = taken(written(tmp_path, text), target="y")
    assert (done.converted.rows_out, done.converted.rejects) == (10, 990)
    assert "  y: target, number, 10 of 10 cells are numerals, 990 of 1,000 missing" in done.columns[1]


def test_words_alone_are_text_and_few_classes_a_field(tmp_path):
    text = "review,y\n" + "".join(f"this is number {i},{i % 2}\n" for i in range(100))
    _, records = taken(written(tmp_path, text), target="y")
    assert (records[0]["input_type"], records[0]["input"]) == ("text", {"text": "this is number 0"})
    _, records = taken(written(tmp_path, "c,y\na,1\nb,2\n"), target="y")
    assert fields(records) == [{"c": "a"}, {"c": "b"}]


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1e-05", 1e-5), ("+2", 2), ("- 3", -3), ("1 234", 1234), ("1,234.5", 1234.5), ("\u22125", -5), (" 7 ", 7)]
    + [(cell, None) for cell in ("0x1", "inf", "1e400", "", "12,34", "abc", "1_0", "nan")],
)
def test_numerals(cell, number):
    numbers, readable = numbers_of(pa.array([cell, "1.5x"]))
    assert readable.tolist() == [number is not None, False]
    assert number is None or numbers[0] == number


def test_rows_without_answers_for_questions(tmp_path):
    path = written(tmp_path, HOMES.replace(",price", "").replace(",1000", "").replace(",2500.5", ""))
    path.write_text("rooms,city,area\n3,Oslo,1\n")
    import_tables([path], tmp_path / "o.parquet", TableMapping(target="price"), answers=False)
    assert first_records(open_parquet(tmp_path / "o.parquet"), 1)[0]["expected_output"] is None
