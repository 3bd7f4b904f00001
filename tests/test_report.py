"""The report of a run: complete, self-contained, safe for any data, and never in the way of the run."""

import json

import numpy as np
import pytest
from page_checks import Page, check_page
from runs import Recorder, digest, small_data, train

from grapheme_numba.errors import NonFiniteError, StoppedEarly
from grapheme_numba.report import pages, reporter
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


def test_samples_are_answered_as_predict_does(finished):
    run, page = finished
    found = reporter.answer_samples(run.model, run.val)
    assert set(found) == set(run.model.layout.names)
    for one in found.values():
        assert 0 < len(one.samples) <= 6
        assert [sample.right for sample in one.samples] == sorted(sample.right for sample in one.samples)
        for sample in one.samples:
            assert sample.right == (sample.answer == sample.example.expected_output)
            assert sample.example.id in page.text


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
        monkeypatch.setattr(reporter, "run_page", lambda facts: 1 / 0)
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


def test_the_page_of_many_brains_and_epochs_stays_below_a_megabyte(finished, monkeypatch, rng):
    """3,000 epochs of 40 brains: their charts are thinned, and only the largest brains have some."""
    seen = []
    monkeypatch.setattr(reporter, "run_page", lambda facts: seen.append(facts) or "")
    reporter.write(finished[0])
    names = [f"brain {i}" for i in range(40)]
    rows = []
    for epoch in range(1, 3001):
        for kind in ("epoch", "validation"):
            values = {"loss": rng.random(), "mse": rng.random(), "exact": rng.random(), "mse_constant": 1.0, "n": 9}
            domains = {name: {**values, "n": i, "loss": rng.random()} for i, name in enumerate(names)}
            rows.append({"kind": kind, "epoch": epoch, "best": epoch == 7, **values, "lr": 0.1, "domains": domains})
    page = check_page(pages.run_page(seen[0]._replace(rows=rows, names=names, answered={})))
    assert "16 further brains are in the table above." in page.text
    assert all(name in page.text for name in names)
    assert [f"brain {i}" for i in range(16)] == [name for name in names if page.texts.count(name) == 1]


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
    monkeypatch.setattr(reporter, "run_page", lambda facts: seen.append(facts) or pages.run_page(facts))
    run = train(data, tmp_path / "run")
    assert [facts.ending.word for facts in seen] == ["training"] * 3 + ["finished"]
    assert [len(facts.rows) for facts in seen] == [2, 4, 6, 6]
    assert digest(run.folder) == digest(finished[0].folder)
    assert 'http-equiv="refresh"' in pages.run_page(seen[0])
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
