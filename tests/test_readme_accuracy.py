"""README's tables of accuracy come from saved measurements, and their verdicts from the noise in them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from grapheme_numba import errors
from grapheme_numba.bench import records

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SAVED = BENCHMARKS / "measured" / "accuracy.json"


@pytest.fixture(scope="module")
def load():
    """A function that imports a script of benchmarks/, as it is when it runs."""
    sys.path.insert(0, str(BENCHMARKS))

    def script(name):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield script
    sys.path.remove(str(BENCHMARKS))


def test_a_difference_is_called_one_only_beyond_the_noise(load):
    difference = load("readme_accuracy").difference
    assert difference([0.9, 0.8], [0.8, 0.7]) == ("+10.00 ± 0.00", "better")
    assert difference([0.8, 0.7], [0.9, 0.8])[1] == "worse"
    noise = np.random.default_rng(0).normal(size=20) / 100
    assert difference(0.9 + noise, np.full(20, 0.9))[1] == "equal within noise"


def test_tables_show_what_was_measured(load):
    script = load("readme_accuracy")
    rows = [
        {"task": "wine", "model": "ours", "edges": 1400.0, "scores": [0.97, 0.98]},
        {"task": "wine", "model": "theirs", "edges": 0.0, "scores": [0.96, 0.97]},
    ]
    seconds = [{"model": "ours", "edges": 740, "epochs": 40, "accuracy": 0.9388, "seconds": 0.25, "rounds": [0.25]}]
    text = script.section([{"kind": "accuracy", "rows": rows}, {**records.as_record("seconds", []), "rows": seconds}])
    assert "| ours | 1,400 | 97.50 ± 0.71 |  |  |" in text
    assert "| theirs |  | 96.50 ± 0.71 | -1.00 ± 0.00 | worse |" in text
    assert "| ours | 740 | 40 | 93.88 | 0.25 |" in text
    old = f"before\n{script.BEGIN}\nstale\n{script.END}\nafter\n"
    new = script.replaced(old, text)
    assert new.startswith("before\n")
    assert new.endswith("\nafter\n")
    assert "stale" not in new
    with pytest.raises(errors.RecordError, match=r"README.md must hold <!-- accuracy: begin -->"):
        script.replaced("no markers", text)


def test_readme_and_the_record_agree(load):
    """The tables stand in README as the script writes them from the committed records, of every task and model."""
    script, accuracy = load("readme_accuracy"), load("accuracy")
    text = (BENCHMARKS.parent / "README.md").read_text()
    found = records.load(SAVED, "accuracy")
    for path in (SAVED, SAVED.with_name("seconds.json")):
        for part in script.section([records.load(path)]).split("\n\n"):
            assert part in text
    wanted = {(task, model) for task, (_, _, models) in accuracy.TASKS.items() for model in models}
    assert {(row["task"], row["model"]) for row in found["rows"]} == wanted
    assert set(script.TASKS) == set(accuracy.TASKS)
