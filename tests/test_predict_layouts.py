"""`predict` and `evaluate` on rows of the layouts that people have, with answers and without, in every format."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import runs
from PIL import Image
from runs import cli

import grapheme_numba as gn

WORDS = ("good", "bad")


def text_of(i):
    return f"a {WORDS[i % 2]} film {i % 9}"


QUESTIONS = {
    "text-label": lambda i: {"text": text_of(i)},
    "chat": lambda i: {"messages": [{"role": "user", "content": text_of(i)}]},
    "conversations": lambda i: {"conversations": [{"from": "human", "value": text_of(i)}]},
    "alpaca": lambda i: {"instruction": text_of(i), "input": "" if i % 3 else "be brief"},
    "completion": lambda i: {"prompt": text_of(i)},
    "gsm8k": lambda i: {"question": text_of(i)},
    "squad": lambda i: {"question": text_of(i), "context": "c"},
    "math": lambda i: {"problem": text_of(i)},
}


def answered(layout, i):
    """The row with its answer."""
    row, answer = QUESTIONS[layout](i), WORDS[i % 2]
    if layout in ("chat", "conversations"):
        key, (role, content) = (
            ("messages", ("role", "content")) if layout == "chat" else ("conversations", ("from", "value"))
        )
        return {key: [*row[key], {role: "assistant", content: answer}]}
    more = {
        "text-label": {"label": answer},
        "alpaca": {"output": answer},
        "completion": {"completion": answer},
        "gsm8k": {"answer": f"thus #### {answer}"},
        "squad": {"answers": {"text": [answer], "answer_start": [0]}},
        "math": {"solution": rf"\boxed{{{answer}}}"},
    }
    return {**row, **more[layout]}


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("layout", QUESTIONS)
def test_rows_with_an_answer_and_without(tmp_path, layout):
    data = lines(tmp_path / "d.jsonl", [answered(layout, i) for i in range(60)])
    runs.train(data, tmp_path / "run", split="none", epochs=2)
    model, answers = gn.load(tmp_path / "run"), []
    for given in (answered, lambda layout, i: QUESTIONS[layout](i)):
        rows = [given(layout, i) for i in range(8)]
        asked = lines(tmp_path / "q.jsonl", rows)
        done = cli("predict", tmp_path / "run", "--input", asked)
        assert done.exit_code == 0, done.output
        found = [json.loads(line) for line in done.stdout.splitlines()]
        for one, row in zip(found, rows, strict=True):
            answer = "answer_2" if layout == "gsm8k" and "answer" in row else "answer"
            assert one == {**row, answer: one[answer], "confidence": one["confidence"]}
            assert one[answer] in WORDS
        answers.append([one.answer for one in model.predict(asked)])
        assert f"rows read as the layout {'chat' if layout == 'conversations' else layout}" in done.stderr
    assert answers[0] == answers[1]  # of the labelled rows only the question is looked at
    done = cli("evaluate", tmp_path / "run", "--data", data)
    assert done.exit_code == 0, done.output


def test_a_csv_and_a_parquet_of_questions(tmp_path):
    rows = [answered("text-label", i) for i in range(60)]
    runs.train(lines(tmp_path / "d.jsonl", rows), tmp_path / "run", split="none", epochs=2)
    table = pd.DataFrame({"text": [text_of(i) for i in range(5)], "n": range(5)})
    table.to_csv(tmp_path / "q.csv", index=False)
    table.to_parquet(tmp_path / "q.parquet")
    found = []
    for name in ("q.csv", "q.parquet"):
        done = cli("predict", tmp_path / "run", "--input", tmp_path / name, "--output", tmp_path / "a.csv")
        assert done.exit_code == 0, done.output
        found.append(pd.read_csv(tmp_path / "a.csv"))
        pd.testing.assert_frame_equal(found[-1][["text", "n"]], table)
    pd.testing.assert_frame_equal(*found)


def test_rows_that_are_none_are_refused_in_their_places(tmp_path):
    rows = [answered("text-label", i) for i in range(60)]
    runs.train(lines(tmp_path / "d.jsonl", rows), tmp_path / "run", split="none", epochs=2)
    asked = lines(tmp_path / "q.jsonl", [{"text": "a good film"}, {"text": None}, 3, {"text": "ab " * 400}])
    done = cli("predict", tmp_path / "run", "--input", asked, "--rejects", tmp_path / "r.jsonl")
    assert done.exit_code == 65
    assert [json.loads(line).get("answer") is None for line in done.stdout.splitlines()] == [False, True, True, True]
    reasons = [(one["row"], one["reason"]) for one in map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())]
    assert reasons[0] == (2, "field text is missing or not a string")
    assert reasons[1] == (3, "the row is not a JSON object")
    assert reasons[2][0] == 4
    assert "input has 799 words and pairs of words" in reasons[2][1]


def test_pictures_in_parquet(tmp_path):
    rows = []
    for kind in ("cat", "dog"):
        (tmp_path / "pictures" / kind).mkdir(parents=True)
        for i in range(20):
            path = tmp_path / "pictures" / kind / f"{i}.png"
            Image.new("L", (9, 9), i * 10 + (kind == "dog")).save(path)
            rows.append({"image": {"bytes": path.read_bytes(), "path": None}, "label": kind})
    runs.train(tmp_path / "pictures", tmp_path / "run", epochs=2)
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:40]
    pd.DataFrame(rows).to_parquet(tmp_path / "q.parquet")
    pd.DataFrame(rows).drop(columns="label").to_parquet(tmp_path / "n.parquet")
    for name in ("q", "n"):
        done = cli(
            "predict", tmp_path / "run", "--input", tmp_path / f"{name}.parquet", "--output", tmp_path / "a.parquet"
        )
        assert done.exit_code == 65
        assert "resized to 28 x 28, grey" in done.stderr
        assert "the picture cannot be read" in done.stderr
        found = pd.read_parquet(tmp_path / "a.parquet")
        assert found.answer.isna().tolist() == [i == 3 for i in range(40)]
        assert set(found.answer.dropna()) <= {"cat", "dog"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layout", ["chat", "gsm8k", "text-label"])
def test_rows_of_a_layout_on_standard_input(tmp_path, layout, packed):
    data = lines(tmp_path / "d.jsonl", [answered(layout, i) for i in range(60)])
    runs.train(data, tmp_path / "run", split="none", epochs=2)
    questions = lines(tmp_path / "q.jsonl", [QUESTIONS[layout](i) for i in range(7)])
    given = gzip.compress(questions.read_bytes()) if packed else questions.read_bytes()
    piped = cli("predict", tmp_path / "run", "--input", "-", stdin=given)
    assert piped.exit_code == 0, piped.output
    assert piped.stdout == cli("predict", tmp_path / "run", "--input", questions).stdout
    assert len(piped.stdout.splitlines()) == 7


def pictures(folder, n=12):
    """Dark and light pictures, a folder a class."""
    rng = np.random.default_rng(0)
    for name, shade in (("dark", 0), ("light", 150)):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            pixels = (rng.integers(0, 90, (9, 9)) + shade).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")
    return folder


@pytest.mark.parametrize(("size", "n_input"), [("8", 64), ("6x4", 24), ("5,rgb", 75), (None, 784)])
def test_a_folder_of_pictures_from_training_to_answers(tmp_path, size, n_input):
    folder, run = pictures(tmp_path / "d"), tmp_path / "run"
    more = () if size is None else ("--image-size", size)
    done = cli("agi", "--data", folder, "--output", run, "--hidden", "8", "--epochs", "4", "--split", "none", *more)
    assert done.exit_code == 0, done.output
    assert f"network: {n_input} inputs" in done.output
    (folder / "dark" / "cut.png").write_bytes((folder / "dark" / "00.png").read_bytes()[:40])
    done = cli("predict", run, "--input", folder, "--output", tmp_path / "out.jsonl")
    assert done.exit_code == 65, done.output
    assert "dark/cut.png: the picture cannot be read: it is of no known format; is it damaged or cut?" in done.stderr
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["id"] for one in found] == [f"{name}/{i:02d}.png" for name in ("dark", "light") for i in range(12)]
    assert {one["answer"] for one in found} <= {"dark", "light"}
    one = cli("predict", run, "--input", folder / "light" / "03.png")
    assert json.loads(one.stdout)["answer"] == found[15]["answer"]
    model = gn.load(run)
    assert [each.answer for each in model.predict(folder / "light" / "03.png")] == [found[15]["answer"]]
    (folder / "dark" / "cut.png").unlink()
    assert [each.answer for each in model.predict(folder)] == [each["answer"] for each in found]
    done = cli("evaluate", run, "--data", folder, "--log-format", "json")
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == [24, 24]
    assert "do not fit" not in done.stderr


def test_pictures_are_not_for_a_model_of_texts(tmp_path):
    data = lines(tmp_path / "d.jsonl", [answered("chat", i) for i in range(60)])
    runs.train(data, tmp_path / "run", split="none", epochs=2)
    done = cli("predict", tmp_path / "run", "--input", pictures(tmp_path / "p", 1))
    assert done.exit_code == 65
    assert "holds pictures, but the model takes text; give it rows or records" in done.stderr
