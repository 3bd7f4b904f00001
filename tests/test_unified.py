"""`grapheme-train unified` as a person uses it: brains, rejects, comparison, resume, both kinds of checkpoint."""

import json
import re

import numpy as np
import pytest
from runs import cli, digest, small_data, train

from grapheme_numba.errors import StoppedEarly
from grapheme_numba.runs.journal import read_rows

SMALL = ["--hidden", "32,16", "--fan-in", "12", "--epochs", "4", "--val-freq", "2", "--embedding-dim", "2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"), 80)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """A finished small run with its comparison, and what it printed."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = cli("unified", "--data", data, "--output", folder, "--compare-single", *SMALL)
    assert result.exit_code == 0, result.output
    return folder, result.stdout


def strange(folder, extra):
    """A copy of the small data with more training records."""
    small_data(folder, 40)
    with (folder / "train.jsonl").open("a") as out:
        out.writelines(json.dumps(record) + "\n" for record in extra)
    return folder


def question(name, text, domain="logic"):
    return {"id": name, "domain": domain, "input_type": "text", "input": {"text": text}, "expected_output": "no"}


def test_one_step_an_epoch_over_every_brain(trained):
    folder, printed = trained
    rows = [row for row in read_rows(folder / "metrics.jsonl") if row["kind"] == "epoch"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert set(row["domains"]) == {"math", "text", "timeseries", "vision"}
        assert sum(one["share"] for one in row["domains"].values()) == pytest.approx(1.0)
        assert all({"loss", "structural", "exact", "share", "n"} <= set(one) for one in row["domains"].values())
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert re.findall(r"48 hidden nodes \((.*) shared by all brains\)", printed) == ["9"]


def test_shared_against_alone_is_printed_and_kept(trained):
    folder, printed = trained
    compared = json.loads((folder / "compared.json").read_text())
    assert [one["brain"] for one in compared] == ["math", "text", "timeseries", "vision"]
    table = printed[printed.index("each brain trained with all others") :].splitlines()
    for line, one in zip(table[2:], compared, strict=True):
        assert line.split()[0] == one["brain"]
        assert one["ratio"] == pytest.approx(one["shared"] / one["alone"])
        lonely = read_rows(folder / "alone" / one["brain"] / "metrics.jsonl")
        last = [row for row in lonely if row["kind"] == "epoch"][-1]
        assert last["step"] == 4
        assert list(last["domains"]) == [one["brain"]]
        assert last["loss"] == one["train_alone"]


def test_the_comparison_in_json(data, tmp_path):
    result = cli(
        "unified", "--data", data, "--output", tmp_path / "run", "--compare-single", "--log-format", "json", *SMALL
    )
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["brain"] for one in objects if one["kind"] == "compared"] == ["math", "text", "timeseries", "vision"]


def test_several_seeds_are_compared_by_geometric_means(data, tmp_path):
    folder = tmp_path / "run"
    result = cli("unified", "--data", data, "--output", folder, "--compare-single", "--seeds", 2, *SMALL)
    assert result.exit_code == 0, result.output
    seeds = [json.loads((one / "compared.json").read_text()) for one in (folder, folder / "seeds" / "1")]
    found = json.loads((folder / "compared_seeds.json").read_text())
    for brain, first, second in zip(found, *seeds, strict=True):
        assert brain["brain"] == first["brain"] == second["brain"]
        both = first["ratio"], second["ratio"]
        assert brain["held_out"] == pytest.approx([(both[0] * both[1]) ** 0.5, min(both), max(both)])
    assert seeds[0] != seeds[1]
    table = result.stdout[result.stdout.index("geometric means over 2 seeds") :].splitlines()
    assert [line.split()[0] for line in table[2:]] == ["math", "text", "timeseries", "vision"]


@pytest.mark.parametrize("options", [("--seeds", 2), ("--seeds", 0, "--compare-single")])
def test_seeds_without_a_comparison_are_refused(data, tmp_path, options):
    result = cli("unified", "--data", data, "--output", tmp_path / "run", *options, *SMALL)
    assert result.exit_code == 2
    assert "--seeds" in result.stderr
    assert not (tmp_path / "run").exists()


def test_evaluate_predict_and_inspect(trained, data):
    folder, _ = trained
    scores = [
        json.loads(line) for line in cli("evaluate", folder, "--data", data, "--log-format", "json").stdout.splitlines()
    ]
    assert [one["domain"] for one in scores] == ["math", "text", "timeseries", "vision", "all"]
    asked = (data / "test.jsonl").read_text().splitlines()[:8]
    bare = [json.dumps({key: value for key, value in json.loads(line).items() if key != "domain"}) for line in asked]
    answers = [
        [json.loads(line) for line in cli("predict", folder, stdin="\n".join(lines) + "\n").stdout.splitlines()]
        for lines in (asked, bare)
    ]
    assert answers[0] == answers[1]
    assert [one["domain"] for one in answers[0]] == [json.loads(line)["domain"] for line in asked]
    seen = cli("inspect", folder).output
    assert "unified" in seen
    assert re.search(r"hidden nodes shared by all domains +9\n", seen)


def test_a_brain_changes_its_size(data, tmp_path):
    result = cli("unified", "--data", data, "--dry-run", "--brain", "text=40,64", "--max-unfit", 1, *SMALL)
    assert result.exit_code == 0, result.output
    whole = cli("unified", "--data", data, "--dry-run", *SMALL)
    assert result.output.splitlines()[-2] != whole.output.splitlines()[-2]
    (tmp_path / "brains.toml").write_text("[brain]\ntext = [40, 64]\n")
    file = cli("unified", "--data", data, "--dry-run", "--config", tmp_path / "brains.toml", "--max-unfit", 1, *SMALL)
    assert file.output.splitlines()[-2] == result.output.splitlines()[-2]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--brain", "music=3,3"], 2, "brain 'music' is requested, but the data holds only the domains"),
        (["--brain", "text=41,64"], 2, "ask for a multiple of 2"),
        (["--brain", "text"], 2, "NAME=INPUTS,OUTPUTS"),
        (["--brain", "text=40,64", "--brain", "text=42,64"], 2, "--brain text is given twice"),
        (["--threshold", "2"], 2, "threshold"),
    ],
)
def test_mistakes(data, tmp_path, flags, code, message):
    result = cli("unified", "--data", data, "--output", tmp_path / "run", *SMALL, *flags)
    assert result.exit_code == code
    assert message in result.output
    assert not (tmp_path / "run").exists()


def test_a_domain_without_a_brain(tmp_path):
    data = strange(tmp_path / "data", [question(f"odd-{i}", f"is {i} odd?") for i in range(6)])
    refused = cli("unified", "--data", data, "--output", tmp_path / "a", *SMALL)
    assert refused.exit_code == 65
    assert "no brain for domain logic: the data holds the domains logic, math" in refused.output
    skipped = cli("unified", "--data", data, "--output", tmp_path / "b", "--unknown-domain", "skip", *SMALL)
    assert skipped.exit_code == 0
    assert "6 of 46 examples of" in skipped.output
    added = cli("unified", "--data", data, "--output", tmp_path / "c", "--brain", "logic=32,1", *SMALL)
    assert added.exit_code == 0
    assert "domains logic, math" in added.output


def test_a_strange_domain_to_validate_with_is_found_before_training(tmp_path):
    data = strange(tmp_path / "data", [])
    with (data / "val.jsonl").open("a") as out:
        out.write(json.dumps(question("odd", "is 1 odd?")) + "\n")
    result = cli("unified", "--data", data, "--output", tmp_path / "run", *SMALL)
    assert result.exit_code == 65
    assert "val.jsonl holds the domains logic, math" in result.output
    assert not (tmp_path / "run").exists()


def test_routing_writes_the_refused(tmp_path):
    data = strange(tmp_path / "data", [question("a", "7"), question("b", "who is there?"), question("c", "4 * 4")])
    result = cli("unified", "--data", data, "--output", tmp_path / "run", "--route", *SMALL)
    assert result.exit_code == 0, result.output
    (refused,) = [json.loads(line) for line in (tmp_path / "run" / "rejects.jsonl").read_text().splitlines()]
    assert (refused["id"], refused["row"]) == ("a", 40)
    assert "no brain is sure enough: math 0.50, text 0.50" in refused["reason"]
    first = next(row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "epoch")
    assert first["n"] <= 42


def test_the_same_bits_for_any_threads_and_after_resume(data, tmp_path):
    config = {"hidden": (32, 16), "epochs": 4}
    for n_thread in (1, 2):
        train(data, tmp_path / f"threads{n_thread}", task="unified", threads=n_thread, **config)
    with pytest.raises(StoppedEarly, match="max-steps 2 is reached"):
        train(data, tmp_path / "resumed", task="unified", max_steps=2, **config)
    train(data, tmp_path / "resumed", task="unified", resume="auto", max_steps=None)
    digests = {digest(tmp_path / name) for name in ("threads1", "threads2", "resumed")}
    assert len(digests) == 1


def test_batches_of_any_size_give_the_same_epoch(data, tmp_path):
    weights = []
    for size in (32, 64, 256):
        run = train(data, tmp_path / str(size), task="unified", batch_size=size, epochs=1, val_freq=1)
        weights.append(run.model.parameters.copy())
    for other in weights[1:]:
        np.testing.assert_allclose(other, weights[0], rtol=0, atol=2e-6)


def test_steps_of_so_many_examples(data, tmp_path):
    run = train(data, tmp_path / "run", task="unified", accumulate="40", batch_size=16, epochs=1)
    assert run.progress.step == 2  # after 48 of 80 examples, and the rest at the end
