"""One compiler cache for the whole run, kept between runs and never used for changed kernels."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
# Scripts whose parts are tested; after tests/, which has a ranks.py of its own.
sys.path.append(str(ROOT / "benchmarks"))

# Numba looks only at the file a kernel stands in, not at those it inlines, so the folder is named after
# the content of all of them. This must be set before anything imports Numba.
_package = ROOT / "grapheme_numba"
_sources = [*sorted((_package / "kernels").rglob("*.py")), _package / "jit.py", _package / "float_mode.py"]
_bounds = os.environ.get("NUMBA_BOUNDSCHECK", "").encode()
_digest = hashlib.sha256(b"".join(path.read_bytes() for path in _sources) + _bounds).hexdigest()[:16]
_cache = ROOT / ".pytest_cache" / "numba" / _digest
_cache.mkdir(mode=0o700, parents=True, exist_ok=True)
os.environ["NUMBA_CACHE_DIR"] = str(_cache)
# Before SciPy is imported: without it two of scikit-learn's checks of an estimator skip themselves.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


def pytest_configure(config):
    """Before several processes start, compile what all of them need, in two processes at a time."""
    spread = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if spread and "NUMBA_DISABLE_JIT" not in os.environ and not (_cache / "engine").exists():
        program = [sys.executable, str(ROOT / "tests" / "compile_kernels.py")]
        variables = {**os.environ, "PYTHONPATH": str(ROOT)}
        with ThreadPoolExecutor(2) as pool:
            parts = ("trainers", "float32", "float64", "bfloat16")
            done = list(pool.map(lambda part: subprocess.run([*program, part], env=variables).returncode, parts))
        if not any(done):
            (_cache / "engine").touch()


# The same examples on every machine and in every run.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("house")


@pytest.fixture
def figure(record_property):
    """Tell what a campaign found, as `figure(what, result)`: shown at the end, and kept by `--figures FILE`."""
    return lambda what, result: record_property("figure", (what, result))


def pytest_addoption(parser):
    """A file for the figures of campaigns: `benchmarks/tables.py` writes the table of docs/reliability.md from it."""
    parser.addoption("--figures", metavar="FILE", help="add the figures that campaigns found to a JSON file")


def pytest_terminal_summary(terminalreporter, config):
    """A line for every figure, with how long it took to find."""
    passed = [r for r in terminalreporter.getreports("passed") if r.when == "call"]
    found = [(*value, report.duration) for report in passed for key, value in report.user_properties if key == "figure"]
    if found:
        terminalreporter.section("figures")
    for what, result, seconds in found:
        terminalreporter.write_line(f"{what}: {result} ({seconds:.0f} s)")
    if (path := config.getoption("--figures")) and found:
        rows = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        rows |= {what: {"result": result, "seconds": round(seconds)} for what, result, seconds in found}
        Path(path).write_text(json.dumps(rows, indent=1) + "\n")


@pytest.fixture
def rng():
    """A generator with a fixed seed."""
    return np.random.default_rng(20240229)


@pytest.fixture
def threads():
    """Set the number of kernel threads; the old number comes back after the test."""
    from grapheme_numba import jit

    before = jit.n_threads()
    yield jit.set_threads
    jit.set_threads(before)
