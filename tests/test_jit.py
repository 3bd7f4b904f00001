"""The compile cache, the threads and the flags."""

import errno
import os
import random
import re
import subprocess
import sys
from functools import partial, partialmethod
from pathlib import Path

import numpy as np
import pytest
from mutants import mutants
from numba import njit
from numba.core import caching

from grapheme_numba import jit
from grapheme_numba.cli.program import describe_error
from grapheme_numba.errors import NoMemoryError
from grapheme_numba.files import kernel_cache

ROOT = Path(__file__).parent.parent
SAVER = """
import sys
from numba.core import caching
import grapheme_numba.jit
folder, name = sys.argv[1:]
cache = caching.IndexDataCacheFile(folder, "kernel", b"stamp")
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
    cache = caching.IndexDataCacheFile(str(tmp_path), "kernel", b"stamp")
    found = {key: cache.load(key) for key in [(name, i) for name in "abc" for i in range(100)]}
    assert [key for key, value in found.items() if value != key] == []


@pytest.mark.parametrize("order", ["inner, python, inner", "python, inner, python"])
def test_a_kernel_that_others_call_can_be_called_from_python(tmp_path, order):
    """Before or after another kernel has compiled it for itself, without an entry for Python, and from the cache."""
    code = """
import sys
import numpy as np
from grapheme_numba.kernels.engine import updates
calls = {
    "inner": lambda: updates.sum_of_squares(np.float32([1, 2, 3])),
    "python": lambda: updates.in_order(np.float64([1, 4, 9])),
}
print([float(calls[name]()) for name in sys.argv[1].split(", ")], len(updates.in_order.signatures))
"""
    for _ in range(2):
        child = python(code, order, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_NUM_THREADS="1")
        assert child.communicate()[0] == "[14.0, 14.0, 14.0] 1\n"
        assert child.returncode == 0


def cache_file(folder: Path) -> caching.IndexDataCacheFile:
    """The file of one kernel in a folder named as those of our own sources."""
    path = folder / min(jit.OWN_FOLDERS)
    path.mkdir(exist_ok=True)
    return caching.IndexDataCacheFile(str(path), "kernel", b"stamp")


@pytest.fixture
def nothing_said(monkeypatch):
    """What is said once in a process has not been said yet."""
    monkeypatch.setattr(kernel_cache, "_said", set())


@pytest.mark.parametrize("suffix", ["nbi", "1.nbc", "2.nbc"])
@pytest.mark.filterwarnings("ignore:.*is damaged; what is damaged there is compiled anew")
def test_damaged_compiled_kernels_are_found_and_made_again(tmp_path, suffix):
    """Of 150 mutants none is believed: what is loaded is what was saved, or nothing, and can be saved again."""
    entries = {(number,): {"code": bytes(range(200)) * number} for number in (1, 2)}
    for key, value in entries.items():
        cache_file(tmp_path).save(key, value)
    files = {path.name: path for path in tmp_path.rglob("kernel*")}
    whole = {path: path.read_bytes() for path in files.values()}
    assert len(whole) == 3
    path = next(path for name, path in files.items() if name.endswith(suffix))
    other = whole[files["kernel.1.nbc"]] if suffix == "2.nbc" else whole[files["kernel.2.nbc"]]
    for damaged in [b"", b"\0" * len(whole[path]), other, *mutants(whole[path], 150, seed=1)]:
        for name, content in whole.items():
            name.write_bytes(content)
        path.write_bytes(damaged)
        found = {key: cache_file(tmp_path).load(key) for key in entries}
        assert [key for key in entries if found[key] not in (None, entries[key])] == []
        assert None in found.values()
        for key in [key for key in entries if found[key] is None]:
            cache_file(tmp_path).save(key, entries[key])
        assert {key: cache_file(tmp_path).load(key) for key in entries} == entries


def test_damage_is_said_once_and_names_the_file(tmp_path, nothing_said):
    cache_file(tmp_path).save("key", "value")
    (path,) = tmp_path.rglob("*.nbc")
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match=r"kernel\.1\.nbc, a file of compiled kernels, is damaged; .* anew") as said:
        assert [cache_file(tmp_path).load("key") for _ in range(3)] == [None] * 3
    assert len(said) == 1


def test_kernels_of_others_in_the_same_folder_may_lack_the_digest(tmp_path):
    """Numba's own function caches, in a NUMBA_CACHE_DIR that several packages share."""
    plain = caching.IndexDataCacheFile(str(tmp_path), "kernel", b"stamp")
    plain.save("key", "value")
    for path in tmp_path.glob("kernel*"):
        path.write_bytes(path.read_bytes()[: -kernel_cache.DIGEST])
    assert plain.load("key") == "value"


def test_a_save_that_is_killed_at_any_moment_never_gives_a_name_to_other_code(tmp_path, monkeypatch):
    """The index of an older source is there, and code under the name that the new one will take."""
    moment = 0
    while True:
        folder = tmp_path / str(moment)
        folder.mkdir()
        old = caching.IndexDataCacheFile(str(cache_file(folder)._cache_path), "kernel", b"older source")
        old.save("key", "older code")
        calls = iter(range(10**6))

        def killed(real, *arguments, at=moment, calls=calls, **options):
            if next(calls) == at:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(
                Path, "unlink", partialmethod(lambda self, real, **how: killed(real, self, **how), Path.unlink)
            )
            patched.setattr(os, "replace", partial(killed, os.replace))
            try:
                cache_file(folder).save("key", "new code")
                ended = True
            except KeyboardInterrupt:
                ended = False
        assert cache_file(folder).load("key") in (["new code"] if ended else [None, "new code"])
        assert old.load("key") in (None, "older code")
        if ended:
            break
        moment += 1
    assert moment >= 4


def test_without_room_for_compiled_kernels_work_goes_on(tmp_path, monkeypatch, nothing_said):
    cache = cache_file(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="cannot be kept in .* No space left .* make room, or set NUMBA_CACHE_DIR"):
        cache.save("key", "value")
    assert cache.load("key") is None


def test_a_full_disk_is_no_place_for_compiled_kernels(tmp_path, monkeypatch):
    """An empty folder there is given up for a temporary one; one that holds kernels serves."""
    full = type("Status", (), {"f_bavail": 1, "f_frsize": 4096})
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match="no place for compiled kernels .*No space left.* compiles them anew"):
        folder = kernel_cache.choose([Path(jit.__file__)])
    assert not folder.is_relative_to(tmp_path)
    (own,) = (tmp_path / "grapheme_numba").iterdir()
    (own / "kernel.nbi").touch()
    assert kernel_cache.choose([Path(jit.__file__)]) == own


def test_folders_made_under_any_umask_are_private_with_their_parents(tmp_path):
    for mask in (0o002, 0o022, 0o077, 0o000):
        before = os.umask(mask)
        try:
            kernel_cache.make_or_refuse(tmp_path / str(mask) / "a" / "b")
            kernel_cache.make_or_refuse(tmp_path / str(mask) / "a" / "b")
            kernel_cache.make_or_refuse(tmp_path / str(mask) / "a")
        finally:
            os.umask(before)
        made = [tmp_path / str(mask), *(tmp_path / str(mask)).rglob("*")]
        assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 3


USE = """
import numpy as np
from grapheme_numba.network.losses import cross_entropy, mse
y = np.linspace(-3, 3, 60).reshape(15, 4)
print(mse(y, np.cos(y)), cross_entropy(y, np.arange(15) % 4)[1].tobytes().hex())
"""


@pytest.mark.long
def test_a_thousand_damaged_kernel_caches_give_the_same_answers(tmp_path):
    """Real kernels, each time in a new process: no fault, no segmentation fault, no other answer."""
    folder = tmp_path / "cache"

    def answer() -> str:
        run = python(USE, NUMBA_CACHE_DIR=str(folder), PYTHONWARNINGS="ignore")
        said, _ = run.communicate()
        assert run.returncode == 0
        return said

    right = answer()
    whole = {path: path.read_bytes() for path in folder.rglob("*.nb?")}
    draw = random.Random(5)
    for number in range(1000):
        for path, content in whole.items():
            path.write_bytes(content)
        path = draw.choice(sorted(whole))
        path.write_bytes(b"" if number % 10 == 0 else next(mutants(whole[path], 1, seed=number)))
        assert answer() == right, (number, path)


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


SHORT_OF_MEMORY = """
import resource
import numpy as np
from grapheme_numba.errors import GraphemeError
from grapheme_numba.kernels.graph.topology import rows_of
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))
try:
    rows_of(np.array([0, 2]), np.empty(2, np.int32))
except GraphemeError as error:
    print(type(error).__name__, isinstance(error, MemoryError), error)
"""


def test_a_compile_without_memory_says_so(tmp_path):
    """LLVM would end the process, or try again for ever."""
    with python(SHORT_OF_MEMORY, NUMBA_CACHE_DIR=str(tmp_path)) as run:
        said, _ = run.communicate(timeout=120)
    assert re.fullmatch(
        r"NoMemoryError True kernels cannot be compiled: of the memory that this process may address, \d+ MB are left "
        r"and 256 MB are wanted; raise the limit \(ulimit -v\), or use fewer --threads\n",
        said,
    )


def test_a_compile_that_runs_out_of_memory_says_so(monkeypatch):
    def none_left(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(jit, "_compile", none_left)

    def kernel(x):
        return x

    kernel.__module__ = "grapheme_numba.kernels.made"
    with pytest.raises(NoMemoryError, match="not enough memory to compile kernels; free some, or raise the limit"):
        njit(kernel)(1)
    assert describe_error(NoMemoryError("there is none")) == ("there is none", 70)


def test_a_limit_that_leaves_enough_is_no_hindrance(monkeypatch):
    monkeypatch.setattr(jit.resource, "getrlimit", lambda _: (1 << 50, 1 << 50))
    assert njit(lambda x: x + 1)(1) == 2
