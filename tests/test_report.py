"""The report of a run: complete, self-contained, safe for any data, and never in the way of the run."""

import json

import numpy as np
import pytest
from page_checks import Page, check_page
from runs import Recorder, digest, small_data, train
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from grapheme_numba.errors import NonFiniteError, StoppedEarly
from grapheme_numba.report import answers, pages, reporter
from grapheme_numba.training.config import KEYS

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=http://example.com/x onerror=alert(1)>',
    "' onload='x",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "</style></title></svg><b>",
    "\x1b[31m\x01red",
    "&amp;&lt;",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 20,
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def read(run):
    return check_page((run.folder / reporter.REPORT).read_text())


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A finished run and its report."""
    run = train(data, tmp_path_factory.mktemp("runs") / "my run")
    return run, read(run)


def test_a_report_tells_the_whole_run(finished):
    run, page = finished
    text = page.text
    for part in ("my run", "finished", "Answers by brain", "Each brain", "Sample answers", "Topology", "Configuration"):
        assert part in text
    assert run.fingerprint in text
    last = [row for row in run.journal.rows if row["kind"] == "validation" and row["best"]][-1]
    for name, one in last["domains"].items():
        assert name in text
        assert f"{one['mse']:.4g}".split("e")[0] in text
    for key in KEYS:
        assert key in text
    assert f"{run.model.dag.n_edge:,} edges" in text


def test_every_chart_is_told_in_words(finished):
    run, page = finished
    labels = [svg.get("aria-label", "") for svg in page.all("svg")]
    losses = [label for label in labels if label.startswith("Loss.")]
    assert len(losses) == 1 + len(run.model.layout.names)
    first = next(row["loss"] for row in run.journal.rows if row["kind"] == "epoch")
    assert f"training from {first:.4g}" in losses[0]
    assert "best constant answer" in losses[0]
    assert sum(label.startswith("Exact answers.") for label in labels) == 1 + len(run.model.layout.names)
    assert any("edges" in label for label in labels)


def test_samples_show_wrong_and_right_answers(finished):
    run, page = finished
    found = answers.answers_of(run.model, run.val)
    assert set(found) == set(run.model.layout.names)
    scores = [row for row in run.journal.rows if row["kind"] == "validation"][-1]["domains"]
    for name, one in found.items():
        right = [sample["expected"] == sample["answer"] for sample in one["samples"]]
        assert 0 < len(right) <= 6
        assert right == sorted(right)
        assert all(sample["id"] in page.text for sample in one["samples"])
        # all validation examples are asked, with the weights of the last validation
        assert one["n"] == scores[name]["n"]
        n_right = sum(share * n for _, share, n in one["calibration"])
        assert n_right == pytest.approx(scores[name]["exact"] * one["n"])


def test_answers_in_detail_agree_with_the_scores(finished):
    """The matrix is that of the last validation; the points have its errors; both stand on the page."""
    run, page = finished
    scores = [row for row in run.journal.rows if row["kind"] == "validation"][-1]["domains"]
    found = answers.answers_of(run.model, run.val)
    assert {"confusion", "pairs"} <= {key for one in found.values() for key in one}
    for name, one in found.items():
        if "pairs" in one:
            pairs = np.array(one["pairs"])
            assert np.abs(pairs[:, 1] - pairs[:, 0]).mean() == pytest.approx(scores[name]["mae"])
        if "confusion" in one:
            shown, matrix = one["confusion"], scores[name]["confusion"]
            assert sum(map(sum, shown["counts"])) + shown["n_other"] == sum(map(sum, matrix)) + scores[name]["n_unfit"]
            n_right = sum(row[i] for i, row in enumerate(shown["counts"]))
            assert n_right <= sum(row[i] for i, row in enumerate(matrix)) <= n_right + shown["n_other"]
    for part in (
        "Predicted against true",
        "Residuals",
        "Confusion matrix",
        "Reliability",
        "expected calibration error",
    ):
        assert part in page.text


def test_confusion_and_calibration_are_those_of_scikit_learn(rng):
    classes = [f"class {i:02}" for i in range(30)]
    true = rng.integers(0, 30, 3000)
    guess = np.where(rng.random(3000) < 0.6, true, (true * 7 + rng.integers(0, 3, 3000)) % 30)
    pairs = [(classes[a], classes[b]) for a, b in zip(true, guess, strict=True)]
    found = answers.confusion(pairs)
    assert (len(found["classes"]), found["n_class"]) == (answers.MOST_CLASSES, 30)
    names = [true_name for true_name, _ in pairs], [guess_name for _, guess_name in pairs]
    np.testing.assert_array_equal(found["counts"], confusion_matrix(*names, labels=found["classes"]))
    assert found["n_other"] == 3000 - np.sum(found["counts"])
    whole = confusion_matrix(true, guess)
    errors = whole.sum(axis=0) + whole.sum(axis=1) - 2 * np.diag(whole)
    left_out = [errors[i] for i in range(30) if classes[i] not in found["classes"]]
    assert min(errors[i] for i in range(30) if classes[i] in found["classes"]) >= max(left_out)
    confidence = rng.random(500)
    right = rng.random(500) < confidence
    rows = [(i, "a", "a" if one else "b", c) for i, (one, c) in enumerate(zip(right, confidence, strict=True))]
    bins = answers.calibration(rows)
    accuracy, mean = calibration_curve(right, confidence, n_bins=answers.N_BIN)
    np.testing.assert_allclose([one[0] for one in bins], mean)
    np.testing.assert_allclose([one[1] for one in bins], accuracy)
    assert sum(one[2] for one in bins) == 500
    assert answers.calibration([(0, "a", "a", 1.0)]) == [[1.0, 1.0, 1]]


def test_calibration_of_the_whole_validation_is_preferred(finished):
    run, _ = finished
    rows = json.loads(json.dumps(run.journal.rows))
    for row in rows:
        for one in row["domains"].values():
            one["calibration"] = [[0.25, 0.5, 40], [0.75, 0.75, 60]]
    page = check_page(pages.run_page(reporter.stored_facts(run.folder), rows))
    assert "expected calibration error 0.100" in page.text


def test_a_large_validation_is_asked_in_part(data, finished, monkeypatch):
    """A seeded draw over all of it, the same each time."""
    monkeypatch.setattr(answers, "MOST_ASKED", 10)
    run, _ = finished
    batches = list(run.val.batches(run.model.layout, 16))
    monkeypatch.setattr(type(run.val), "batches", lambda *_, seed, **__: iter(batches[::-1] if seed == 0 else batches))
    found = answers.answers_of(run.model, run.val)
    assert sum(one["n"] for one in found.values()) == len(batches[-1].domain)
    shown = {sample["id"] for one in found.values() for sample in one["samples"]}
    assert shown <= set(batches[-1].ids)
    assert not shown & set(batches[0].ids)


def test_the_page_is_made_again_from_the_folder(finished):
    run, page = finished
    assert pages.run_page(reporter.stored_facts(run.folder), run.journal.rows) == page.source


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A run on data, and in a folder, whose names and texts try to break out of the page."""
    folder = tmp_path_factory.mktemp("hostile")
    for split in ("train", "val"):
        with (folder / f"{split}.jsonl").open("w") as lines:
            for i in range(40):
                evil = EVIL[i % len(EVIL)]
                record = {"id": f"{i}{EVIL[i * 3 % 7]}", "domain": f"<b>{EVIL[i % 3]}", "input_type": "text"}
                lines.write(json.dumps({**record, "input": {"text": evil}, "expected_output": evil[:12]}) + "\n")
    return train(folder, folder / "<i>&\"'")


def test_hostile_data_stays_text(hostile):
    page = read(hostile)
    assert {attrs.get("src", "data:")[:5] for attrs in page.all("img")} <= {"data:"}
    assert "<script>alert(1)</script>" in page.text
    assert "Donaudampfschifffahrtsgesellschaftskapitän" in page.text
    assert f"{len(EVIL[-1]):,} characters" in page.text
    assert "\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}red" in page.text


def test_a_stopped_run_says_how_to_go_on_and_a_resumed_one_is_whole(data, tmp_path):
    with pytest.raises(StoppedEarly, match="--max-steps 9 is reached"):
        train(data, tmp_path / "run", max_steps=9)
    page = check_page((tmp_path / "run" / reporter.REPORT).read_text())
    assert "stopped early" in page.text
    assert f"grapheme-train agi --resume auto --output {tmp_path / 'run'}" in page.text
    whole = read(train(data, tmp_path / "run", resume="auto", max_steps=None))
    assert "All 3 epochs are done" in whole.text


def test_a_run_that_is_not_finite_says_so_and_shows_no_answers(data, tmp_path):
    def spoil(run):
        def after_batch(run):
            if run.progress.epoch == 1:
                run.model.parameters[5] = np.nan
                run.model.parameters_changed()

        run.observer.after_batch = after_batch

    with pytest.raises(NonFiniteError, match="not finite"):
        train(data, tmp_path / "run", before=spoil, observer=Recorder())
    page = check_page((tmp_path / "run" / reporter.REPORT).read_text())
    assert "not finite" in page.text
    assert "There are no sample answers: the parameters are not finite" in page.text


@pytest.mark.parametrize("fault", ["render", "write"])
def test_a_report_that_cannot_be_made_is_a_warning(data, tmp_path, monkeypatch, fault):
    if fault == "render":
        monkeypatch.setattr(reporter, "run_page", lambda *_: 1 / 0)
    else:
        monkeypatch.setattr(reporter.storage, "write_file", refuse_reports(reporter.storage.write_file))
    with pytest.warns(UserWarning, match=r"no new report.html: .*; the run itself is not affected"):
        run = train(data, tmp_path / "run")
    assert run.progress.epoch == 3
    assert (tmp_path / "run" / "checkpoint_last").is_dir()


def test_edges_that_move_have_their_curves(data, tmp_path):
    run = train(data, tmp_path / "run", evolve="set", evolve_every=2, prune_to=0.5)
    labels = [svg.get("aria-label", "") for svg in read(run).all("svg")]
    rows = [row for row in run.journal.rows if row["kind"] == "epoch"]
    assert any(
        label.startswith(f"Edges. edges from {rows[0]['n_edge']:,} to {rows[-1]['n_edge']:,}") for label in labels
    )
    assert any(label.startswith("Replaced edges. replaced edges from") for label in labels)


def many(n_brain, n_epoch, rng):
    """Rows of metrics.jsonl."""
    names = [f"brain {i}" for i in range(n_brain)]
    rows = []
    for epoch in range(1, n_epoch + 1):
        for kind in ("epoch", "validation"):
            values = {"loss": rng.random(), "mse": rng.random(), "exact": rng.random(), "mse_constant": 1.0, "n": 9}
            values |= {"mae": None, "mae_constant": None}
            domains = {name: {**values, "n": i, "loss": rng.random()} for i, name in enumerate(names)}
            rows.append({"kind": kind, "epoch": epoch, "best": epoch == 7, **values, "lr": 0.1, "domains": domains})
    return names, rows


def test_the_page_of_many_brains_and_epochs_stays_below_a_megabyte(finished, rng):
    """3,000 epochs of 40 brains: their charts are thinned, and only the largest brains have some."""
    names, rows = many(40, 3000, rng)
    facts = reporter.stored_facts(finished[0].folder) | {"names": names}
    page = check_page(pages.run_page(facts | {"answers": {}}, rows))
    assert "16 further brains are in the table above." in page.text
    assert all(name in page.text for name in names)
    assert [f"brain {i}" for i in range(16)] == [name for name in names if page.texts.count(name) == 1]


def test_the_page_of_5000_brains_stays_below_a_megabyte(finished, rng):
    """With a matrix of long names, points and samples of as many brains as are shown."""
    names, rows = many(5000, 8, rng)
    evil = EVIL * 3
    pairs = [(f"{a} {i % 7}", f"{b} {i % 3}") for i, (a, b) in enumerate(zip(evil * 40, evil[1:] * 40, strict=False))]
    sample = {"id": EVIL[-1], "question": {"text": EVIL[-1]}, "expected": EVIL[0], "answer": EVIL[3], "confidence": 0.5}
    one = {"n": 300, "commonest": EVIL[-1], "share": 0.5}
    one |= {"confusion": answers.confusion(pairs), "pairs": rng.normal(size=(340, 2)).tolist()}
    detailed = one | {"calibration": [[0.5, 0.5, 300]], "samples": [sample] * 6}
    found = {name: detailed if i < answers.MOST_DETAILED else one | {"samples": []} for i, name in enumerate(names)}
    facts = reporter.stored_facts(finished[0].folder) | {"names": names, "answers": found}
    page = check_page(pages.run_page(facts, rows))
    assert "4,800 further brains have fewer examples and are not shown." in page.text
    assert "brain 4999" in page.text


def test_a_validation_without_a_right_answer_has_its_page(tmp_path):
    """Its only answer is none that the model knows."""
    (tmp_path / "data").mkdir()
    record = {"id": "a", "domain": "d", "input_type": "text", "input": {"text": "x"}, "expected_output": "y"}
    (tmp_path / "data" / "train.jsonl").write_text("\n".join(json.dumps(record) for _ in range(32)) + "\n")
    (tmp_path / "data" / "val.jsonl").write_text(json.dumps(record | {"expected_output": "of no class"}) + "\n")
    page = read(train(tmp_path / "data", tmp_path / "run", max_unfit=1.0))
    for part in ("All 3 epochs are done", "Confusion matrix", "of no class", "expected calibration error"):
        assert part in page.text


def test_a_page_without_any_validation_or_answer(finished):
    run, _ = finished
    rows = [row for row in run.journal.rows if row["kind"] == "epoch"]
    empty = {"kind": "validation", "epoch": 3, "best": False, "mse": None, "mse_constant": None, "exact": None, "n": 0}
    facts = reporter.stored_facts(run.folder) | {"answers": {}}
    for some in (rows, [*rows, empty | {"domains": {}}]):
        page = check_page(pages.run_page(facts, some))
        assert "Course of the training" in page.text
        assert "Confusion matrix" not in page.text


def refuse_reports(write_file):
    """`write_file` with a disk that is full when it comes to the report."""

    def refusing(path, data):
        if path.name == reporter.REPORT:
            raise OSError(28, "No space left on device")
        write_file(path, data)

    return refusing


def test_a_run_that_trains_keeps_its_report_fresh_and_its_bits(data, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(reporter, "REFRESH", 0.0)
    monkeypatch.setattr(reporter, "SHARE", 0)
    seen = []
    monkeypatch.setattr(
        reporter, "run_page", lambda facts, rows: seen.append((facts, len(rows))) or pages.run_page(facts, rows)
    )
    run = train(data, tmp_path / "run")
    assert [facts["ending"]["word"] for facts, _ in seen] == ["training"] * 3 + ["finished"]
    assert [n for _, n in seen] == [2, 4, 6, 6]
    assert digest(run.folder) == digest(finished[0].folder)
    assert 'http-equiv="refresh"' in pages.run_page(seen[0][0], run.journal.rows)
    assert 'http-equiv="refresh"' not in (run.folder / reporter.REPORT).read_text()


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ("<p>", "closes"),
        ("<p onclick='x'></p>", "would run code"),
        ("<img src='http://x' alt='y'>", "fetches http://x"),
        ("<p a'b='x'></p>", "odd attributes"),
    ],
)
def test_the_checker_sees_a_bad_page(broken, complaint):
    with pytest.raises(AssertionError, match=complaint):
        Page(f"<!doctype html>\n<html><body>{broken}</body></html>")
