"""The compile cache, the threads and the flags."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numba.core.caching import IndexDataCacheFile

from grapheme_numba import jit

ROOT = Path(__file__).parent.parent
SAVER = """
import sys
from numba.core.caching import IndexDataCacheFile
import grapheme_numba.jit
folder, name = sys.argv[1:]
cache = IndexDataCacheFile(folder, "kernel", b"stamp")
for i in range(100):
    cache.save((name, i), (name, i))
"""


def python(code, *arguments, **environment):
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen([sys.executable, "-c", code, *arguments], env=variables, stdout=subprocess.PIPE, text=True)


def test_concurrent_compilers_keep_the_cache_right(tmp_path):
    """What three processes save at once is there afterwards, each entry under its own key."""
    savers = [python(SAVER, str(tmp_path), name) for name in "abc"]
    assert [saver.communicate() and saver.returncode for saver in savers] == [0, 0, 0]
    cache = IndexDataCacheFile(str(tmp_path), "kernel", b"stamp")
    found = {key: cache.load(key) for key in [(name, i) for name in "abc" for i in range(100)]}
    assert [key for key, value in found.items() if value != key] == []


def test_the_cache_folder_is_private_and_named_after_the_sources(tmp_path):
    code = "import os, grapheme_numba.jit; print(os.environ['NUMBA_CACHE_DIR'])"
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    del variables["NUMBA_CACHE_DIR"]
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder.parent == tmp_path / "grapheme_numba"
    assert folder.stat().st_mode & 0o777 == 0o700
    again = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert Path(again.stdout.strip()) == folder


def test_whoever_imports_a_kernel_first_finds_the_cache_folder(tmp_path):
    """Numba reads the folder's name when it starts; later is too late."""
    code = "import grapheme_numba.kernels.json.scanner as k; print(k.scan_lines.stats.cache_path)"
    variables = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    del variables["NUMBA_CACHE_DIR"]
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "grapheme_numba")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_cache_that_others_can_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-m", "grapheme_numba.cli.train", "agi", "--output", str(tmp_path / "run")]
    done = subprocess.run(program, env=variables, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the kernel cache {tmp_path} belongs to another user or can be written")
    assert f"(mode {mode:04o})" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_home_kernels_compile_into_a_folder_that_goes_with_the_process():
    """As in a container whose user has no writable home."""
    code = "import os, grapheme_numba.jit; d = os.environ['NUMBA_CACHE_DIR']; print(d, os.path.isdir(d))"
    variables = {**os.environ, "XDG_CACHE_HOME": os.devnull, "PYTHONPATH": str(ROOT)}
    del variables["NUMBA_CACHE_DIR"]
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert "there is no place for compiled kernels" in done.stderr
    assert "set NUMBA_CACHE_DIR to a folder of your own" in done.stderr
    folder, there = done.stdout.split()
    assert there == "True"
    assert not Path(folder).exists()


def test_nan_survives_the_flags():
    """Fast-math with nnan would compile isnan away; ours must not."""

    @njit(**{**jit.SERIAL, "cache": False})
    def has_nan(x):
        return np.isnan(x).any()

    assert has_nan(np.array([1.0, np.nan]))
    assert not has_nan(np.array([1.0, 2.0]))


def test_threads_are_kept_within_the_machine(threads):
    assert threads(1) == jit.n_threads() == 1
    assert threads(10**6) == threads(None) >= 1
    assert threads(0) == 1
