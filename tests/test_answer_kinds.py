"""Why answers are taken for texts is said, with the option that makes classes of them, and the option works."""

import json
import types

import numpy as np
import pandas as pd
import pytest
from runs import cli

from grapheme_numba.data.codec.choice import _by_value

SMALL = ("--epochs", "3", "--hidden", "16", "--log-format", "plain")


def animals(folder, rare, n=120, val="cat"):
    """A train file in which the answers `rare` come once each, and a val file."""
    rng = np.random.default_rng(0)
    for name, more in (("train", rare), ("val", [val])):
        a, b = rng.uniform(size=(2, n))
        answers = np.where(a > b, "cat", "dog").astype(object)
        answers[: len(more)] = more
        folder.mkdir(exist_ok=True)
        pd.DataFrame({"a": a, "b": b, "animal": answers}).to_csv(folder / f"{name}.csv", index=False)
    return folder


def lines(done):
    return [line for line in done.output.splitlines() if "answers coded as" in line]


@pytest.mark.parametrize(
    ("rare", "said"),
    [
        (["emu"], "1 of 3 distinct ones comes once: 'emu'; --answer {name}=label makes a class of each"),
        (["emu", "ape"], "2 of 4 distinct ones come once: 'ape', 'emu'; --answer {name}=label makes a class of each"),
        (list("zyxwv"), "5 of 7 distinct ones come once: 'v', 'w', 'x' and 2 more; --answer {name}=label"),
        ([f"{i}th" for i in range(110)], "110 of 112 distinct ones come once: '0th', '100th', '101th' and 107 more)"),
    ],
)
def test_classes_that_come_once_are_named_with_the_option_that_makes_labels(tmp_path, rare, said):
    done = cli("agi", "--data", animals(tmp_path / "d", rare), "--target", "animal", "--dry-run")
    assert done.exit_code == 0, done.output
    (line,) = lines(done)
    assert "answers coded as text of 16 bytes (none is a number, and " + said.format(name="d") in line


def test_the_option_makes_labels_from_training_to_answers(tmp_path):
    data = animals(tmp_path / "d", ["emu"])
    run = tmp_path / "run"
    done = cli("agi", "--data", data, "--target", "animal", "--answer", "d=label", "--output", run, *SMALL)
    assert done.exit_code == 0, done.output
    assert "answers coded as one of 3 labels (as --answer d=label says)" in lines(done)[0]
    done = cli("evaluate", run, "--data", data / "val.csv", "--log-format", "json")
    scores = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [one["kind"] for one in scores if one.get("domain") == "d"] == ["label"]
    done = cli("predict", run, "--input", data / "train.csv", "--output", tmp_path / "out.csv")
    assert done.exit_code == 0, done.output
    answers = pd.read_csv(tmp_path / "out.csv")["answer"]
    assert len(answers) == 120
    assert set(answers) <= {"cat", "dog", "emu"}


def test_a_class_of_the_validation_split_alone_is_said(tmp_path):
    data = animals(tmp_path / "d", [], val="emu")
    done = cli("agi", "--data", data, "--target", "animal", "--output", tmp_path / "run", *SMALL)
    assert done.exit_code == 0, done.output
    said = "1 of 120 examples of domain 'd' do not fit (the first is 'd-1': its answer 'emu' is none of the 2 labels"
    assert said in done.output.replace("\n", " ")
    done = cli("evaluate", tmp_path / "run", "--data", data / "val.csv", "--log-format", "json")
    assert said in done.stderr
    assert "they count as wrong" in done.stderr


def mixed(folder, written, n=400):
    """A table whose answers say whether a is above b, each in several ways; and what they are."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(size=(2, n))
    above = (a > b).astype(int)
    answers = [written[one][i % len(written[one])] for i, one in enumerate(above)]
    folder.mkdir()
    for name, rows in (("train", slice(0, 300)), ("val", slice(300, None))):
        frame = pd.DataFrame({"a": a[rows], "b": b[rows], "y": answers[rows]})
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize("layout", ["csv", "records"])
def test_ways_to_write_a_number_are_one_class(tmp_path, layout):
    data = mixed(tmp_path / "d", (["0", "0.0", "0"], ["1", "1.0", "+1", "1"]))
    more = ("--target", "y")
    if layout == "records":
        for name in ("train", "val"):
            frame = pd.read_csv(data / f"{name}.csv", dtype=str)
            rows = [
                {"id": str(i), "domain": "d", "input_type": "sequence", "input": {"values": [float(a), float(b)]},
                 "expected_output": y} for i, (a, b, y) in enumerate(frame.itertuples(index=False))
            ]  # fmt: skip
            (data / f"{name}.csv").unlink()
            (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        more = ()
    done = cli(
        "agi", "--data", data, *more, "--epochs", "40", "--hidden", "16", "--output", tmp_path / "run",
        "--log-format", "plain",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "answers coded as one of 2 labels (2 whole numbers, however written, each seen" in lines(done)[0]
    val = next(data.glob("val.*"))
    done = cli("evaluate", tmp_path / "run", "--data", val, "--log-format", "json")
    assert done.exit_code == 0, done.output
    score = json.loads(done.stdout.splitlines()[0])
    assert score["n"] == 100
    assert score["exact"] > 0.9  # whatever way the answer is written in


def test_whole_numbers_that_a_double_does_not_tell_apart_are_two_classes():
    labels = ("12345678901234567891", "12345678901234567892")
    assert _by_value(summary(labels))[0].labels == labels


def test_codes_are_one_class_with_no_number():
    assert _by_value(summary(("5000", "5E3", "5e3")))[0].labels == ("5000", "5E3")


def summary(labels):
    return types.SimpleNamespace(labels=labels, label_counts=(20,) * len(labels))
