"""What happens around a run: another run in its folder, a folder taken away, a full disk, files that are no files."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import partial

import pytest
from runs import Recorder, digest, rows_without_clock, sample, small_data, train

from grapheme_numba.errors import CheckpointError, MissingInputError, OutputError, StoppedEarly, UsageError
from grapheme_numba.files import storage
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import MANIFEST, MODEL


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(data, folder, save_every=2)
    return folder


def stopped(data, folder, step: int, **options):
    """A run that has stopped after so many steps."""
    with pytest.raises(StoppedEarly):
        train(data, folder, max_steps=step, save_every=2, **options)


def test_going_on_from_an_older_checkpoint_sets_the_later_ones_aside(tmp_path, data, whole):
    run = tmp_path / "run"
    stopped(data, run, 8)
    recorder = Recorder()
    stopped(data, run, 5, resume=str(run / "checkpoint_step_00000004"), observer=recorder, override=True, lr=1e-4)
    assert sorted(path.name for path in (run / "set_aside_1").iterdir()) == [
        "checkpoint_last",
        "checkpoint_step_00000006",
    ]
    assert [note for note in recorder.notes if "checkpoint_last is later than where this run resumes" in note]
    (run / "checkpoint_last" / MODEL).write_bytes(b"broken")
    found, _ = run_folder.newest(run)
    assert found.progress.step == 4  # and not 6, of the future that was given up
    train(data, run, resume="auto", override=True, lr=0.01)
    assert digest(run) == digest(whole)
    assert digest(run / "set_aside_1") != digest(run)


def test_a_damaged_checkpoint_passed_over_is_set_aside_once(tmp_path, data, whole):
    run = tmp_path / "run"
    stopped(data, run, 6)
    (run / "checkpoint_last" / MANIFEST).write_bytes(b"broken")
    train(data, run, resume="auto")
    assert (run / "set_aside_1" / "checkpoint_last" / MANIFEST).read_bytes() == b"broken"
    assert digest(run) == digest(whole)
    train(data, run, resume="auto")
    assert not (run / "set_aside_2").exists()


def test_nothing_is_set_aside_where_nothing_is_later(tmp_path):
    for step in (1, 2, 3):
        run_folder.save_last(tmp_path, sample(step), keep=3)
    assert run_folder.set_aside_later(tmp_path, sample(3)) == []
    assert [path.name for path in run_folder.set_aside_later(tmp_path, sample(1))] == [
        "checkpoint_step_00000002",
        "checkpoint_last",
    ]
    assert run_folder.newest(tmp_path)[0].progress.step == 1


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(tmp_path, data, whole):
    said = []

    class Intruder(Recorder):
        def epoch_closed(self, rows):
            if len(said) < 2:
                with pytest.raises(UsageError) as caught:
                    train(data, tmp_path / "run", resume="auto")
                said.append(str(caught.value))

    train(data, tmp_path / "run", observer=Intruder(), save_every=2)
    assert len(said) == 2
    assert all(text.startswith(f"another run is writing to {tmp_path / 'run'}; wait until it ends") for text in said)
    assert digest(tmp_path / "run") == digest(whole)


def test_a_folder_that_another_run_saved_in_meanwhile_is_refused(tmp_path, data):
    def meanwhile(run):
        train(data, tmp_path / "run", epochs=1)

    with pytest.raises(UsageError, match="another run has saved in .* since this one looked there; start it again"):
        train(data, tmp_path / "run", before=meanwhile)


class Disturber(Recorder):
    """Does something to a run's folder after its second epoch."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def epoch_closed(self, rows):
        if rows[0]["epoch"] == 2:
            self.act()


def test_a_folder_taken_away_during_the_run_is_an_error_and_not_made_again(tmp_path, data):
    observer = Disturber(lambda: shutil.rmtree(tmp_path / "run"))
    match = r"cannot write .*No such file or directory; its folder was taken away during the run; start again"
    with pytest.warns(UserWarning, match="no new report.html"), pytest.raises(OutputError, match=match):
        train(data, tmp_path / "run", observer=observer)
    assert not (tmp_path / "run").exists()


def successor(run):
    """Move a run's folder away and put another run's in its place; what that one holds, by path."""
    other = run.with_name("other")
    other.mkdir()
    for step in (1, 2, 3):
        run_folder.save_last(other, sample(step), keep=3)
    run_folder.save_best(other, sample(2))
    (other / "metrics.jsonl").write_text("rows of another\n")
    run.rename(run.with_name("moved"))
    other.rename(run)
    return contents(run)


def contents(folder):
    return {path: (path.stat().st_ino, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


PRIMITIVES = ("create", "write", "fsync", "rename", "make_folder", "remove", "append_line", "sync_file")


@pytest.mark.filterwarnings("ignore:no new report.html")
def test_a_run_whose_folder_was_moved_never_writes_into_its_successors(tmp_path, data, whole):
    """The folder is moved before any touch of the disk that a run makes; another run's is there at once."""
    for moment in itertools.count(0, 11):
        place = tmp_path / str(moment)
        place.mkdir()
        calls, theirs = itertools.count(), {}

        def moved_first(real, *arguments, at=moment, run=place / "run", calls=calls, theirs=theirs):
            if run.exists() and not run.with_name("other").exists() and next(calls) == at:
                theirs.update(successor(run))
            return real(*arguments)

        with pytest.MonkeyPatch.context() as patched:
            for name in PRIMITIVES:
                patched.setattr(storage, name, partial(moved_first, getattr(storage, name)))
            try:
                train(data, place / "run", save_every=2)
                ended = None
            except OutputError as error:
                ended = str(error)
        if not theirs:
            break
        assert contents(place / "run") == theirs, moment
        # A run whose last touch it was has nothing left to write.
        assert ended is None or f"{place / 'run'} was moved or replaced during the run" in ended
        if ended:
            assert f"what this run saved is in {place / 'moved'}" in ended
    assert moment > 100
    train(data, tmp_path / "110" / "moved", resume="auto", save_every=2)
    assert digest(tmp_path / "110" / "moved") == digest(whole)


TRAIN = ["--hidden", "16", "--fan-in", "8", "--batch-size", "16", "--save-every", "1", "--keep-last", "2", "--quiet"]


def started(data, folder, epochs):
    """A run in a process of its own."""
    program = [sys.executable, "-m", "grapheme_numba.cli.train", "agi", "--data", data, "--output", folder, *TRAIN]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [*map(str, program), "--epochs", str(epochs)]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True)


def until_saved(process, folder, step):
    """Wait until a run has saved so many steps."""
    while process.poll() is None:
        with suppress(MissingInputError, CheckpointError, OSError):
            if checkpoints.read_manifest(folder / "checkpoint_last").progress.step >= step:
                return
    raise AssertionError(process.communicate())


@pytest.mark.long
def test_a_folder_moved_while_two_runs_write(tmp_path, data, figure):
    """The first run's folder is moved at a random moment, and a second run begins under its name at once."""
    n, draw = int(os.environ.get("GRAPHEME_MOVED", "20")), random.Random(7)
    alone = started(data, tmp_path / "alone", 12)
    assert alone.communicate()[1] == ""
    for number in range(n):
        place = tmp_path / str(number)
        place.mkdir()
        first = started(data, place / "run", 100_000)
        until_saved(first, place / "run", draw.randint(1, 60))
        (place / "run").rename(place / "moved")
        second = started(data, place / "run", 12)
        said = first.communicate()[1]
        assert first.returncode == 74, said
        last = said.splitlines()[-1]  # before it may stand: no new report
        assert "was moved or replaced during the run" in last or "was taken away during the run" in last, said
        assert "Traceback" not in said
        assert (second.communicate()[1], second.returncode) == ("", 0)
        assert digest(place / "run") == digest(tmp_path / "alone")
        assert checkpoints.read(place / "moved" / "checkpoint_last").progress.step > 0
        shutil.rmtree(place)
    figure(
        "a run's folder moved while it writes and another run writes under its name",
        f"{n} of {n} first runs end with 74 and touch nothing of the second, which ends with the bits of one alone",
    )


def test_rows_taken_away_during_the_run_are_written_again(tmp_path, data, whole):
    def act():
        (tmp_path / "run" / "metrics.jsonl").unlink()

    train(data, tmp_path / "run", observer=Disturber(act), save_every=2)
    assert rows_without_clock(tmp_path / "run") == rows_without_clock(whole)


LIMITED = """
import resource, sys
from grapheme_numba.cli.train import main
from grapheme_numba.runs import run_folder
save, saved = run_folder.save_last, []
def limited(*arguments):
    if len(saved) == 3:  # from here on every file is full at 4 KB, as a disk that has run out of room
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    saved.append(save(*arguments))
    return saved[-1]
run_folder.save_last = limited
main(sys.argv[1:])
"""


def test_a_disk_that_fills_up_during_a_save_leaves_the_last_checkpoint(tmp_path, data):
    options = ["--hidden", "16", "--fan-in", "8", "--batch-size", "16", "--save-every", "2", "--quiet", "--epochs", "3"]
    program = [sys.executable, "-c", LIMITED, "agi", "--data", data, "--output", tmp_path / "run", *options]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*map(str, program)], env=variables, capture_output=True, text=True)
    assert done.returncode == 74, done.stderr
    last = done.stderr.splitlines()[-1]
    path, why = tmp_path / "run" / "checkpoint_last", "File too large; what was there before is intact; make room"
    assert last.startswith(f"error: cannot write {path}: {why}")
    assert "Traceback" not in done.stderr
    assert checkpoints.read(tmp_path / "run" / "checkpoint_last").progress.step == 4
    assert not list((tmp_path / "run").glob(f"{storage.TEMPORARY}*"))
    train(data, tmp_path / "run", resume="auto")


def test_one_checkpoint_kept_and_saved_at_every_step(tmp_path, data, whole):
    train(data, tmp_path / "run", save_every=1, keep_last=1)
    assert digest(tmp_path / "run") == digest(whole)
    folders = sorted(path.name for path in (tmp_path / "run").glob("checkpoint*"))
    assert folders == ["checkpoint_best", "checkpoint_last"]


@pytest.mark.parametrize("name", [MODEL, MANIFEST])
def test_a_pipe_or_a_device_in_a_checkpoint_is_refused_at_once(tmp_path, name):
    checkpoints.write(sample(), tmp_path / "c")
    (tmp_path / "c" / name).unlink()
    (tmp_path / "c" / name).symlink_to("/dev/zero")
    with pytest.raises((CheckpointError, OSError), match=r"is no plain file|holds no checkpoint"):
        checkpoints.read(tmp_path / "c")
    (tmp_path / "c" / name).unlink()
    os.mkfifo(tmp_path / "c" / name)
    with pytest.raises((CheckpointError, OSError), match=r"is no plain file|holds no checkpoint"):
        checkpoints.read(tmp_path / "c")


def test_links_in_a_run_are_replaced_and_never_written_through(tmp_path, data):
    """A checkpoint that is a link elsewhere, or a half-written name that somebody prepared."""
    run, outside = tmp_path / "run", tmp_path / "outside"
    stopped(data, run, 4)
    (run / "checkpoint_last").rename(outside)
    (run / "checkpoint_last").symlink_to(outside)
    (run / f"{storage.TEMPORARY}{os.getpid()}-checkpoint_last").symlink_to(tmp_path)
    (run / f"{storage.TEMPORARY}{os.getpid()}-config.toml").symlink_to(tmp_path / "written")
    before = {path: path.read_bytes() for path in outside.iterdir()}
    train(data, run, resume="auto", save_every=2)
    assert {path: path.read_bytes() for path in outside.iterdir()} == before
    assert not (run / "checkpoint_last").is_symlink()
    assert not (tmp_path / "written").exists()
    assert not (tmp_path / MODEL).exists()


@pytest.mark.parametrize("names", [["../x"], ["/etc/passwd"], [MODEL, "../../x"], ["sub/model.safetensors"]])
def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path, names):
    checkpoints.write(sample(), tmp_path / "c")
    fields = json.loads((tmp_path / "c" / MANIFEST).read_text())
    entry = fields["files"][MODEL]
    fields["files"] = dict.fromkeys(names, entry)
    del fields["sha256"]
    sealed = {**fields, "sha256": checkpoints.manifest_digest(fields)}
    (tmp_path / "c" / MANIFEST).write_text(json.dumps(sealed))
    with pytest.raises(CheckpointError, match=r"lists the files .*wanted only 'model.safetensors'"):
        checkpoints.read(tmp_path / "c")
