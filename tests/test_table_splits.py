"""The splits of tables: read as the training split is, left-out rows counted, what was decided said on every run."""

import json
import os

import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from grapheme_numba.cli.data import main
from grapheme_numba.data.fields import shape_of
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.data.stream.open_splits import open_splits
from grapheme_numba.errors import RecordError, UsageError

Y = TableMapping(target="y")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def table(n, **columns):
    frame = pd.DataFrame({name: [cell(i) for i in range(n)] for name, cell in columns.items()})
    return frame.to_csv(index=False)


def kinds(dataset):
    """Column -> kind, of the first example."""
    return dict(shape_of(dataset.records([0])[0].fields))


def test_val_and_test_are_read_as_train_is(tmp_path):
    words = table(200, code=lambda i: "A7" if i % 3 else i, size=lambda i: i, y=lambda i: i % 2)
    numbers = table(30, code=lambda i: i, size=lambda i: "" if i < 29 else 5, y=lambda i: i % 2)
    write(tmp_path / "train.csv", words)
    for name in ("val", "test"):
        write(tmp_path / f"{name}.csv", numbers)
    found = open_splits(str(tmp_path), mapping=Y)
    assert kinds(found.train) == kinds(found.val) == kinds(found.test)
    assert found.val.records([3])[0].categories == ["3"]
    assert {one.domain for one in (*found.train.records([0]), *found.val.records([0]))} == {tmp_path.name}


def test_a_word_where_training_had_numbers_is_left_out_and_named(tmp_path):
    write(tmp_path / "train.csv", table(100, size=lambda i: i, y=lambda i: i))
    write(tmp_path / "val.csv", table(100, size=lambda i: "big" if i > 1 else i, y=lambda i: i))
    heard = []
    found = open_splits(str(tmp_path), mapping=Y, progress=heard.append)
    assert found.val.n_rows == 2
    reason = "the first: val.csv, row 3: column size holds no finite number"
    assert (
        f"98 of 100 rows of {tmp_path / 'val.csv'} cannot be used; {reason}; they are left out (--max-unfit)" in heard
    )
    with pytest.raises(RecordError, match=r"98 of 100 rows .* more than --max-unfit 0.5 allows"):
        open_splits(str(tmp_path), mapping=Y, max_unfit=0.5)


def test_a_decimal_comma_of_train_is_one_in_val(tmp_path):
    write(tmp_path / "train.csv", "a;y\n" + "".join(f"{i},5;{i}\n" for i in range(50)))
    write(tmp_path / "val.csv", "a;y\n1.234;1\n2.345;2\n")
    found = open_splits(str(tmp_path), mapping=Y)
    assert [one.numbers for one in found.val.records([0, 1])] == [[1234.0], [2345.0]]


def test_one_column_of_words_is_of_one_kind_in_all_splits(tmp_path):
    write(tmp_path / "train.csv", table(100, city=lambda i: f"c{i % 9}", y=lambda i: i % 2))
    write(tmp_path / "val.csv", table(100, city=lambda i: f"c{i}", y=lambda i: i % 2))
    found = open_splits(str(tmp_path), mapping=Y)
    assert {one.input_type for one in (*found.train.records([0]), *found.val.records([0]))} == {"tabular"}
    write(tmp_path / "train.csv", table(100, city=lambda i: f"c{i}", y=lambda i: i % 2))
    write(tmp_path / "val.csv", table(100, city=lambda i: f"c{i % 9}", y=lambda i: i % 2))
    found = open_splits(str(tmp_path), mapping=Y)
    assert {one.input_type for one in (*found.train.records([0]), *found.val.records([0]))} == {"text"}


def test_parts_of_a_split_are_one_table(tmp_path):
    write(tmp_path / "train-00000-of-00002.csv", table(50, code=lambda i: i, y=lambda i: i))
    write(tmp_path / "train-00001-of-00002.csv", table(50, code=lambda i: f"x{i}", y=lambda i: i))
    write(tmp_path / "val.csv", table(9, code=lambda i: i, y=lambda i: i))
    found = open_splits(str(tmp_path), mapping=Y)
    assert found.train.n_rows == 100
    assert {one.input_type for one in found.train.records(range(100))} == {"text"}
    assert len({one.id for one in found.train.records(range(100))}) == 100


def test_a_split_that_lacks_a_column_is_refused(tmp_path):
    write(tmp_path / "train.csv", table(50, a=lambda i: i, b=lambda i: i, y=lambda i: i))
    write(tmp_path / "val.csv", table(50, a=lambda i: i, y=lambda i: i))
    with pytest.raises(RecordError, match=r"val.csv has no column 'b', which .*train.csv has; .* --drop"):
        open_splits(str(tmp_path), mapping=Y)


def test_folders_of_tables_are_splits(tmp_path):
    for split, n in (("train", 40), ("validation", 9)):
        for name in ("2023", "2024"):
            write(tmp_path / split / f"{name}.csv", table(n, a=lambda i: i, y=lambda i: i))
    found = open_splits(str(tmp_path), mapping=Y)
    assert (found.train.n_rows, found.val.n_rows, found.test) == (80, 18, None)
    assert {one.domain for one in found.train.records([0, 79])} == {tmp_path.name}


def test_a_column_names_the_splits(tmp_path):
    path = write(
        tmp_path / "t.csv", table(60, a=lambda i: i, fold=lambda i: ("train", "dev", "Test")[i % 3], y=lambda i: i)
    )
    for cache in (True, True, False):
        found = open_splits(str(path), mapping=Y, split="fold", cache=cache)
        assert [one.n_rows for one in (found.train, found.val, found.test)] == [20, 20, 20]
        assert [one.numbers for one in found.val.records([0, 1])] == [[1.0], [4.0]]
        assert found.sentence == f"data: {path}, split by column 'fold' into 20 train, 20 val and 20 test examples"
    write(path, table(60, a=lambda i: i, fold=lambda i: "train", y=lambda i: i))
    found = open_splits(str(path), mapping=Y, split="fold")
    assert (found.train.n_rows, found.val, found.test) == (60, None, None)
    write(path, table(60, a=lambda i: i, fold=lambda i: "val", y=lambda i: i))
    with pytest.raises(RecordError, match="column 'fold' names no row train"):
        open_splits(str(path), mapping=Y, split="fold")
    with pytest.raises(UsageError, match="no column 'folds'.*did you mean 'fold'"):
        open_splits(str(path), mapping=Y, split="folds")
    with pytest.raises(UsageError, match="a column goes with --target"):
        open_splits(str(write(tmp_path / "x.jsonl", "{}\n")), split="fold")


def test_rows_without_an_answer_are_counted_and_said_every_time(tmp_path):
    path = write(tmp_path / "t.csv", table(300, a=lambda i: i, y=lambda i: "" if i in (7, 9) else i))
    said = []
    for _ in range(2):
        heard = []
        dataset = open_dataset(path, mapping=Y, progress=heard.append, max_unfit=0.01)
        assert dataset.n_rows == 298
        said.append([one for one in heard if not one.startswith("converting")])
    assert said[0] == said[1]
    assert any("a: input, number" in one for one in said[1])
    reason = "the first: t.csv, row 8: the answer is missing (column y)"
    assert said[1][-1] == f"2 of 300 rows of {path} cannot be used; {reason}; they are left out (--max-unfit)"
    for _ in range(2):
        with pytest.raises(RecordError, match=r"2 of 300 rows .* that is more than --max-unfit 0.005 allows"):
            open_dataset(path, mapping=Y, max_unfit=0.005)


def test_a_planted_decision_is_not_believed(tmp_path):
    path = write(tmp_path / "t.csv", table(100, a=lambda i: i, y=lambda i: "" if i == 7 else i))
    open_dataset(path, mapping=Y)
    (decided,) = (tmp_path / ".grapheme_cache").glob("*.decisions")
    decided.write_bytes(decided.read_bytes().replace(b'"refused":1', b'"refused":0'))
    with pytest.raises(RecordError, match="1 of 100 rows"):
        open_dataset(path, mapping=Y, max_unfit=0.0)
    decided.unlink()
    with pytest.raises(RecordError, match="1 of 100 rows"):
        open_dataset(path, mapping=Y, max_unfit=0.0)


@pytest.mark.parametrize("header", ["", "Unnamed: 0"])
def test_the_index_of_pandas_is_no_input(tmp_path, header):
    rows = table(100, a=lambda i: i * i, y=lambda i: i // 50).splitlines()
    path = write(tmp_path / "t.csv", "\n".join([f"{header},{rows[0]}", *(f"{i},{r}" for i, r in enumerate(rows[1:]))]))
    heard = []
    dataset = open_dataset(path, mapping=Y, progress=heard.append)
    assert list(kinds(dataset)) == ["a"]
    name = header or "column_1"
    assert any(f"  {name}: left out, as it counts the rows (--input takes it), number" in one for one in heard)
    taken = open_dataset(path, mapping=TableMapping(target="y", inputs=(name, "a")))
    assert list(kinds(taken)) == [name, "a"]
    write(path, path.read_text().replace("\n99,", "\n98,"))
    assert list(kinds(open_dataset(path, mapping=Y))) == [name, "a"]


def records(n):
    given = {"domain": "d", "input_type": "sequence"}
    return "".join(
        json.dumps({"id": str(i), **given, "input": {"values": [i]}, "expected_output": "1"}) + "\n" for i in range(n)
    )


@pytest.mark.parametrize("name", ["train.jsonl", "train.csv"])
def test_a_conversion_beside_its_source_is_used_while_that_is_unchanged(tmp_path, name):
    source = write(tmp_path / name, records(20) if name.endswith("jsonl") else table(20, a=lambda i: i, y=lambda i: i))
    source.chmod(0o600)
    more = [] if name.endswith("jsonl") else ["--target", "y"]
    assert CliRunner().invoke(main, ["convert", str(source), *more]).exit_code == 0
    found = open_splits(str(tmp_path), split="none", mapping=Y)
    assert found.train.path == tmp_path / "train.parquet"
    assert (tmp_path / ".train.parquet.origin").stat().st_mode & 0o777 == 0o600
    os.utime(source, ns=(1, 1))
    with pytest.raises(UsageError, match=f"train.parquet was converted from {name}, which is not what it was then"):
        open_splits(str(tmp_path), split="none", mapping=Y)
    source.unlink()
    assert open_splits(str(tmp_path), split="none").train.n_rows == 20


def test_two_files_of_a_split_that_are_not_one_of_the_other_are_refused(tmp_path):
    write(tmp_path / "train.jsonl", records(20))
    write(tmp_path / "elsewhere" / "train.jsonl", records(30))
    done = CliRunner().invoke(
        main, ["convert", str(tmp_path / "elsewhere" / "train.jsonl"), "-o", str(tmp_path / "train.parquet")]
    )
    assert done.exit_code == 0
    with pytest.raises(UsageError, match="both claim to be the train split"):
        open_splits(str(tmp_path))


def test_problems_of_math_in_folders_of_splits(tmp_path):
    for split, n in (("train", 12), ("test", 4)):
        for kind in ("algebra", "geometry"):
            for i in range(n):
                problem = {"problem": f"{kind} {i}?", "solution": rf"so \boxed{{{i}}}", "level": "1", "type": kind}
                write(tmp_path / split / kind / f"{i}.json", json.dumps(problem))
    found = open_splits(str(tmp_path))
    assert (found.train.n_rows, found.val, found.test.n_rows) == (24, None, 8)
    assert found.train.records([0])[0].metadata is not None


@pytest.mark.parametrize("layout", ["classes", "splits"])
def test_folders_of_pictures(tmp_path, layout):
    for split in ("train", "val") if layout == "splits" else ("",):
        for kind in ("cat", "dog"):
            folder = tmp_path / split / kind
            folder.mkdir(parents=True)
            for i in range(20):
                Image.new("L", (9, 9), i * 10 + (kind == "dog")).save(folder / f"{i}.png")
    found = open_splits(str(tmp_path))
    if layout == "splits":
        assert (found.train.n_rows, found.val.n_rows) == (40, 40)
    else:
        assert found.train.n_rows + found.val.n_rows + found.test.n_rows == 40
    assert found.train.records([0])[0].expected_output in ("cat", "dog")


def inspect(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_inspect_shows_a_table_with_a_target_and_without(tmp_path):
    path = write(tmp_path / "t.csv", table(60, a=lambda i: i, b=lambda i: "x" if i else "", y=lambda i: i % 2))
    done = inspect(path)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{path}: a table of 60 rows\n  a: input, number")
    assert "name the column of the answers with --target" in done.stderr
    done = inspect(path, "--target", "y", "--samples", 0)
    assert done.exit_code == 0, done.output
    assert "t: 60 rows, tabular, 2 columns" in done.stdout
    assert "answers coded as one of 2 labels" in done.stdout
