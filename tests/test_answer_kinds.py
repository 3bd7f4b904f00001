"""Why answers are taken for texts is said, with the option that makes classes of them, and the option works."""

import json

import numpy as np
import pandas as pd
import pytest
from runs import cli

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
