"""`doctor` names what decides results here and tests the engine; one digest for any thread count and strategy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import every_way
import pytest
from click.testing import CliRunner
from runs import digest, small_data, train

from grapheme_numba import jit
from grapheme_numba.bench import selftest
from grapheme_numba.cli.train import main


def test_doctor_tells_versions_threads_and_findings():
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    for word in ("numba ", "threading layer", "kernel cache", "mode 0700", "ok: gradient check", "ok: same bits"):
        assert word in result.stdout
    facts = json.loads(CliRunner().invoke(main, ["doctor", "--log-format", "json"]).stdout)
    assert [finding["passed"] for finding in facts["self_test"]] == [True, True, True]
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
    threads, _ = selftest.bits()
    assert not threads.passed


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def test_the_same_bits_by_tiles_or_levels_and_with_or_without_prefetch(tmp_path, data):
    digests = set()
    for number, (strategy, ahead) in enumerate([("tiles", 0), ("levels", 0), ("auto", 3)]):

        def before(run, strategy=strategy, ahead=ahead):
            run.model.dag.strategy = strategy
            run.train, run.val = every_way.Ahead(run.train, ahead), every_way.Ahead(run.val, ahead)

        train(data, tmp_path / str(number), before=before)
        digests.add(digest(tmp_path / str(number)))
    assert len(digests) == 1


@pytest.mark.long
def test_one_digest_whatever_the_threads_strategy_and_prefetch(tmp_path, data, figure):
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    variables = {**os.environ, "PYTHONPATH": paths, "NUMBA_NUM_THREADS": "16"}
    program = [sys.executable, every_way.__file__, data, tmp_path]
    done = subprocess.run([*map(str, program)], env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    n = len(every_way.THREADS) * len(every_way.STRATEGIES) * len(every_way.AHEAD)
    figure(
        f"the same run with {', '.join(map(str, every_way.THREADS))} threads, by tiles or levels, prefetch on or off",
        "; ".join(f"{task}: {len(digests)} SHA-256 of {n} runs" for task, digests in found.items()),
    )
    assert [len(digests) for digests in found.values()] == [1, 1]
