"""`predict` on tables: what pandas reads back is the user's table with two columns more, in every format."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import runs
from runs import cli

CITIES = ("Oslo", "Rome", "Lima")


def homes(n, seed=0):
    """Rooms, area with a gap now and then, city, price."""
    rng = np.random.default_rng(seed)
    rooms, area = rng.integers(1, 8, n), np.round(rng.uniform(20, 200, n), 1)
    city = np.array(CITIES)[rng.integers(0, 3, n)]
    price = np.round(40 * rooms + 2.5 * area + 100 * (city == "Rome"), 2)
    table = pd.DataFrame({"rooms": rooms, "area": area, "city": city, "note": [f"n{i}" for i in range(n)]})
    table.loc[3::10, "area"] = np.nan
    return table.assign(price=price)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on homes.csv, with `note` left out."""
    folder = tmp_path_factory.mktemp("homes")
    homes(300).to_csv(folder / "homes.csv", index=False)
    runs.train(folder / "homes.csv", folder / "run", target="price", drop=("note",), epochs=30)
    return folder / "run"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A run whose answers are labels."""
    folder = tmp_path_factory.mktemp("kinds")
    table = homes(300).assign(kind=lambda t: np.where(t.rooms > 4, "large", "small")).drop(columns=["note", "price"])
    table.to_csv(folder / "kinds.csv", index=False)
    runs.train(folder / "kinds.csv", folder / "run", target="kind", epochs=30)
    return folder / "run"


def written(table, path):
    """The table as a file of the kind that its name says."""
    name = path.name
    if name.endswith(".parquet"):
        table.to_parquet(path, index=False)
    elif name.endswith(".arrow"):
        pyarrow.feather.write_feather(pa.Table.from_pandas(table, preserve_index=False), path, compression="lz4")
    elif name.endswith((".json", ".jsonl", ".jsonl.gz")):
        table.to_json(path, orient="records", lines=".jsonl" in name)
    elif name.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(table.to_csv(index=False).encode())
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


READERS = {
    "csv": pd.read_csv,
    "tsv": lambda path: pd.read_csv(path, sep="\t"),
    "parquet": pd.read_parquet,
    "jsonl": lambda path: pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()]),
}
NAMES = (
    "new.csv",
    "new.tsv",
    "new.parquet",
    "new.arrow",
    "new.json",
    "new.jsonl",
    "new.csv.gz",
    "new.csv.zst",
    "new.jsonl.gz",
)


def predicted(run, source, target, *more):
    done = cli("predict", run, "--input", source, "--output", target, *more)
    assert done.exit_code == 0, done.output
    return READERS[target.suffix[1:]](target)


@pytest.fixture(scope="module")
def answers(trained, tmp_path_factory):
    """The answers to 60 new homes by way of records, which is another way through the program."""
    folder = tmp_path_factory.mktemp("records")
    table = homes(60, seed=1).drop(columns=["price", "note"])
    lines = []
    for row in table.replace({np.nan: None}).to_dict("records"):
        given = {"input_type": "tabular", "domain": "homes", "id": str(len(lines) + 1), "input": {"fields": row}}
        lines.append(json.dumps(given))
    (folder / "q.jsonl").write_text("\n".join(lines))
    done = cli("predict", trained, "--input", folder / "q.jsonl")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", READERS)
def test_rows_come_back_in_order_with_all_columns(trained, answers, tmp_path, name, ending):
    table = homes(60, seed=1).drop(columns="price")
    source = written(table, tmp_path / name)
    found = predicted(trained, source, tmp_path / f"out.{ending}")
    assert list(found.columns) == [*table.columns, "answer", "confidence"]
    pd.testing.assert_frame_equal(found[table.columns], table, check_dtype=False)
    np.testing.assert_allclose(found["answer"].astype(float), [float(one["answer"]) for one in answers])
    np.testing.assert_allclose(found["confidence"], [one["confidence"] for one in answers])


def test_the_answers_are_good(trained, tmp_path):
    table = homes(60, seed=1)
    found = predicted(trained, written(table, tmp_path / "new.csv"), tmp_path / "out.csv")
    assert np.corrcoef(found["answer"], table["price"])[0, 1] > 0.9
    assert list(found["price"]) == list(table["price"])  # a target that is there is kept, and makes no difference


def test_cells_of_a_csv_stay_as_they_are_written(trained, tmp_path):
    text = 'city,rooms,zip,area,"a, b"\nOslo,3,007,NA,"x ""y"""\nRome,4,1e3,70.50,\n'
    (tmp_path / "new.csv").write_text(text)
    done = cli("predict", trained, "--input", tmp_path / "new.csv")
    lines = done.stdout.splitlines()
    assert [line.rpartition(",")[0].rpartition(",")[0] for line in lines] == text.splitlines()
    assert lines[0].endswith(",answer,confidence")


def test_decimal_commas_and_semicolons_come_back(trained, tmp_path):
    (tmp_path / "new.csv").write_text("rooms;area;city\n3;70,5;Oslo\n4;80,25;Rome\n5;90,75;Lima\n")
    (tmp_path / "plain.csv").write_text("rooms,area,city\n3,70.5,Oslo\n4,80.25,Rome\n5,90.75,Lima\n")
    found = predicted(trained, tmp_path / "new.csv", tmp_path / "out.csv")
    assert list(found.columns) == ["rooms;area;city;answer;confidence"]
    found = pd.read_csv(tmp_path / "out.csv", sep=";", decimal=",")
    other = predicted(trained, tmp_path / "plain.csv", tmp_path / "plain_out.csv")
    pd.testing.assert_frame_equal(found, other)


def test_types_of_parquet_stay(trained, tmp_path):
    table = homes(5).drop(columns="price")
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.append_column("day", pa.array(pd.date_range("2026-01-01", periods=5).date))
    arrow = arrow.append_column("size", pa.array([0.1] * 5, pa.float32()))
    arrow = arrow.append_column("tags", pa.array([["a"], [], None, ["b", "c"], ["d"]], pa.list_(pa.string())))
    pq.write_table(arrow, tmp_path / "new.parquet")
    predicted(trained, tmp_path / "new.parquet", tmp_path / "out.parquet")
    back = pq.read_table(tmp_path / "out.parquet")
    assert back.select(arrow.column_names).equals(arrow)
    assert back.schema.field("answer").type == pa.float64()
    found = predicted(trained, tmp_path / "new.parquet", tmp_path / "out.csv")
    assert list(found["day"]) == [f"2026-01-0{i}" for i in range(1, 6)]
    assert (list(found["size"]), found["tags"][3]) == ([0.1] * 5, '["b", "c"]')
    lines = predicted(trained, tmp_path / "new.parquet", tmp_path / "out.jsonl")
    assert (lines["tags"][3], lines["size"][0]) == (["b", "c"], 0.1)


def test_labels_are_strings(kinds, tmp_path):
    table = homes(60, seed=1)
    source = written(table, tmp_path / "new.csv")
    for ending in READERS:
        found = predicted(kinds, source, tmp_path / f"out.{ending}")
        right = np.where(table["rooms"] > 4, "large", "small")
        assert set(found["answer"]) == {"large", "small"}
        assert np.mean(found["answer"] == right) > 0.9
        assert found["confidence"].between(0, 1).all()


def test_a_missing_column_ends_the_command(trained, tmp_path):
    source = written(homes(5).drop(columns=["area", "city"]), tmp_path / "new.csv")
    done = cli("predict", trained, "--input", source, "--output", tmp_path / "out.csv")
    assert done.exit_code == 65
    assert f"{source} has no column 'area', 'city', which the model reads; it has rooms, note, price" in done.stderr
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("ending", READERS)
def test_rows_that_cannot_be_read_stay_in_their_place(trained, tmp_path, ending):
    lines = homes(30).drop(columns="price").astype(object).to_csv(index=False).splitlines()
    lines[3], lines[6], lines[8] = "many,70.5,Oslo,odd", "3,70.5", "3,70.5,Oslo,n,extra"
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    done = cli(
        *("predict", trained, "--input", tmp_path / "new.csv", "--output", tmp_path / f"out.{ending}"),
        *("--rejects", tmp_path / "r.jsonl"),
    )
    assert done.exit_code == 65
    assert "3 of 30 rows have no answer" in done.stderr
    found = READERS[ending](tmp_path / f"out.{ending}")
    assert list(np.flatnonzero(found["answer"].isna())) == [2, 5, 7]
    assert list(np.flatnonzero(found["confidence"].isna())) == [2, 5, 7]
    assert list(found["rooms"].astype(str))[2] == "many"
    assert (found["city"][2], found["note"][7]) == ("Oslo", "n")
    rejects = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(one["file"], one["row"]) for one in rejects] == [(str(tmp_path / "new.csv"), row) for row in (3, 6, 8)]
    assert [one["reason"] for one in rejects] == [
        "column rooms holds no finite number",
        "the row has 2 cells instead of 4",
        "the row has 5 cells instead of 4",
    ]


def test_a_line_that_is_no_json_stays_in_its_place(trained, tmp_path):
    (tmp_path / "new.jsonl").write_text(
        '{"rooms": 3, "area": 70.5, "city": "Oslo", "big": 123456789012345678901}\n'
        '{oops\n{"rooms": 4, "city": "Rome"}\n'
    )
    done = cli("predict", trained, "--input", tmp_path / "new.jsonl")
    assert done.exit_code == 65
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["answer"] is None for one in found] == [False, True, False]
    assert found[0]["big"] == 123456789012345678901
    assert found[2].keys() == {"rooms", "city", "answer", "confidence"}
    assert '"row": 2, "reason": "not JSON' in done.stderr


def test_a_column_of_the_name_keeps_it(trained, tmp_path):
    source = written(homes(5).assign(answer="mine", confidence=1), tmp_path / "new.csv")
    done = cli("predict", trained, "--input", source, "--output", tmp_path / "out.csv")
    assert "the table has a column 'answer', so the new one is called 'answer_2'" in done.stderr
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns)[-4:] == ["answer", "confidence", "answer_2", "confidence_2"]
    assert set(found["answer"]) == {"mine"}
    assert found["answer_2"].notna().all()


def test_unseen_categories_are_counted(trained, tmp_path):
    source = written(homes(9).assign(city=["Bonn", "Rome", "Cork"] * 3), tmp_path / "new.csv")
    done = cli("predict", trained, "--input", source, "--output", tmp_path / "out.csv")
    assert done.exit_code == 0
    assert (
        "column 'city': 6 cells hold categories that training did not have or had too rarely, as 'Bonn'" in done.stderr
    )
    assert "training did not have" not in cli("predict", trained, "--input", written(homes(9), source)).stderr


def test_standard_input_is_a_table_for_a_run_of_a_table(trained, tmp_path):
    text = homes(4).drop(columns="price").to_csv(index=False)
    (tmp_path / "new.csv").write_text(text)
    from_file = cli("predict", trained, "--input", tmp_path / "new.csv").stdout
    assert cli("predict", trained, stdin=text).stdout == from_file
    row = '{"rooms": 3, "area": 70.5, "city": "Oslo"}\n'
    (found,) = cli("predict", trained, stdin=row).stdout.splitlines()
    assert json.loads(found).keys() == {"rooms", "area", "city", "answer", "confidence"}
    record = f'{{"id": "a", "domain": "homes", "input_type": "tabular", "input": {{"fields": {row.strip()}}}}}'
    (found,) = cli("predict", trained, stdin=record).stdout.splitlines()
    assert json.loads(found).keys() == {"id", "domain", "answer", "confidence"}
    refused = cli("predict", trained, stdin="rooms,area\n1,2\n")
    assert "error: - has no column 'city'" in refused.stderr


@pytest.mark.parametrize("ending", READERS)
def test_records_go_to_every_format(trained, answers, tmp_path, ending):
    table = homes(60, seed=1).drop(columns="note")
    lines = [
        json.dumps(
            {
                "id": str(i + 1),
                "domain": "homes",
                "input_type": "tabular",
                "input": {"fields": {k: v for k, v in row.items() if k != "price"}},
                "expected_output": str(row["price"]),
            }
        )
        for i, row in enumerate(table.replace({np.nan: None}).to_dict("records"))
    ]
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "records.json").write_text(f"[{','.join(lines)}]")
    from grapheme_numba.data.jsonl.convert import convert

    convert([tmp_path / "records.jsonl"], tmp_path / "records.parquet")
    for name in ("records.jsonl", "records.json", "records.parquet"):
        found = predicted(trained, tmp_path / name, tmp_path / f"out.{ending}")
        assert list(found.columns) == ["id", "domain", "answer", "confidence"]
        assert list(found["id"].astype(str)) == [one["id"] for one in answers]
        np.testing.assert_allclose(found["answer"].astype(float), [float(one["answer"]) for one in answers])


def test_formats_that_are_not_written_are_refused(trained, tmp_path):
    source = written(homes(5), tmp_path / "new.csv")
    for name in ("out.csv.gz", "out.xlsx", "out.arrow"):
        done = cli("predict", trained, "--input", source, "--output", tmp_path / name)
        assert done.exit_code == 2
        assert "answers are written as .csv, .tsv, .parquet or .jsonl" in done.stderr
    done = cli("predict", trained, "--input", source, "--output", source)
    assert (done.exit_code, "is read and would be overwritten" in done.stderr) == (2, True)


def test_many_blocks_keep_their_order(trained, tmp_path, monkeypatch):
    table = homes(400, seed=2).drop(columns="price")
    source = written(table, tmp_path / "new.csv")
    whole = predicted(trained, source, tmp_path / "whole.csv")
    from grapheme_numba.data.sources.tables import blocks

    monkeypatch.setattr(blocks.text_blocks, "__defaults__", (1000,))
    assert sum(1 for _ in blocks.text_blocks(source, runs_dialect(source))) > 5
    predicted(trained, source, tmp_path / "parts.csv")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert len(whole) == 400


def runs_dialect(source):
    from grapheme_numba.data.sources.tables.mapping import TableMapping
    from grapheme_numba.data.sources.tables.readers import open_table

    return open_table(source, TableMapping()).dialect


def figures(run, data):
    done = cli("evaluate", run, "--data", data, "--log-format", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-2])


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_takes_a_table_with_a_target(trained, tmp_path, name):
    table = homes(60, seed=1)
    found = figures(trained, written(table, tmp_path / name))
    answers = predicted(trained, written(table, tmp_path / "other.csv"), tmp_path / "out.csv")["answer"]
    errors = answers - table["price"]
    assert found["n"] == 60
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert found["rmse"] == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-3)
    assert found["r2"] == pytest.approx(
        1 - np.square(errors).sum() / np.square(table["price"] - table["price"].mean()).sum(), rel=1e-3
    )


def test_evaluate_of_labels(kinds, tmp_path):
    table = homes(60, seed=1).assign(kind=lambda t: np.where(t.rooms > 4, "large", "small")).drop(columns="price")
    found = figures(kinds, written(table, tmp_path / "new.csv"))
    answers = predicted(kinds, tmp_path / "new.csv", tmp_path / "out.csv")["answer"]
    assert found["accuracy"] == pytest.approx(np.mean(answers == table["kind"]))


def test_columns_are_what_they_were_in_training(trained, tmp_path):
    """In these rows every city is a numeral, every area missing, and there is a column that training did not have."""
    table = homes(20, seed=1).assign(city="7", area=np.nan, more="x")
    found = figures(trained, written(table, tmp_path / "new.csv"))
    done = cli("predict", trained, "--input", tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert "column 'city': 20 cells hold categories" in done.stderr
    answers = pd.read_csv(tmp_path / "out.csv")["answer"]
    assert found["mae"] == pytest.approx(np.abs(answers - table["price"]).mean(), rel=1e-3)


def test_evaluate_says_which_column_is_missing(trained, tmp_path):
    done = cli("evaluate", trained, "--data", written(homes(9).drop(columns="price"), tmp_path / "new.csv"))
    assert done.exit_code == 65
    assert "has no column 'price', which holds the answers to compare with; it has rooms, area" in done.stderr
    assert "`grapheme-train predict` is what you want" in done.stderr
    done = cli("evaluate", trained, "--data", written(homes(9).drop(columns="area"), tmp_path / "new.csv"))
    assert (done.exit_code, "has no column 'area', which the model reads" in done.stderr) == (65, True)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A run on texts and labels."""
    folder = tmp_path_factory.mktemp("reviews")
    rng = np.random.default_rng(0)
    good = rng.random(300) < 0.5
    text = [f"{'fine' if one else 'awful'}, {i}" for i, one in enumerate(good)]
    pd.DataFrame({"text": text, "mood": np.where(good, "good", "bad")}).to_csv(folder / "reviews.csv", index=False)
    runs.train(folder / "reviews.csv", folder / "run", target="mood", epochs=30)
    return folder / "run"


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_answered_and_evaluated(reviews, tmp_path, name):
    table = pd.DataFrame({"id": ["a", "b", "c"], "text": ["fine, 3", "awful, 5", "fine, 7"]})
    found = predicted(reviews, written(table, tmp_path / name), tmp_path / "out.csv")
    assert list(found.columns) == ["id", "text", "answer", "confidence"]
    assert list(found["answer"]) == ["good", "bad", "good"]
    table["mood"] = ["good", "bad", "bad"]
    assert figures(reviews, written(table, tmp_path / name))["accuracy"] == pytest.approx(2 / 3)


def test_a_text_that_is_too_long_or_one_of_several_columns(reviews, tmp_path):
    table = pd.DataFrame({"text": ["fine, 3", "ab " * 250]})
    done = cli("predict", reviews, "--input", written(table, tmp_path / "new.csv"))
    assert done.exit_code == 65
    assert "input has 499 words and pairs of words, but domain 'reviews' takes at most" in done.stderr
    assert done.stdout.splitlines()[2].endswith(",,")
    done = cli("predict", reviews, "--input", written(table.assign(more=1), tmp_path / "new.csv"))
    assert (done.exit_code, "but the model reads one, of texts; leave only that one" in done.stderr) == (65, True)


@pytest.mark.parametrize("name", ["homes.jsonl", "homes.json", "homes.jsonl.gz"])
def test_rows_of_json_train_as_their_csv_does(trained, tmp_path, name):
    runs.train(written(homes(300), tmp_path / name), tmp_path / "run", target="price", drop=("note",), epochs=30)
    assert runs.digest(tmp_path / "run") == runs.digest(trained)
