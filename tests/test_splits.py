"""Which file is which split: no test file is trained on, no split claimed twice, one file cut by its inputs."""

import json
import os

import pytest
from runs import cli

from grapheme_numba.data.file_kinds import files_in
from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.sources.tables.import_table import import_tables
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.splits import find_splits, split_file, split_named
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.data.stream.open_splits import hold_out, open_splits
from grapheme_numba.errors import MissingInputError, UsageError


def lines(path, n, start=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    records = (
        {"id": f"r{i}", "domain": "d", "input_type": "text", "input": {"text": f"t {i % 700}"}, "expected_output": "x"}
        for i in range(start, start + n)
    )
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *(
            ("train.jsonl", "train"),
            ("TRAIN.CSV", "train"),
            ("train-00000-of-00003.parquet", "train"),
            ("train", "train"),
        ),
        *(("val.ndjson.gz", "val"), ("validation.parquet", "val"), ("valid.tsv", "val"), ("dev.json", "val")),
        *(("test.arrow", "test"), ("squad-test.jsonl.zst", "test"), ("my.data_validation.csv", "val")),
        *(("train_0.parquet", "train"), ("train-00000-of-00001-a09b74b3ef9c3b56.parquet", "train")),
        *(("data.csv", None), ("contest.jsonl", None), ("latest.parquet", None), ("trainer.csv", None)),
        *(("strain.jsonl", None), ("test_results_2.txt", None)),
    ],
)
def test_names(name, split):
    assert split_named(name) == split


def test_the_test_split_is_not_trained_on(tmp_path):
    for name in ("train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl", "dev.jsonl", "test.ndjson"):
        lines(tmp_path / name, 10, start=10 * len(list(tmp_path.iterdir())))
    found = open_splits(str(tmp_path))
    assert (found.train.n_rows, found.val.n_rows, found.test.n_rows) == (20, 10, 10)
    assert found.sentence == (
        f"data: train: {tmp_path / 'train-00000-of-00002.jsonl'} (2 files), val: {tmp_path / 'dev.jsonl'}, "
        f"test (not trained on): {tmp_path / 'test.ndjson'}"
    )


def test_folders_as_splits_and_the_data_folder_of_hubs(tmp_path):
    open_dataset(lines(tmp_path / "a.jsonl", 10)).close()
    for split in ("train", "validation"):
        (tmp_path / "data" / split).mkdir(parents=True)
        source = next((tmp_path / ".grapheme_cache").glob("*.parquet"))
        (tmp_path / "data" / split / "part-0.parquet").write_bytes(source.read_bytes())
    (tmp_path / "a.jsonl").unlink()
    found = find_splits(str(tmp_path))
    assert (found.train.name, found.val.name, found.test) == ("train", "validation", None)


@pytest.mark.parametrize(("one", "other"), [("train.jsonl", "train.parquet"), ("val.csv", "validation.jsonl")])
def test_two_files_of_one_split_are_refused(tmp_path, one, other):
    for name in {"train.jsonl", one, other}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match=f"{one} and {other} in .* both claim to be the {one.split('.')[0]} split"):
        find_splits(str(tmp_path))
    with pytest.raises(UsageError, match="both claim"):
        split_file(tmp_path, one.split(".")[0])


def test_a_folder_without_a_train_file(tmp_path):
    lines(tmp_path / "test.jsonl", 3)
    with pytest.raises(MissingInputError, match=r"holds no train file, only .*test.jsonl; name one train"):
        find_splits(str(tmp_path))
    with pytest.raises(MissingInputError, match="does not exist"):
        find_splits(str(tmp_path / "nowhere"))


def test_one_file_is_cut_by_its_inputs(tmp_path):
    path = lines(tmp_path / "a.jsonl", 3000)
    found = open_splits(str(path))
    parts = [{one.text for one in part.records(range(part.n_rows))} for part in (found.train, found.val, found.test)]
    assert found.train.n_rows + found.val.n_rows + found.test.n_rows == 3000
    assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
    assert 500 < len(parts[0]) < 620
    assert 30 < len(parts[1]) < 120
    assert "split by the hash of each input into" in found.sentence
    again = open_splits(str(path))
    assert (again.train.fingerprint, again.val.fingerprint) == (found.train.fingerprint, found.val.fingerprint)
    assert found.train.fingerprint == open_splits(str(path), cache=False).train.fingerprint
    whole = open_splits(str(path), split="none")
    assert (whole.train.n_rows, whole.val, whole.test) == (3000, None, None)
    other = open_splits(str(path), split="0.5,0.5")
    assert (other.test, other.train.n_rows + other.val.n_rows) == (None, 3000)
    with pytest.raises(UsageError, match="wants shares as 0.8,0.1,0.1, or none"):
        open_splits(str(path), split="column")


def test_order_and_other_rows_do_not_move_an_input(tmp_path):
    def places(name, start):
        cut = hold_out(open_dataset(lines(tmp_path / name, 400, start)), (0.8, 0.1, 0.1))
        return {one.text: i for i, part in enumerate(cut) if part for one in part.records(range(part.n_rows))}

    first, second = places("a.jsonl", 0), places("b.jsonl", 200)
    common = first.keys() & second.keys()
    assert len(common) == 200
    assert all(first[text] == second[text] for text in common)


def test_a_file_too_small_to_cut_is_whole(tmp_path):
    found = open_splits(str(lines(tmp_path / "a.jsonl", 2)))
    assert (found.train.n_rows, found.val) == (2, None)


def test_an_edited_file_is_read_anew(tmp_path):
    path = lines(tmp_path / "a.jsonl", 100)
    assert open_splits(str(path), split="none").train.n_rows == 100
    lines(path, 50)
    assert open_splits(str(path), split="none").train.n_rows == 50


def test_folders_lose_no_file(tmp_path):
    lines(tmp_path / "d" / "a.jsonl", 1)
    lines(tmp_path / "d" / "B.JSONL", 1)
    lines(tmp_path / "far" / "b.jsonl", 1)
    lines(tmp_path / "d" / ".hidden" / "c.jsonl", 1)
    lines(tmp_path / "d" / "a.rejects.jsonl", 1)
    os.symlink("../far", tmp_path / "d" / "linked")
    os.symlink("..", tmp_path / "d" / "circle")
    found = files_in(tmp_path / "d", lambda name: name.endswith(".jsonl"))
    assert [str(path.relative_to(tmp_path / "d")) for path in found] == ["B.JSONL", "a.jsonl", "circle/far/b.jsonl"]
    os.symlink("/nonexistent/c.jsonl", tmp_path / "d" / "c.jsonl")
    with pytest.raises(MissingInputError, match="c.jsonl is a link to /nonexistent/c.jsonl, which is not there"):
        files_in(tmp_path / "d", lambda name: name.endswith(".jsonl"))


def test_files_that_no_split_takes_are_named_and_so_are_parts_that_are_not_there(tmp_path):
    names = ("train-0.jsonl", "train-1.jsonl", "eval.jsonl", "notes.txt", "train (1).csv")
    for name in names:
        (tmp_path / name).write_text("{}\n")
    found = find_splits(str(tmp_path))
    assert found.sentence() == (
        f"data: train: {tmp_path / 'train-0.jsonl'} (2 files); not used: eval.jsonl, train (1).csv"
    )
    hub = tmp_path / "hub"
    hub.mkdir()
    for name in ("train-00001-of-00003.parquet", "train-00002-of-00003.parquet", "test-00000-of-00001.parquet"):
        (hub / name).write_bytes(b"")
    assert find_splits(str(hub)).sentence() == (
        f"data: train: {hub / 'train-00001-of-00003.parquet'} (2 of 3 parts; the others are not there), "
        f"test (not trained on): {hub / 'test-00000-of-00001.parquet'}"
    )
    (hub / "train-00000-of-00003.parquet").write_bytes(b"")
    assert "train-00000-of-00003.parquet (3 files), " in find_splits(str(hub)).sentence()


def test_what_is_left_out_is_said_on_a_run(tmp_path):
    rows = [{"text": f"a text {i}", "label": ["a", "b"][i % 2]} for i in range(60)]
    for name in ("train.jsonl", "eval.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = cli("agi", "--data", tmp_path, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "train.jsonl; not used: eval.jsonl, split by the hash of each input into" in done.output


@pytest.mark.parametrize(("n", "kind"), [(9, "tabular"), (30, "text")])
def test_the_only_input_of_a_small_table_is_of_words_where_its_cells_are(tmp_path, n, kind):
    lines = "".join(f"a review number {i},{('good', 'bad')[i % 2]}\n" for i in range(n))
    (tmp_path / "a.csv").write_text("review,verdict\n" + lines)
    done = import_tables([tmp_path / "a.csv"], tmp_path / "o.parquet", TableMapping(target="verdict"))
    assert done.converted.rows_out == n
    assert first_records(open_parquet(tmp_path / "o.parquet"), 1)[0]["input_type"] == kind
