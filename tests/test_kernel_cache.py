"""Folders of compiled kernels: the newest and those in use stay, those unused for long go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grapheme_numba.files import kernel_cache, locks
from grapheme_numba.files.kernel_cache import DAY, KEPT, MARK, UNUSED

HOLDER = """
import sys, pathlib, grapheme_numba.files.kernel_cache as k
k.hold(pathlib.Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def old_folder(base, number: int, age: float, marked: bool = True):
    """A kernel folder last used `age` seconds ago; without a mark as an earlier version left it."""
    folder = base / f"{number:016x}"
    (folder / "kernels_1").mkdir(parents=True)
    (folder / "kernels_1" / "x.nbi").write_text("compiled")
    now = kernel_cache.time.time()
    if marked:
        (folder / MARK).touch()
        os.utime(folder / MARK, (now - age, now - age))
    os.utime(folder, (now - age, now - age))
    return folder


def pruned(base, folders) -> list[bool]:
    """Whether each of `folders` is there after a new one was taken."""
    kernel_cache.prune(base, base / "own")
    assert not list(base.glob(".*"))
    return [folder.exists() for folder in folders]


@pytest.mark.parametrize("marked", [True, False])
def test_folders_unused_for_long_go_and_the_others_stay(tmp_path, marked):
    folders = [old_folder(tmp_path, n, age, marked) for n, age in enumerate([60.0, UNUSED - DAY, UNUSED + DAY])]
    (tmp_path / "data").mkdir()
    assert pruned(tmp_path, folders) == [True, True, False]
    assert (tmp_path / "data").exists()


def test_of_many_the_newest_stay_and_all_of_today(tmp_path):
    ages = [60.0] * (KEPT + 2) + [2 * DAY] * 3
    folders = [old_folder(tmp_path, n, age) for n, age in enumerate(ages)]
    assert pruned(tmp_path, folders) == [True] * (KEPT + 2) + [False] * 3
    older = [old_folder(tmp_path / "other", n, (2 + n) * DAY) for n in range(KEPT + 2)]
    assert pruned(tmp_path / "other", older) == [True] * (KEPT - 1) + [False] * 3


def test_a_folder_that_a_process_holds_stays_until_the_process_ends(tmp_path):
    folder = old_folder(tmp_path, 1, 2 * UNUSED)
    command = [sys.executable, "-c", HOLDER, folder]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    assert kernel_cache.last_use(folder) > kernel_cache.time.time() - DAY
    os.utime(folder / MARK, (0, 0))
    assert pruned(tmp_path, [folder]) == [True]
    holder.communicate("\n")
    assert pruned(tmp_path, [folder]) == [False]


def test_a_folder_dropped_while_it_is_taken_is_made_again(tmp_path, monkeypatch):
    """The lock is granted on a mark that has lost its name: it protects nothing."""
    folder = old_folder(tmp_path, 1, UNUSED)
    lock = locks.fcntl.flock

    def dropped_first(descriptor, how):
        monkeypatch.setattr(locks.fcntl, "flock", lock)
        kernel_cache.drop(folder)
        lock(descriptor, how)

    monkeypatch.setattr(locks.fcntl, "flock", dropped_first)
    descriptor = kernel_cache.hold(folder)
    assert os.path.samestat(os.fstat(descriptor), (folder / MARK).stat())
    assert not (folder / "kernels_1").exists()
    os.close(descriptor)


def test_a_folder_that_can_never_be_had_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_cache.os, "fstat", lambda _: os.stat_result((0,) * 10))
    with pytest.raises(OSError, match="disappears again and again"):
        kernel_cache.hold(tmp_path / "folder")


def test_the_first_start_with_changed_sources_prunes_and_later_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = tmp_path / "kernel.py"
    source.write_text("1")
    gone = old_folder(tmp_path / "grapheme_numba", 1, 2 * UNUSED)
    first = kernel_cache.choose([source])
    assert not gone.exists()
    left = old_folder(tmp_path / "grapheme_numba", 2, 2 * UNUSED)
    assert kernel_cache.choose([source]) == first
    assert left.exists()
    source.write_text("22")
    assert kernel_cache.choose([source]) != first
    assert (first.exists(), left.exists()) == (True, False)


def damaged(folder, n: int, seed: int) -> dict:
    """What became of `n` processes with a damaged cache: see `damaged_kernels.py`."""
    folder.mkdir(mode=0o700)
    program = Path(__file__).with_name("damaged_kernels.py")
    variables = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, program, str(n), str(seed)], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_damaged_kernels_are_never_run(tmp_path):
    found = damaged(tmp_path / "cache", 12, 1)
    assert found.pop("files") >= 8
    assert found == {"right": 12}


@pytest.mark.long
def test_a_thousand_damaged_kernels_are_never_run(tmp_path, figure):
    n = int(os.environ.get("GRAPHEME_DAMAGED", "1000"))
    found = damaged(tmp_path / "cache", n, 2)
    figure(
        "damaged caches of compiled kernels",
        f"{found.get('right', 0):,} of {n:,} processes answer rightly, {found.get('another', 0)} wrongly, "
        f"{found.get('error', 0)} internal errors, {found.get('signal', 0)} segmentation faults",
    )
    assert found == {"files": found["files"], "right": n}
