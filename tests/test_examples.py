"""The examples as a reader runs them, in short: each ends well and shows what it is there to show."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


def numbers(name, *options):
    """Every number that the example prints, with the warnings of a careless script as errors."""
    program = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), *options]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(program, env=variables, capture_output=True, text=True, timeout=600)
    assert (run.returncode, run.stderr) == (0, "")
    return [
        float(found.replace(",", "")) for found in re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", run.stdout)
    ], run.stdout


def test_an_evolved_genome_gets_better():
    (edges, before, same, after), _ = numbers("evolved_genome", "--short")
    assert edges == same
    assert after > before + 10


def test_a_pathway_classifier_names_the_cause():
    (_, _, ours, forest, _, n_gene, n_found, *_), text = numbers("pathways")
    assert ours > forest
    assert n_found >= n_gene - 1
    assert text.split("strongest pathways: ")[1].startswith("{'Pathway 17'")


@pytest.mark.long
def test_digits_with_few_edges():
    found, _ = numbers("digits", "--short")
    (_, _, few, edges), (_, _, fewer, _), (_, dense, most) = found[:4], found[4:8], found[8:]
    assert edges <= 740
    assert most == 7400
    assert few > dense - 1
    assert fewer > 90


def test_every_example_is_run():
    assert SCRIPTS == ["digits", "evolved_genome", "pathways"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_quickstart_shows_what_an_example_prints(name):
    """The lines on the page are those of the script as it stands: same words, numbers aside."""
    shape = re.compile(r"\{[^}]*\}")
    source = (ROOT / "examples" / f"{name}.py").read_text()
    page = (ROOT / "docs" / "quickstart.md").read_text()
    assert f"python examples/{name}.py" in page
    for line in re.findall(r'print\(\s*f"(.*)"', source):
        pattern = ".+".join(re.escape(part) for part in shape.split(line))
        assert re.search(pattern, page), line
