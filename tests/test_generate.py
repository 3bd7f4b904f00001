"""The generated data: right answers, disjoint splits, the same bytes for the same seed."""

import hashlib
import json
from pathlib import Path

import pytest

from grapheme_numba.data.records import parse_example
from grapheme_numba.data.sources.generator import DOMAINS, QUESTIONS, SHAPES, generate, write_splits
from grapheme_numba.errors import UsageError

SHIPPED = Path(__file__).parent.parent / "data" / "mixed_agi"


def inputs(samples, split, seed=0):
    """(domain, input) of every generated example."""
    return {(one["domain"], json.dumps(one["input"])) for one in generate(samples, split, seed)}


def test_records_are_mixed_examples_and_answers_are_right():
    asked = dict(QUESTIONS["val"])
    seen = set()
    for one in generate(100, "val", seed=3):
        parse_example(json.dumps(one).encode())
        seen.add(one["domain"])
        if one["domain"] == "math":
            left, operator, right = one["input"]["text"].split()
            values = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}
            assert int(one["expected_output"]) == values[operator]
        elif one["domain"] == "text":
            assert asked[one["input"]["text"]] == one["expected_output"]
        elif one["domain"] == "vision":
            assert one["expected_output"] in SHAPES
            assert len(one["input"]["pixels"]) == 64
        elif one["metadata"]["pattern"] == "arithmetic":
            values = one["input"]["values"]
            assert int(one["expected_output"]) == 2 * values[-1] - values[-2]
    assert seen == set(DOMAINS)


@pytest.mark.parametrize("seed", [0, 1])
def test_splits_share_no_input(seed):
    train, val, test = (inputs(200, split, seed) for split in ("train", "val", "test"))
    assert not train & val
    assert not train & test
    assert not val & test
    assert not inputs(200, "train", seed + 1) & (val | test)  # also across seeds


def test_questions_are_few_short_and_unambiguous():
    asked = [question for split in QUESTIONS.values() for question, _ in split]
    assert len(asked) == len(set(asked)) == 6 * 42
    assert all(0 < len(answer.encode()) <= 16 for split in QUESTIONS.values() for _, answer in split)
    assert max(map(len, asked)) <= 55


def test_every_split_asks_for_every_fact_in_words_of_its_own():
    facts = {split: {answer for _, answer in asked} for split, asked in QUESTIONS.items()}
    assert facts["train"] == facts["val"] == facts["test"]
    shipped = {}
    for split in ("train", "val", "test"):
        records = map(json.loads, (SHIPPED / f"{split}.jsonl").read_text().splitlines())
        shipped[split] = {one["input"]["text"] for one in records if one["domain"] == "text"}
        assert shipped[split] == {question for question, _ in QUESTIONS[split]}
    assert not shipped["train"] & (shipped["val"] | shipped["test"])
    assert not shipped["val"] & shipped["test"]


def test_example_i_does_not_depend_on_the_number_of_samples():
    few, many = list(generate(5, "train", 7)), list(generate(9, "train", 7))
    assert many[: len(few)] == few
    assert list(generate(5, "train", 8)) != few


def test_write_splits(tmp_path):
    assert write_splits(tmp_path / "new", 20, domains=("math", "vision")) == {"train": 32, "val": 4, "test": 4}
    lines = (tmp_path / "new" / "train.jsonl").read_text().splitlines()
    assert [json.loads(line)["domain"] for line in lines[:3]] == ["math", "vision", "math"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["test.jsonl", "train.jsonl", "val.jsonl"]


def test_the_shipped_data_is_what_the_generator_writes(tmp_path):
    write_splits(tmp_path, 1000, 0)
    for split in ("train", "val", "test"):
        made, shipped = ((folder / f"{split}.jsonl").read_bytes() for folder in (tmp_path, SHIPPED))
        assert hashlib.sha256(made).hexdigest() == hashlib.sha256(shipped).hexdigest()


def test_files_that_are_there_are_not_replaced(tmp_path):
    write_splits(tmp_path, 10)
    (tmp_path / "train.jsonl").unlink()
    (tmp_path / "test.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=r"val.jsonl is there already; .* --overwrite"):
        write_splits(tmp_path, 10)
    assert not (tmp_path / "train.jsonl").exists()
    assert (tmp_path / "test.jsonl").read_text() == "mine"
    write_splits(tmp_path, 10, overwrite=True)
    assert (tmp_path / "test.jsonl").read_text() != "mine"
