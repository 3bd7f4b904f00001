"""Checkpoints: what is written comes back, what is damaged is refused, and a failed save destroys nothing."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest
from mutants import mutants

from grapheme_numba.errors import CheckpointError, GraphemeError, MissingInputError, OutputError
from grapheme_numba.training import checkpoint as checkpoints
from grapheme_numba.training import manifest as manifests
from grapheme_numba.training import run_folder, storage, tensors
from grapheme_numba.training.checkpoint import MANIFEST, MODEL, Checkpoint
from grapheme_numba.training.config import Config
from grapheme_numba.training.optimizers import OptimizerState
from grapheme_numba.training.progress import Progress, Tally


def sample(step: int = 1, n: int = 6) -> Checkpoint:
    """A small checkpoint whose parameters are all `step`."""
    vector = np.full(n, step, np.float32)
    return Checkpoint(
        task="agi",
        config=Config(epochs=7),
        layout={"domains": []},
        progress=Progress(epoch=1, step=step, best_loss=0.1 + step / 3, tally={"math": Tally(3, 0.1, 0.7)}),
        baseline={},
        fingerprint="ab+cd",
        topology={"senders": np.arange(3), "activation": np.zeros(4, np.uint8), "n_node": np.array(4)},
        parameters=vector,
        optimizer=OptimizerState(step, {"mu": vector * 2, "nu": vector * 3}),
        gradient=None,
    )


def saved(folder, **options) -> Checkpoint:
    """A checkpoint written to `folder`."""
    checkpoint = sample(**options)
    checkpoints.write(checkpoint, folder)
    return checkpoint


def test_a_checkpoint_comes_back_equal(tmp_path):
    whole = saved(tmp_path / "c")
    back = checkpoints.read(tmp_path / "c")
    for field in ("task", "config", "layout", "progress", "baseline", "fingerprint", "gradient"):
        assert getattr(back, field) == getattr(whole, field)
    np.testing.assert_array_equal(back.parameters, whole.parameters)
    assert back.optimizer.count == 1
    for name, array in whole.optimizer.moments.items():
        np.testing.assert_array_equal(back.optimizer.moments[name], array)
    assert {name: array.tolist() for name, array in back.topology.items()} == {
        name: array.tolist() for name, array in whole.topology.items()
    }


def test_the_gradient_between_two_steps_comes_back(tmp_path):
    checkpoints.write(sample()._replace(gradient=np.arange(6, dtype=np.float32)), tmp_path / "c")
    assert checkpoints.read(tmp_path / "c").gradient.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_tensor_file_is_plain_safetensors(tmp_path):
    import safetensors.numpy

    arrays = {"b": np.arange(5.0), "a": np.zeros((2, 0), np.float32), "c": np.array(3, np.int32)}
    data = b"".join(bytes(part) for part in tensors.file_parts(arrays))
    back = safetensors.numpy.load(data)
    assert {name: (a.dtype, a.tolist()) for name, a in back.items()} == {
        name: (a.dtype, a.tolist()) for name, a in arrays.items()
    }


def test_file_modes_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        saved(tmp_path / "c")
    finally:
        os.umask(before)
    assert {(tmp_path / "c" / name).stat().st_mode & 0o777 for name in (MODEL, MANIFEST)} == {0o640}


def rewrite_manifest(folder, **changes) -> None:
    """Change fields of a manifest and seal it again, as an attacker or a newer program would."""
    fields = json.loads((folder / MANIFEST).read_text())
    fields.pop("sha256")
    fields.update(changes)
    (folder / MANIFEST).write_text(json.dumps({**fields, "sha256": manifests.digest(fields)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, r"format version 2, this program knows up to 1; install a newer grapheme_numba"),
        ({"format": "other"}, r"is not the manifest of a checkpoint"),
        ({"files": {"../../etc/passwd": {"n_byte": 1, "sha256": ""}}}, r"lists the files .*wanted only"),
        ({"files": {}}, r"lists the files \[\]"),
        ({"progress": {"epoch": "x"}}, r"does not hold what version 1 should: .*progress"),
        ({"config": {"epohcs": 1}}, r"unknown key 'epohcs'"),
        ({"config": {"optimizer": "sgd"}}, r"holds optimizer moments \['mu', 'nu'\], but sgd needs"),
    ],
)
def test_a_manifest_that_means_something_else_is_refused(tmp_path, changes, message):
    saved(tmp_path / "c")
    rewrite_manifest(tmp_path / "c", **changes)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.read(tmp_path / "c")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"parameters": np.zeros((2, 3), np.float32)}, r"needs one float vector 'parameters'"),
        ({"parameters": np.zeros(6, np.int32)}, r"needs one float vector 'parameters'"),
        ({"extra": np.zeros(1)}, r"no tensors \['extra'\]"),
        ({"code.x": np.zeros(1)}, r"unknown tensor 'code.x'"),
        ({"gradient": np.zeros(3, np.float32)}, r"gradient is float32\(3,\), but the parameters are float32\(6,\)"),
        ({"optimizer.mu": np.zeros(3, np.float32)}, r"optimizer.mu is float32\(3,\)"),
    ],
)
def test_tensors_of_another_shape_are_refused(tmp_path, arrays, message):
    whole = saved(tmp_path / "c")
    named = {"parameters": whole.parameters, "optimizer.mu": whole.parameters, "optimizer.nu": whole.parameters}
    data = b"".join(bytes(part) for part in tensors.file_parts({**named, **arrays}))
    (tmp_path / "c" / MODEL).write_bytes(data)
    entry = {"n_byte": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewrite_manifest(tmp_path / "c", files={MODEL: entry})
    with pytest.raises(CheckpointError, match=message):
        checkpoints.read(tmp_path / "c")


def test_a_folder_without_manifest_is_no_checkpoint(tmp_path):
    with pytest.raises(MissingInputError, match=r"holds no checkpoint \(manifest.json is missing\)"):
        checkpoints.read(tmp_path)
    with pytest.raises(MissingInputError, match="does not exist"):
        run_folder.find(tmp_path / "nowhere")


def test_a_missing_tensor_file_is_named(tmp_path):
    saved(tmp_path / "c")
    (tmp_path / "c" / MODEL).unlink()
    with pytest.raises(CheckpointError, match=r"model.safetensors cannot be read: No such file"):
        checkpoints.read(tmp_path / "c")


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether two checkpoints hold the same."""
    return (
        a._replace(topology=None, parameters=None, optimizer=None)
        == b._replace(topology=None, parameters=None, optimizer=None)
        and a.parameters.tobytes() == b.parameters.tobytes()
        and {k: v.tobytes() for k, v in a.optimizer.moments.items()}
        == {k: v.tobytes() for k, v in b.optimizer.moments.items()}
        and a.optimizer.count == b.optimizer.count
        and {k: v.tobytes() for k, v in a.topology.items()} == {k: v.tobytes() for k, v in b.topology.items()}
    )


def check_mutants(folder, n: int) -> tuple[int, int]:
    """(silently different, refused) among mutants of both files of a checkpoint."""
    whole = saved(folder)
    silent = refused = 0
    for name in (MODEL, MANIFEST):
        data = (folder / name).read_bytes()
        for changed in mutants(data, n // 2, 5):
            (folder / name).write_bytes(changed)
            try:
                silent += not same(checkpoints.read(folder), whole)
            except GraphemeError:
                refused += 1
        (folder / name).write_bytes(data)
    return silent, refused


def test_no_mutant_of_a_checkpoint_loads_as_another(tmp_path):
    silent, refused = check_mutants(tmp_path / "c", 400)
    assert silent == 0
    assert refused > 350


@pytest.mark.long
def test_three_thousand_mutants_of_a_checkpoint(tmp_path):
    assert check_mutants(tmp_path / "c", 3000)[0] == 0


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


class Faults:
    """Counts the operations on the disk and lets the `at`-th fail, or write only half of its bytes and then fail."""

    NAMES = ("create", "write", "fsync", "rename", "make_folder", "remove")

    def __init__(self, monkeypatch, at: int | None, code: int):
        self.seen, self.at, self.code = 0, at, code
        for name in self.NAMES:
            monkeypatch.setattr(storage, name, self.wrapped(name, getattr(storage, name)))

    def wrapped(self, name, real):
        def operation(*arguments):
            self.seen += 1
            if self.seen == self.at:
                if name == "write":
                    real(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise OSError(self.code, os.strerror(self.code))
            return real(*arguments)

        return operation


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
def test_a_save_that_fails_anywhere_leaves_what_was_there(tmp_path, kind, code):
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
    assert at > {"last": 10, "best": 10, "file": 4}[kind]


def test_half_written_leftovers_are_swept(tmp_path):
    (tmp_path / f"{storage.TEMPORARY}1-checkpoint_last").mkdir()
    (tmp_path / f"{storage.TEMPORARY}2-config.toml").write_text("x")
    storage.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
