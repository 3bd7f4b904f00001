"""`doctor` names what decides results here and tests the engine; one digest for any thread count and strategy."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from runs import digest, small_data, train

from grapheme_numba import jit
from grapheme_numba.cli.train import main
from grapheme_numba.training import selftest

THREADS = (1, 2, 3, 4, 8, 16)


def test_doctor_tells_versions_threads_and_findings():
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    for word in ("numba ", "threading layer", "kernel cache", "mode 0700", "ok: gradient check", "ok: same bits"):
        assert word in result.stdout
    facts = json.loads(CliRunner().invoke(main, ["doctor", "--log-format", "json"]).stdout)
    assert [finding["passed"] for finding in facts["self_test"]] == [True, True]
    assert facts["threading layer"] in ("tbb", "omp", "workqueue")


def test_doctor_fails_where_the_engine_does(monkeypatch):
    monkeypatch.setattr(selftest, "run", lambda: [selftest.Finding("gradient check", False, "error 0.5")])
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 70
    assert "FAILED: gradient check: error 0.5" in result.stdout
    assert "the self-test failed: gradient check; do not trust results" in result.stderr


def test_the_self_test_sees_a_wrong_gradient(monkeypatch):
    real = selftest.DagNN.backward_accumulate

    def wrong(dag, gy):
        gy = gy.copy()
        gy[:, 0] = 0
        return real(dag, gy)

    monkeypatch.setattr(selftest.DagNN, "backward_accumulate", wrong)
    assert not selftest.gradients().passed


def test_the_self_test_sees_bits_that_depend_on_threads(monkeypatch):
    monkeypatch.setattr(selftest, "trained_digest", lambda: str(jit.n_threads()))
    assert not selftest.bits().passed


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def test_the_same_bits_by_tiles_or_levels_and_with_or_without_prefetch(tmp_path, data):
    class Prefetch:
        """A dataset that prepares its batches in the caller's thread, or some ahead."""

        def __init__(self, real, ahead):
            self.real, self.ahead, self.n_rows = real, ahead, real.n_rows

        def batches(self, *arguments, **options):
            return self.real.batches(*arguments, **{**options, "prefetch": self.ahead})

    digests = set()
    for number, (strategy, ahead) in enumerate([("tiles", 0), ("levels", 0), ("auto", 3)]):

        def before(run, strategy=strategy, ahead=ahead):
            run.model.dag.strategy = strategy
            run.train, run.val = Prefetch(run.train, ahead), Prefetch(run.val, ahead)

        train(data, tmp_path / str(number), before=before)
        digests.add(digest(tmp_path / str(number)))
    assert len(digests) == 1


@pytest.mark.long
def test_one_digest_over_one_to_sixteen_threads(tmp_path, data):
    """Processes with up to 16 kernel threads, whatever the number of cores."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_NUM_THREADS": "16"}
    digests = {}
    for n in THREADS:
        folder = tmp_path / str(n)
        program = ["-m", "grapheme_numba.cli.train", "agi", "--data", data, "--output", folder, "--epochs", "5"]
        arguments = [*program, "--hidden", "300,200", "--threads", n, "--quiet"]
        subprocess.run([sys.executable, *map(str, arguments)], env=environment, check=True)
        digests[n] = digest(folder)
    print(f"threads {', '.join(map(str, THREADS))}: {len(set(digests.values()))} digest")  # noqa: T201 - the figure
    assert len(set(digests.values())) == 1
