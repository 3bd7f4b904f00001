"""README's reliability table holds the saved figures and nothing else."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import conftest
import pytest

PATH = Path(__file__).parent.parent / "benchmarks" / "readme_reliability.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("readme_reliability", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_shows_the_saved_figures(script):
    text = script.README.read_text()
    assert script.replaced(text, script.table(json.loads(script.FIGURES.read_text()))) == text


def test_only_what_stands_between_the_markers_changes(script):
    table = script.table({"kill": {"result": "3 of 3", "seconds": 1200}})
    assert table.splitlines()[2:] == ["| kill | 3 of 3 | 1,200 s |"]
    old = f"before\n{script.BEGIN}\nold\n{script.END}\nafter\n"
    new = script.replaced(old, table)
    assert new == f"before\n{script.BEGIN}\n{table}\n{script.END}\nafter\n"
    assert script.replaced(new, table) == new


@pytest.mark.parametrize("text", ["none", "<!-- reliability: begin --> but no end", "<!-- reliability: end -->"])
def test_a_readme_without_markers_is_left_alone(script, text):
    with pytest.raises(ValueError, match=r"README.md must hold <!-- reliability: begin --> and then"):
        script.replaced(text, "x")


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
