"""Dates in tables: days since 1970 whatever the file's format, and what is none is refused as numbers are."""

import datetime
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
import runs
from runs import cli

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.sources.tables.cells import date_text, days_of
from grapheme_numba.data.sources.tables.import_table import import_tables
from grapheme_numba.data.sources.tables.mapping import TableMapping, kinds_of
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import UsageError

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
ODD = [
    *("2024-03-01", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "1969-12-31", "0001-01-01", "9999-12-31"),
    *("2024-13-01", "2024-00-10", "2024-01-00", "2024-04-31", "2024-3-1", "20240301", "2024-03", "2024-03-01T"),
    *("2024-03-01 12:30:00", "2024-03-01T12:30", "2024-03-01T12:30:15.25", "2024-03-01 24:00", "2024-03-01 12:60"),
    *("2024-03-01T12:30:00Z", "2024-03-01T00:30:00+02:00", "2024-03-01T23:30:00-0130", "2024-03-01 12:30:61"),
    *("2024-03-01T12", "2024-W09-5", "12:30:00", "01/03/2024", "2024/03/01", "2024-03-01x", "x2024-03-01", "", "NA"),
    *("２024-03-01", "2024−03−01", "-024-03-01", "2024-03-01 12:30:00 Z", "  2024-03-01 ", "2024-03-01T12:30:00+25:00"),
]


def by_python(text):
    """Days since 1970 as the standard library reads a date; None for what is none, or none that we mean to read."""
    text = text.strip().replace(" Z", "Z")
    if len(text) < 10 or not text.isascii() or text[4:8:3] != "--":
        return None
    if 10 < len(text) < 16 or text[10:11] not in ("", "T", " "):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    return (moment - EPOCH) / datetime.timedelta(days=1)


def agree(cells):
    days, readable = days_of(pa.array(cells, pa.string()))
    expected = [None if cell is None else by_python(cell) for cell in cells]
    assert readable.tolist() == [one is not None for one in expected]
    np.testing.assert_allclose(days[readable], [one for one in expected if one is not None], rtol=0, atol=1e-9)
    assert np.isnan(days[~readable]).all()


def test_dates_are_read_as_the_standard_library_reads_them():
    agree([*ODD, None])
    rng = np.random.default_rng(0)
    seconds = rng.integers(-60_000_000_000, 250_000_000_000, 2000).tolist()
    moments = [EPOCH + datetime.timedelta(seconds=one) for one in seconds]
    ways = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+05:30"]
    agree([one.strftime(ways[i % 5]).rjust(10, "0") for i, one in enumerate(moments) if one.year >= 1000])


def test_mutated_dates_are_read_as_the_standard_library_reads_them():
    rng = np.random.default_rng(1)
    letters = list("0123456789-: TZ+x")
    cells = []
    for _ in range(3000):
        cell = list("2024-02-28 23:59:59"[: rng.choice([10, 16, 19])])
        for place in rng.integers(0, len(cell), 2):
            cell[place] = letters[rng.integers(len(letters))]
        cells.append("".join(cell))
    agree(cells)


def test_days_as_text():
    assert [date_text(days) for days in (0.0, 19783.0, 19783.5, -1.0)] == [
        *("1970-01-01", "2024-03-01", "2024-03-01 12:00:00", "1969-12-31"),
    ]
    assert date_text(1e300) == "1e+300"


DAYS = ["2024-03-01", "2024-03-05", None, "2023-12-31"] * 10
TIMES = ["2024-03-01 12:30:00", None, "2024-03-05T06:00:00", "2023-12-31 00:00:00"] * 10


def written(path):
    """The same table as a file of the kind that its name says, with the types that the kind has."""
    answers = [float(i) for i in range(len(DAYS))]
    if path.suffix in (".csv", ".tsv"):
        sign = "\t" if path.suffix == ".tsv" else ","
        rows = [sign.join((day or "", time or "", str(y))) for day, time, y in zip(DAYS, TIMES, answers)]
        path.write_text("\n".join([sign.join(("day", "time", "y")), *rows]) + "\n")
    elif path.suffix in (".jsonl", ".json"):
        rows = [json.dumps({"day": day, "time": time, "y": y}) for day, time, y in zip(DAYS, TIMES, answers)]
        path.write_text("\n".join(rows) if path.suffix == ".jsonl" else f"[{','.join(rows)}]")
    else:
        day, time = pa.array(DAYS), pa.array([one and one.replace("T", " ") for one in TIMES])
        if "typed" in path.name:
            day, time = day.cast(pa.date32()), time.cast(pa.timestamp("s"))
        table = pa.table({"day": day, "time": time, "y": answers})
        pq.write_table(table, path) if path.suffix == ".parquet" else feather.write_feather(table, path, "lz4")
    return path


NAMES = ("a.csv", "a.tsv", "a.jsonl", "a.json", "typed.parquet", "text.parquet", "typed.arrow", "text.feather")


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_dates_is_days_in_every_kind_of_file(tmp_path, name):
    done = import_tables([written(tmp_path / name)], tmp_path / "o.parquet", TableMapping(target="y"))
    assert done.converted.rejects == 0
    first = [one["input"]["fields"] for one in first_records(open_parquet(tmp_path / "o.parquet"), 4)]
    assert first == [
        *({"day": 19783, "time": 19783 + 12.5 / 24}, {"day": 19787, "time": None}),
        *({"day": None, "time": 19787.25}, {"day": 19722, "time": 19722}),
    ]
    how = "as its type says" if "typed" in name else "30 of 30 cells are dates"
    assert done.columns[0] == (
        f"  day: input, date, {how}, 10 of 40 missing, from 2023-12-31 to 2024-03-05, as days since 1970-01-01 "
        "(--kind day=text)"
    )
    (domain,) = open_parquet(tmp_path / "o.parquet").summary().domains
    assert [(field.name, field.date) for field in domain.fields] == [("day", True), ("time", True)]


def test_a_few_cells_that_are_no_dates_are_refused_and_many_make_a_text(tmp_path):
    def read(odd, **kinds):
        rows = [f"2024-03-{1 + i % 28:02d},{i}" for i in range(80)]
        rows[: len(odd)] = [f"{cell},{i}" for i, cell in enumerate(odd)]
        (tmp_path / "a.csv").write_text("day,y\n" + "\n".join(rows) + "\n")
        return import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="y", kinds=kinds))

    done = read(["2024-02-30", "NA", "17"])
    assert (done.converted.rows_out, done.converted.rejects) == (78, 2)
    assert done.converted.first_reject.line == 1
    assert done.converted.first_reject.reason == "column day holds no date"
    assert "77 of 79 cells are dates, rows of the others are refused, as row 1: '2024-02-30'" in done.columns[0]
    assert "text" in read(["soon"] * 6).columns[0]
    assert read(["soon"] * 6, day="date").converted.rejects == 6
    assert "input, text, as --kind or the run says" in read([], day="text").columns[0]
    with pytest.raises(UsageError, match="--kind day=year: wants COLUMN=number, COLUMN=date or COLUMN=text"):
        kinds_of(["day=year"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a Parquet file with a column of dates."""
    folder = tmp_path_factory.mktemp("dates")
    days = np.arange(200)
    table = pa.table({"day": pa.array(19000 + days, pa.int32()).cast(pa.date32()), "y": days * 1.37 + 0.25})
    pq.write_table(table, folder / "a.parquet")
    runs.train(folder / "a.parquet", folder / "run", target="y", epochs=20)
    return folder / "run"


def test_a_model_of_dates_answers_dates_of_every_kind_of_file(trained, tmp_path):
    rows = ["2022-01-09", "2022-05-01 00:00:00", "2022-05-01T00:00Z", ""]
    (tmp_path / "a.csv").write_text("day,z\n" + "".join(f"{row},1\n" for row in rows))
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"day": row or None}) + "\n" for row in rows))
    typed = pa.array([row[:10] or None for row in rows]).cast(pa.date32())
    pq.write_table(pa.table({"day": typed}), tmp_path / "a.parquet")
    found = []
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        done = cli("predict", trained, "--input", tmp_path / name, "--output", tmp_path / "out.jsonl")
        assert done.exit_code == 0, done.output
        found.append([json.loads(line)["answer"] for line in (tmp_path / "out.jsonl").read_text().splitlines()])
    assert found[0] == found[1] == found[2]
    assert found[0][1] == found[0][2]
    assert found[0][0] != found[0][1]


def test_a_model_of_dates_refuses_what_is_none(trained, tmp_path):
    (tmp_path / "a.csv").write_text("day\n2022-01-09\nyesterday\n19000\n")
    done = cli("predict", trained, "--input", tmp_path / "a.csv", "--output", tmp_path / "out.csv")
    assert done.exit_code == 65
    assert '"row": 2, "reason": "column day holds no date"' in done.stderr
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4


def test_a_date_as_the_answer_is_a_number_of_days(tmp_path):
    rows = "".join(f"{i},{datetime.date.fromordinal(738000 + i)}\n" for i in range(40))
    (tmp_path / "a.csv").write_text("x,day\n" + rows)
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="day"))
    answers = [one["expected_output"] for one in first_records(open_parquet(tmp_path / "o.parquet"), 2)]
    assert answers == [str(738000 - datetime.date(1970, 1, 1).toordinal() + i) for i in (0, 1)]
    assert "target, date, 40 of 40 cells are dates" in done.columns[1]
    assert "answers are days since 1970-01-01 (--kind day=text)" in done.columns[1]
    as_text = TableMapping(target="day", kinds={"day": "text"})
    kept = import_tables([tmp_path / "a.csv"], tmp_path / "t.parquet", as_text)
    assert kept.converted.rejects == 0
    assert first_records(open_parquet(tmp_path / "t.parquet"), 1)[0]["expected_output"] == "2021-07-29"
