"""The generated tables of README and docs/ come from saved measurements and from nothing else."""

import json
from types import SimpleNamespace

import accuracy
import conftest
import numpy as np
import pytest
import tables

from grapheme_numba import errors
from grapheme_numba.bench import challenge, data, kernels, peers, records


@pytest.fixture
def loaded(tmp_path):
    """One record of each kind, through a file."""
    rate = kernels.Rate("g", 256, 2, "forward", 0.1, 12.34, 11.0, 13.0, 0.756, 0.8, 64, 1000)
    row = data.Row("convert", 1000.0, "MB/s", 310.4, 3.2, 3.1, 3.3, 4.7, None, 396.0)
    rows = {
        "kernels": [rate, rate._replace(step="step", rate=4.0), rate._replace(batch=1, rate=99.0)],
        "peers": [peers.Comparison("torch-csr", "g", 256, 2, "step", 6.0, 2.0, 3.0, 2.5, 3.5, 1e-6)],
        "challenge": [
            challenge.Inference(1024, 120, 60000, "no row dies", 1, 60000, 12.5, 18.9, 512, 0.0, 0.2, 94.5, 90.0, 99.0)
        ],
        "data": [row, row._replace(task="duckdb", rate=330.8, times=0.963, peak_mb=687.0)],
    }
    found = []
    for kind, of_kind in rows.items():
        records.save(tmp_path / f"{kind}.json", records.as_record(kind, of_kind))
        found.append(records.load(tmp_path / f"{kind}.json"))
    return found


def test_tables_show_the_measured_figures(loaded):
    text = tables.section(loaded[:3])
    assert "| g | 2 | 12.3 | 76% | 80% | 4 | 76% | 80% |" in text
    assert "99" not in text.split("| g |")[1].split("|\n")[0]
    assert "| torch `sparse.mm`, CSR | g | step | 2 | 6 | 2 | **3** (2.5 to 3.5) |" in text
    assert "| 1024 x 120 | 60,000 | no row dies | 60,000 | 1 | 12.50 | 18.9 | 94.5 |" in text
    text = tables.section(loaded[3:])
    assert "| 1000 MB | rate | ours is faster, times | most memory |" in text
    assert "| convert | 310 MB/s |  | 396 MB |" in text
    assert "| duckdb | 331 MB/s | 0.96 | 687 MB |" in text


def test_tables_of_accuracy_show_what_was_measured():
    rows = [
        {"task": "wine", "model": "ours", "edges": 1400.0, "scores": [0.97, 0.98]},
        {"task": "wine", "model": "theirs", "edges": 0.0, "scores": [0.96, 0.97]},
    ]
    text = tables.accuracy_tables({"rows": rows})
    assert "| ours | 1,400 | 97.50 ± 0.71 |  |  |" in text
    assert "| theirs |  | 96.50 ± 0.71 | -1.00 ± 0.00 | worse |" in text
    seconds = [{"model": "ours", "edges": 740, "epochs": 40, "accuracy": 0.9388, "seconds": 0.25, "rounds": [0.25]}]
    assert "| ours | 740 | 40 | 93.88 | 0.25 |" in tables.seconds_table({"rows": seconds})


def test_a_difference_is_called_one_only_beyond_the_noise():
    assert tables.difference([0.9, 0.8], [0.8, 0.7]) == ("+10.00 ± 0.00", "better")
    assert tables.difference([0.8, 0.7], [0.9, 0.8])[1] == "worse"
    noise = np.random.default_rng(0).normal(size=20) / 100
    assert tables.difference(0.9 + noise, np.full(20, 0.9))[1] == "equal within noise"


def test_the_other_is_ahead_where_it_is():
    assert tables.ahead(4.1) == "ours, 4.1 times"
    assert tables.ahead(0.5) == "**the other**, 2 times"


def test_the_reliability_table_holds_a_row_per_figure():
    table = tables.reliability_table({"kill": {"result": "3 of 3", "seconds": 1200}})
    assert table.splitlines()[2:] == ["| kill | 3 of 3 | 1,200 s |"]


def test_the_model_of_hosts_is_the_formula_on_its_page():
    """One million edges, two hosts, 100 Gbit/s and 2 microseconds, by hand; and what the latency counts otherwise."""
    alone = 1e6 * 256 / 48e9 + 2.7e-9 * 1e6 / 4 + 60e-6
    together = alone + 8 * 1e6 * 1 / (2 * 11e9) + 1 * 1.5e-6 * (1 + 1) + 1e3 * 2 / 11e9 + 7 * 2e-6
    assert tables.step_seconds(2, 1e6, 11e9, 2e-6) == pytest.approx(together, rel=1e-12)
    assert "| 100 Gbit/s (11 GB/s), 2 µs, 1 M edges | 94% |" in tables.efficiency_table()
    for n_host, n_edge, times in ((1, 1e6, 0), (2, 2**18, 2), (2, 2**18 + 1, 7), (3, 2**18, 14), (4, 1e6, 14)):
        waited = tables.step_seconds(n_host, n_edge, 11e9, 1.0) - tables.step_seconds(n_host, n_edge, 11e9, 0.0)
        assert waited == pytest.approx(times)


def test_only_what_stands_between_the_markers_changes():
    old = "before\n<!-- speed: begin -->\nold\n<!-- speed: end -->\nafter\n"
    new = tables.replaced("speed", old, "new")
    assert new == "before\n<!-- speed: begin -->\nnew\n<!-- speed: end -->\nafter\n"
    assert tables.replaced("speed", new, "new") == new


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "<!-- speed: begin --> but no end",
        "<!-- speed: end -->",
        "<!-- speed: end --><!-- speed: begin -->",
        2 * "<!-- speed: begin --><!-- speed: end -->",
    ],
)
def test_a_page_without_markers_is_left_alone(text):
    with pytest.raises(errors.RecordError, match=r"README.md must hold <!-- speed: begin --> and then <!-- speed: end"):
        tables.replaced("speed", text, "x", "README.md")


def test_every_generated_block_is_as_the_records_and_the_commands_say(capsys):
    assert (tables.main(["--check"]), capsys.readouterr().err) == (0, "")


def test_a_stale_page_is_named_and_then_written(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- b: begin -->\nold\n<!-- b: end -->\n")
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    monkeypatch.setattr(tables, "BLOCKS", {"b": ("page.md", lambda: "new")})
    assert tables.main(["--check"]) == 1
    assert capsys.readouterr().err == "error: page.md is stale; write it with: python benchmarks/tables.py\n"
    assert "old" in page.read_text()
    assert tables.main([]) == 0
    assert page.read_text() == "a\n<!-- b: begin -->\nnew\n<!-- b: end -->\n"
    assert tables.main(["--check"]) == 0


def test_names_and_tasks_are_those_that_are_measured():
    assert set(tables.BASELINES) == set(peers.BASELINES)
    wanted = {(task, model) for task, (_, _, models) in accuracy.TASKS.items() for model in models}
    assert {(row["task"], row["model"]) for row in tables.saved("accuracy")["rows"]} == wanted
    assert set(tables.TASKS) == set(accuracy.TASKS)


def test_every_measurement_and_every_marker_is_used():
    kinds = {path.stem for path in tables.MEASURED.glob("*.json")}
    assert kinds == {"kernels", "peers", "challenge", "data", "ranks", "accuracy", "seconds", "reliability", "trainers"}
    for path in [tables.ROOT / "README.md", *(tables.ROOT / "docs").glob("*.md")]:
        for name in [part.split(": begin -->")[0] for part in path.read_text().split("<!-- ")[1:] if ": begin" in part]:
            assert tables.BLOCKS[name][0] == path.relative_to(tables.ROOT).as_posix()


def test_a_figure_is_saved_beside_the_earlier_ones(tmp_path):
    """`--figures` adds to a file, so that campaigns may run one at a time."""
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"old": {"result": "kept", "seconds": 1}, "a": {"result": "old", "seconds": 9}}))
    report = SimpleNamespace(when="call", duration=2.6, user_properties=[("figure", ("a", "new")), ("other", 1)])
    lines = []
    terminal = SimpleNamespace(getreports=lambda _: [report], section=lines.append, write_line=lines.append)
    conftest.pytest_terminal_summary(terminal, SimpleNamespace(getoption=lambda _: str(path)))
    assert lines == ["figures", "a: new (3 s)"]
    found = json.loads(path.read_text())
    assert found == {"old": {"result": "kept", "seconds": 1}, "a": {"result": "new", "seconds": 3}}
