"""Type checkers at their strictest accept our public modules, and a script that a user would write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = """\
import numpy as np

import grapheme_numba as gn

x = np.random.default_rng(0).uniform(-1, 1, (256, 2)).astype(np.float32)
dag = gn.DagNN.layered([2, 16, 1], fan_in=2, seed=0)
history = gn.fit(dag, x, x[:, :1] * x[:, 1:], optimizer=gn.optim.AdamW(lr=1e-2), epochs=5)
y = dag.forward(x)
loss, gradient = gn.mse(y, x[:, :1])
print(loss, gradient.shape, history["loss"][-1], dag.weights.sum())
"""
WRONG = SCRIPT + "dag.forward(x).append(loss)\ngn.fitt(dag, x, y)\n"
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--no-error-summary", "--config-file="],
    "pyright": ["-m", "pyright", "--project"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all scripts: mypy keeps there what it has found out about the package, 20 s of work."""
    return tmp_path_factory.mktemp("types")


def check(checker, script, folder):
    """The checker's exit code and output on a script."""
    (folder / "script.py").write_text(script)
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "include": ["script.py"]}')
    command = [sys.executable, *CHECKERS[checker]]
    command += (
        [str(folder / "pyrightconfig.json"), "--pythonpath", sys.executable] if checker == "pyright" else ["script.py"]
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": "", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_strict_checker_accepts_a_users_script(checker, folder):
    code, said = check(checker, SCRIPT, folder)
    assert code == 0, said


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_strict_checker_sees_a_wrong_call_and_a_wrong_name(checker, folder):
    code, said = check(checker, WRONG, folder)
    assert code == 1
    assert "append" in said
    assert "fitt" in said
