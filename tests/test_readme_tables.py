"""README's speed tables come from saved measurements and from nothing else."""

import importlib.util
from pathlib import Path

import pytest

from grapheme_numba import errors
from grapheme_numba.bench import challenge, data, kernels, peers, records

PATH = Path(__file__).parent.parent / "benchmarks" / "readme_tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("readme_tables", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def loaded(tmp_path):
    """One record of each kind, through a file."""
    rate = kernels.Rate("g", 256, 2, "forward", 0.1, 12.34, 11.0, 13.0, 0.756, 0.8, 64, 1000)
    rows = {
        "kernels": [rate, rate._replace(step="step", rate=4.0), rate._replace(batch=1, rate=99.0)],
        "peers": [peers.Comparison("torch-csr", "g", 256, 2, "step", 6.0, 2.0, 3.0, 2.5, 3.5, 1e-6)],
        "challenge": [
            challenge.Inference(1024, 120, 60000, "no row dies", 1, 60000, 12.5, 18.9, 512, 0.0, 0.2, 94.5, 90.0, 99.0)
        ],
    }
    found = []
    for kind, of_kind in rows.items():
        records.save(tmp_path / f"{kind}.json", records.as_record(kind, of_kind))
        found.append(records.load(tmp_path / f"{kind}.json"))
    return found


def test_tables_show_the_measured_figures(tables, loaded):
    text = tables.section(loaded)
    assert "| g | 2 | 12.3 | 76% | 80% | 4 | 76% | 80% |" in text
    assert "99" not in text.split("| g |")[1].split("|\n")[0]
    assert "| torch `sparse.mm`, CSR | g | step | 2 | 6 | 2 | **3** (2.5 to 3.5) |" in text
    assert "| 1024 x 120 | 60,000 | no row dies | 60,000 | 1 | 12.50 | 18.9 | 94.5 |" in text


def test_only_what_stands_between_the_markers_changes(tables, loaded):
    old = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    new = tables.replaced(old, tables.section(loaded))
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert "old" not in new
    assert tables.replaced(new, tables.section(loaded)) == new


def test_each_section_is_written_from_its_own_records(tables, loaded, tmp_path, monkeypatch):
    row = data.Row("convert", 1000.0, "MB/s", 310.4, 3.2, 3.1, 3.3, 4.7, None, 396.0)
    baseline = row._replace(task="duckdb", rate=330.8, times=0.963, peak_mb=687.0)
    records.save(tmp_path / "data.json", records.as_record("data", [row, baseline]))
    readme = tmp_path / "README.md"
    readme.write_text(f"<!-- data: begin -->\n<!-- data: end -->\n{tables.BEGIN}\nspeed\n{tables.END}\n")
    monkeypatch.setattr(tables, "README", readme)
    tables.main([tmp_path / "data.json"])
    text = readme.read_text()
    assert text.endswith(f"{tables.BEGIN}\nspeed\n{tables.END}\n")
    assert "| 1000 MB | rate | ours is faster, times | most memory |" in text
    assert "| convert | 310 MB/s |  | 396 MB |" in text
    assert "| duckdb | 331 MB/s | 0.96 | 687 MB |" in text


def test_a_readme_without_markers_is_left_alone(tables):
    with pytest.raises(errors.RecordError, match=r"README.md must hold <!-- speed: begin --> and <!-- speed: end -->"):
        tables.replaced("no markers", "x")


def test_every_baseline_has_a_readable_name(tables):
    assert set(tables.BASELINES) == set(peers.BASELINES)
