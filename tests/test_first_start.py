"""A first start compiles in two processes; what the second one does not bring, the first compiles itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grapheme_numba import jit
from grapheme_numba.network import first_start

TRAIN = """
import sys
from numba.core.registry import CPUDispatcher
from grapheme_numba import jit
from grapheme_numba.network import first_start
compile_it, compiled = CPUDispatcher.compile, []
def noted(self, signature):
    hits = sum(self.stats.cache_hits.values())
    result = compile_it(self, signature)
    if sum(self.stats.cache_hits.values()) == hits:
        compiled.append(f"{self.py_func.__module__}.{self.py_func.__name__}")
    return result
CPUDispatcher.compile = noted
import grapheme_numba as gn
gn.train("agi", output=sys.argv[1], epochs=1, max_steps=2)
print(len(compiled), [name for name in compiled if name in first_start.KERNELS])
"""


@pytest.fixture
def waits(monkeypatch):
    monkeypatch.setattr(jit, "_waits", {})
    return jit._waits


def test_whoever_wants_a_kernel_waits_for_the_process_that_compiles_it(waits):
    from grapheme_numba.kernels.engine import updates

    called = []
    jit.wait_before((f"{updates.__name__}.in_order",), lambda: called.append(1))
    signature = updates.in_order.signatures[0] if updates.in_order.signatures else "float64(float64[::1])"
    updates.in_order.compile(signature)
    assert called == [1]


def test_a_process_that_fails_or_hangs_is_no_trouble(waits, monkeypatch):
    monkeypatch.setattr(first_start, "LONGEST", 0.1)
    for program in ("raise SystemExit(1)", "import time; time.sleep(600)"):
        real = subprocess.Popen
        monkeypatch.setattr(
            subprocess, "Popen", lambda command, real=real, text=program, **rest: real([*command[:2], text], **rest)
        )
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
        first_start.compile_beside("adam")
        monkeypatch.setattr(subprocess, "Popen", real)
        waits[first_start.KERNELS[0]]()


def test_without_room_for_a_process_all_is_compiled_here(waits, monkeypatch):
    def refused(*args, **options):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", refused)
    first_start.compile_beside("adam")
    assert not waits


def test_a_cache_with_the_kernel_of_the_mode_alone_is_not_in_use(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    (tmp_path / "float_mode.exchange-1.py311.nbi").touch()
    assert not jit.cache_in_use()
    (tmp_path / "forward._rows-1.py311.nbi").touch()
    assert jit.cache_in_use()


@pytest.mark.long
def test_a_first_start_compiles_no_kernel_twice(tmp_path):
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", TRAIN, str(tmp_path / "run")]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], env=variables, capture_output=True, text=True)
    n, twice = done.stdout.splitlines()[-1].split(" ", 1)
    assert int(n) > 50, done.stderr
    assert twice == "[]"
