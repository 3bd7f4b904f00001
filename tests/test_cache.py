"""The cache of converted JSONL: made once, never trusted when stale or damaged, harmless to share."""

import gzip
import json
import os
import subprocess
import sys
import threading

import pytest

from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream import cache
from grapheme_numba.data.stream import open_dataset as source
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import MissingInputError, OutputError, RecordError, UsageError
from grapheme_numba.files import cache_folders


def write(path, n=10, seed=0):
    path.write_text("".join(json.dumps(one) + "\n" for one in generate(n, "train", seed)))
    return path


def first_id(dataset):
    return next(dataset.tables())["expected_output"][0].as_py()


@pytest.fixture
def conversions(monkeypatch):
    """The list of conversions that are really done."""
    done = []
    real = cache.convert
    monkeypatch.setattr(cache, "convert", lambda *args, **options: done.append(args) or real(*args, **options))
    return done


def test_a_second_run_finds_the_conversion(tmp_path, conversions):
    path, said = write(tmp_path / "a.jsonl"), []
    first = open_dataset(path, progress=said.append)
    second = open_dataset(path, progress=said.append)
    assert len(conversions) == 1
    assert said == [f"converting {path} once into {tmp_path / '.grapheme_cache'}"]
    assert (first.n_rows, first.path, first.fingerprint) == (40, path, second.fingerprint)


def test_changed_data_of_the_same_size_and_time_is_converted_again(tmp_path, conversions):
    path = write(tmp_path / "a.jsonl")
    stat = path.stat()
    before = open_dataset(path)
    path.write_bytes(path.read_bytes().replace(b"math-train-000000", b"math-train-00000X"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert open_dataset(path).fingerprint != before.fingerprint
    assert len(conversions) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_conversion_is_made_again(tmp_path, conversions, damage):
    path = write(tmp_path / "a.jsonl")
    before = open_dataset(path)
    (file,) = (tmp_path / ".grapheme_cache").glob("*.parquet")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes({"flip": data, "cut": data[:1000], "empty": b""}[damage])
    assert open_dataset(path).fingerprint == before.fingerprint
    assert len(conversions) == 2


KILLED_EVERYWHERE = """
import itertools, os, sys
from pathlib import Path
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError

path, CALLS = Path(sys.argv[1]), "rename replace unlink remove rmdir mkdir open link write fsync".split()

def child(moment):
    calls = itertools.count()
    def step(real, *arguments, **options):
        if next(calls) == moment:
            os._exit(9)
        return real(*arguments, **options)
    if moment is not None:
        for name in CALLS:
            setattr(os, name, lambda *arguments, real=getattr(os, name), **options: step(real, *arguments, **options))
    try:
        open_dataset(path)
    except RecordError as error:
        os._exit(65 if "line 13: " in str(error) else 1)
    os._exit(0)

def code(moment):
    pid = os.fork()
    if not pid:
        try:
            child(moment)
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

for moment in itertools.count():
    codes = [code(moment), code(None)]
    named = len(list(path.parent.rglob("a.jsonl-*.parquet")))
    print(*codes, named, flush=True)
    if codes[0] != 9:
        break
"""


@pytest.mark.parametrize(("more", "end", "kept"), [('{"id": "bad"}\n', 65, 0), ("", 0, 1)], ids=["refused", "usable"])
def test_a_conversion_killed_at_any_system_call_hides_no_refused_line(tmp_path, figure, more, end, kept):
    """The next run says again that a line is refused: what was judged bad never has a name to be found by."""
    path = write(tmp_path / "a.jsonl", 3)
    path.write_text(path.read_text() + more)
    done = subprocess.run([sys.executable, "-c", KILLED_EVERYWHERE, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    killed = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert {(after, n_named) for _, after, n_named in killed} == {(end, kept)}
    assert {code for code, _, _ in killed} == {9, end}
    assert len(killed) > 10
    what = "a line is refused again" if more else "the data is whole"
    n = len(killed) - 1  # the last had no call left to be killed at
    figure(f"kill at every call that changes the disk while the data cache is made: {what}", f"{n} of {n}")


@pytest.mark.parametrize("planted", ["another's under this name", "no seal", "another's seal too", "from elsewhere"])
def test_a_planted_conversion_is_not_believed(tmp_path, conversions, planted, monkeypatch):
    """A clone or an archive brings the folder beside the data, private and whole, with whatever was put into it."""
    path, other = write(tmp_path / "a.jsonl"), write(tmp_path / "b.jsonl", seed=1)
    if planted == "from elsewhere":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "stranger"))
        cache_folders._key.cache_clear()
    before, _ = open_dataset(path).fingerprint, open_dataset(other)
    folder = tmp_path / ".grapheme_cache"
    (mine,), (evil,) = folder.glob("a.jsonl-*.parquet"), folder.glob("b.jsonl-*.parquet")
    if planted == "no seal":
        cache_folders.beside(mine).unlink()
    elif planted == "from elsewhere":
        evil.replace(mine)
        cache_folders.seal(mine, mine.name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "me"))
        cache_folders._key.cache_clear()
    else:
        evil.replace(mine)
        if planted == "another's seal too":
            cache_folders.beside(evil).replace(cache_folders.beside(mine))
    assert open_dataset(path).fingerprint == before
    assert len(conversions) == 3
    assert open_dataset(path).fingerprint == before
    assert len(conversions) == 3
    cache_folders._key.cache_clear()


@pytest.mark.parametrize("home", ["none", "others may write", "cut key"])
def test_without_a_place_for_the_key_conversions_serve_one_process(tmp_path, conversions, home, monkeypatch):
    cache_home = tmp_path / "user" / "grapheme_numba"
    cache_home.mkdir(parents=True, mode=0o700)
    if home == "others may write":
        cache_home.chmod(0o777)
    if home == "cut key":
        (cache_home / cache_folders.KEY).write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull if home == "none" else str(tmp_path / "user"))
    path = write(tmp_path / "a.jsonl")
    for n_conversion in (1, 2):
        cache_folders._key.cache_clear()
        assert open_dataset(path).n_rows == open_dataset(path).n_rows == 40
        assert len(conversions) == n_conversion
    cache_folders._key.cache_clear()


def test_the_key_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(0)
    try:
        cache_folders._key.cache_clear()
        key = cache_folders._key()
    finally:
        os.umask(before)
    (found,) = (tmp_path / "grapheme_numba").iterdir()
    assert (found.read_bytes(), found.stat().st_mode & 0o777, len(set(key)) > 8) == (key, 0o600, True)
    cache_folders._key.cache_clear()
    assert cache_folders._key() == key
    cache_folders._key.cache_clear()


def test_another_version_of_the_format_is_made_again(tmp_path, conversions, monkeypatch):
    path = write(tmp_path / "a.jsonl")
    open_dataset(path)
    monkeypatch.setattr(cache, "VERSION", 2)
    open_dataset(path)
    assert len(conversions) == 2


def test_data_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl")
    real = cache.convert

    def convert_and_append(names, target, **options):
        done = real(names, target, **options)
        write(path, seed=1)
        return done

    monkeypatch.setattr(cache, "convert", convert_and_append)
    with pytest.raises(RecordError, match="a.jsonl changed while it was read; run again"):
        open_dataset(path)
    assert not list((tmp_path / ".grapheme_cache").glob("*.parquet"))


def test_old_conversions_do_not_pile_up(tmp_path):
    for seed in range(5):
        path = write(tmp_path / "a.jsonl", seed=seed)
        open_dataset(path)
    write(tmp_path / "b.jsonl")
    open_dataset(tmp_path / "b.jsonl")
    names = [file.name for file in (tmp_path / ".grapheme_cache").glob("*.parquet")]
    assert len([name for name in names if name.startswith("a.jsonl")]) == cache.KEPT
    assert len([name for name in names if name.startswith("b.jsonl")]) == 1


def test_a_folder_that_cannot_be_written_falls_back_to_the_user_cache(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    assert open_dataset(path).n_rows == 40
    assert len(list((tmp_path / "user" / "grapheme_numba" / "data").glob("a.jsonl-*.parquet"))) == 1
    assert (tmp_path / "user" / "grapheme_numba" / "data").stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / ".grapheme_cache").glob("*.parquet"))


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o702])
def test_a_folder_that_others_can_write_is_not_trusted(tmp_path, monkeypatch, mode):
    """What lies there may be planted, and its lock may be a link to a file of ours."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    path = write(tmp_path / "a.jsonl")
    before = open_dataset(path).fingerprint
    ours = tmp_path / ".grapheme_cache"
    (parquet,) = ours.glob("*.parquet")
    (lock,) = ours.glob("*.lock")
    open_dataset(write(tmp_path / "b.jsonl", seed=1))
    (planted,) = ours.glob("b.jsonl-*.parquet")
    planted.rename(parquet)
    (tmp_path / "thesis").write_text("precious")
    lock.unlink()
    lock.symlink_to(tmp_path / "thesis")
    ours.chmod(mode)
    assert open_dataset(path).fingerprint == before
    assert (tmp_path / "thesis").read_text() == "precious"


def test_a_folder_that_is_a_link_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / ".grapheme_cache").symlink_to(tmp_path / "elsewhere")
    open_dataset(write(tmp_path / "a.jsonl"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_lock_that_is_a_link_is_refused_and_not_followed(tmp_path):
    path = write(tmp_path / "a.jsonl")
    open_dataset(path)
    (lock,) = (tmp_path / ".grapheme_cache").glob("*.lock")
    (tmp_path / "thesis").write_text("precious")
    lock.unlink()
    lock.symlink_to(tmp_path / "thesis")
    with pytest.raises(OutputError, match=r"cannot lock .*\.lock: .*; remove it or make it writable"):
        open_dataset(path)
    assert (tmp_path / "thesis").read_text() == "precious"


def test_a_user_cache_that_others_can_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(cache.os, "access", lambda *_: False)
    (tmp_path / "user" / "grapheme_numba" / "data").mkdir(parents=True)
    (tmp_path / "user" / "grapheme_numba" / "data").chmod(0o777)
    with pytest.raises(UsageError, match=r"the data cache .* can be written by others \(mode 0777\), so what it holds"):
        open_dataset(write(tmp_path / "a.jsonl"))


@pytest.mark.parametrize("mask", [0o002, 0o000, 0o022])
def test_what_we_make_under_any_umask_we_accept_again(tmp_path, conversions, mask):
    before = os.umask(mask)
    try:
        path = write(tmp_path / "a.jsonl")
        assert open_dataset(path).fingerprint == open_dataset(path).fingerprint
    finally:
        os.umask(before)
    assert len(conversions) == 1
    assert (tmp_path / ".grapheme_cache").stat().st_mode & 0o777 == 0o700


def test_without_cache_nothing_stays(tmp_path):
    path = write(tmp_path / "a.jsonl")
    dataset = open_dataset(path, cache=False)
    (file,) = dataset.files
    assert dataset.n_rows == 40
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]
    folder = file.parent
    dataset.close()
    assert not folder.exists()


def test_runs_at_the_same_time_convert_once(tmp_path, conversions):
    path, found = write(tmp_path / "a.jsonl", 200), []
    threads = [threading.Thread(target=lambda: found.append(open_dataset(path).fingerprint)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(conversions) == 1


def test_packed_and_plain_lines_give_the_same_data(tmp_path):
    path = write(tmp_path / "a.jsonl")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert open_dataset(tmp_path / "b.jsonl.gz").fingerprint == open_dataset(path).fingerprint


def test_one_bad_line_is_named_with_the_way_out(tmp_path):
    path = write(tmp_path / "a.jsonl")
    path.write_text(path.read_text() + '{"id": 3}\n')
    with pytest.raises(RecordError, match=r"a.jsonl, line 41: id must be a string, got a number \(1 of 41 lines"):
        open_dataset(path)
    assert not list((tmp_path / ".grapheme_cache").glob("*.parquet"))
    path.write_text("\n")
    with pytest.raises(RecordError, match="holds no line; at least one example is needed"):
        open_dataset(path)
    with pytest.raises(MissingInputError, match="does not exist"):
        open_dataset(tmp_path / "b.jsonl")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"a.csv is a table; name the column of the answers with --target, of a, b"):
        source.open_dataset(tmp_path / "a.csv")
