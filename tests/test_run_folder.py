"""A run's checkpoints: which stay, which is found, and that a save that fails anywhere destroys nothing."""

import errno
import os

import pytest
from faults import Faults
from runs import sample

from grapheme_numba.errors import CheckpointError, OutputError
from grapheme_numba.files import storage
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import MANIFEST, MODEL


def test_the_newest_checkpoints_stay_and_the_older_ones_go(tmp_path):
    for step in range(1, 7):
        run_folder.save_last(tmp_path, sample(step), keep=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint_last",
        "checkpoint_step_00000004",
        "checkpoint_step_00000005",
    ]
    assert run_folder.newest(tmp_path)[0].progress.step == 6


def test_a_damaged_newest_checkpoint_falls_back_and_says_so(tmp_path):
    run_folder.save_last(tmp_path, sample(1), keep=3)
    run_folder.save_last(tmp_path, sample(2), keep=3)
    (tmp_path / "checkpoint_last" / MODEL).write_bytes(b"nothing")
    found, notes = run_folder.newest(tmp_path)
    assert found.progress.step == 1
    assert len(notes) == 1
    assert "skipped checkpoint_last" in notes[0]
    assert "is damaged" in notes[0]
    run_folder.save_last(tmp_path, sample(3), keep=3)
    assert run_folder.newest(tmp_path)[0].progress.step == 3


def test_a_folder_with_only_damaged_checkpoints_is_an_error(tmp_path):
    run_folder.save_last(tmp_path, sample(1), keep=3)
    (tmp_path / "checkpoint_last" / MANIFEST).write_bytes(b"{")
    assert run_folder.newest(tmp_path)[0] is None
    with pytest.raises(CheckpointError, match="holds no whole checkpoint: skipped checkpoint_last"):
        run_folder.find(tmp_path)


def test_a_run_is_found_by_its_best_then_its_newest(tmp_path):
    run_folder.save_last(tmp_path, sample(1), keep=3)
    assert run_folder.find(tmp_path)[1].name == "checkpoint_last"
    run_folder.save_best(tmp_path, sample(5))
    run_folder.save_best(tmp_path, sample(6))
    assert run_folder.find(tmp_path)[0].progress.step == 6
    assert not (tmp_path / run_folder.PREVIOUS_BEST).exists()
    (tmp_path / run_folder.BEST).rename(tmp_path / run_folder.PREVIOUS_BEST)
    assert run_folder.find(tmp_path)[0].progress.step == 6


def save(kind: str, folder, checkpoint) -> None:
    """Save in one of the ways that a run does."""
    if kind == "last":
        run_folder.save_last(folder, checkpoint, keep=2)
    elif kind == "best":
        run_folder.save_best(folder, checkpoint)
    else:
        storage.write_file(folder / "file", str(checkpoint.progress.step).encode())


def held(kind: str, folder) -> int:
    """The step of what a reader finds."""
    if kind == "file":
        return int((folder / "file").read_text())
    return (run_folder.newest(folder)[0] if kind == "last" else run_folder.find(folder)[0]).progress.step


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("kind", ["last", "best", "file"])
def test_a_save_that_fails_anywhere_leaves_what_was_there(tmp_path, kind, code, figure):
    """Every operation of a save fails in turn, until a save passes clean."""
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        for step in (1, 2):
            save(kind, folder, sample(step))
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, at, code)
            try:
                save(kind, folder, sample(3))
                said = None
            except OutputError as error:
                said = str(error)
        assert said is None or os.strerror(code) in said
        assert held(kind, folder) in ((3,) if said is None else (2, 3))
        assert not list(folder.glob(f"{storage.TEMPORARY}*"))
        save(kind, folder, sample(4))
        assert held(kind, folder) == 4
        if faults.seen < at:
            break
    what = {"last": "the newest checkpoint", "best": "the best checkpoint", "file": "a file"}[kind]
    result = f"{at - 1} of {at - 1} leave what was there, or the new one, whole"
    figure(f"each operation of saving {what} fails with {errno.errorcode[code]}", result)
    assert at > {"last": 10, "best": 10, "file": 4}[kind]


def test_setting_aside_that_fails_anywhere_leaves_the_run_where_it_stood_or_where_it_goes_on(tmp_path):
    at, said = 0, "none yet"
    while said is not None:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        for step in (1, 2, 3):
            run_folder.save_last(folder, sample(step), keep=3)
        with pytest.MonkeyPatch.context() as patch:
            Faults(patch, at, errno.EIO)
            try:
                run_folder.set_aside_later(folder, sample(1))
                said = None
            except OutputError as error:
                said = str(error)
        assert said is None or os.strerror(errno.EIO) in said
        assert run_folder.newest(folder)[0].progress.step in ((1,) if said is None else (1, 3))
        run_folder.set_aside_later(folder, sample(1))
        assert run_folder.newest(folder)[0].progress.step == 1
    assert at > 4


def test_half_written_leftovers_are_swept(tmp_path):
    (tmp_path / f"{storage.TEMPORARY}1-checkpoint_last").mkdir()
    (tmp_path / f"{storage.TEMPORARY}2-config.toml").write_text("x")
    storage.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
