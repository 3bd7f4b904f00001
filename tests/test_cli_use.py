"""evaluate, predict and inspect: what they print of a finished run, and what they refuse."""

import json
import shutil

import pytest
from runs import cli, small_data

SMALL = ["--hidden", "16", "--fan-in", "8", "--epochs", "2", "--val-freq", "1", "--batch-size", "16"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A finished small run."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = cli("agi", "--data", data, "--output", folder, *SMALL)
    assert result.exit_code == 0, result.output
    return folder


FIELDS = ["domain", "n", "mse", "mse_constant", "exact", "mae", "mae_constant"]


def test_evaluate_prints_a_table_or_json(trained, data):
    folder = trained
    result = cli("evaluate", folder, "--data", data / "test.jsonl", "--log-format", "json")
    scores = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(score)[: len(FIELDS)] for score in scores] == [FIELDS] * 5
    assert [score.get("kind") for score in scores] == ["number", "text", "number", "label", None]
    assert [score["domain"] for score in scores] == ["math", "text", "timeseries", "vision", "all"]
    assert [score["mae"] is None for score in scores] == [False, True, False, True, True]
    assert scores[-1]["n"] == 64
    table = cli("evaluate", folder, "--data", data)
    assert table.exit_code == 0
    assert "test.jsonl" in table.stdout
    assert len([line for line in table.stdout.splitlines() if " % " in line or line.endswith(" %")]) >= 5


def test_evaluate_names_what_is_missing(trained, tmp_path):
    folder = trained
    assert cli("evaluate", tmp_path / "none").exit_code == 66
    result = cli("evaluate", folder, "--data", tmp_path / "none.jsonl")
    assert result.exit_code == 66
    assert "does not exist" in result.stderr


QUESTIONS = """\
{"id": "a", "domain": "math", "input_type": "text", "input": {"text": "3 + 4"}}
{"id": "b", "input_type": "sequence", "input": {"values": [1, 2, 3]}}
{"id": "c", "input_type": "text", "input": {"text": "12 * 3"}}
"""
BAD = """\
{"id": "d", "domain": "cooking", "input_type": "text", "input": {"text": "soup"}}
not json
{"id": "e", "domain": "vision", "input_type": "text", "input": {"text": "soup"}}
{"id": "f", "domain": "timeseries", "input_type": "sequence", "input": {"values": [1,2,3,4,5,6,7,8,9,10,11,12,13]}}
"""


def test_predict_writes_one_line_per_question(trained):
    folder = trained
    result = cli("predict", folder, stdin=QUESTIONS)
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0, result.output
    assert [list(answer) for answer in answers] == [["id", "domain", "answer", "confidence"]] * 3
    assert [(answer["id"], answer["domain"]) for answer in answers] == [
        ("a", "math"),
        ("b", "timeseries"),
        ("c", "math"),
    ]
    assert all(0 <= answer["confidence"] <= 1 for answer in answers)


def test_predict_refuses_lines_by_name_and_answers_the_others(trained, tmp_path):
    folder = trained
    (tmp_path / "q.jsonl").write_text(QUESTIONS + BAD)
    result = cli(
        *("predict", folder, "--input", tmp_path / "q.jsonl"),
        *("--output", tmp_path / "a.jsonl", "--rejects", tmp_path / "r.jsonl"),
    )
    assert result.exit_code == 65
    assert "4 of 7 lines have no answer" in result.stderr
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    refusals = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [one["line"] for one in refusals] == [4, 5, 6, 7]
    for refusal, word in zip(refusals, ("'cooking'", "not JSON", "takes image", "13 values"), strict=True):
        assert word in refusal["reason"]
    assert cli("predict", folder, "--input", tmp_path / "none").exit_code == 66


def test_predict_routes_by_the_input_when_asked(trained):
    folder = trained
    wrong = '{"id": "a", "domain": "vision", "input_type": "text", "input": {"text": "7 + 8"}}\n'
    assert json.loads(cli("predict", folder, "--route", stdin=wrong).stdout)["domain"] == "math"
    unsure = cli("predict", folder, "--threshold", "1", stdin=QUESTIONS.splitlines()[2].replace("12 * 3", "what is 3"))
    assert unsure.exit_code == 65
    assert "no brain is sure enough" in unsure.stderr


def test_inspect_shows_the_checkpoint(trained):
    folder = trained
    text = cli("inspect", folder)
    assert "whole, every digest verified" in text.stdout
    facts = json.loads(cli("inspect", folder, "--log-format", "json").stdout)
    assert facts["position"]["steps"] == 8
    assert facts["config"]["hidden"] == [16]
    assert [domain["name"] for domain in facts["domains"]] == ["math", "text", "timeseries", "vision"]


def test_a_damaged_best_checkpoint_falls_back_and_says_so(trained, data, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "checkpoint_best" / "model.safetensors").write_bytes(b"x")
    result = cli("evaluate", tmp_path / "run", "--data", data)
    assert result.exit_code == 0
    assert "warning: skipped checkpoint_best" in result.stderr
    result = cli("evaluate", tmp_path / "run" / "checkpoint_best", "--data", data)
    assert result.exit_code == 65
    assert "is damaged" in result.stderr
