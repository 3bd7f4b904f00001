"""Checkpoints: what is written comes back, what is damaged is refused."""

import hashlib
import json
import os

import numpy as np
import pytest
from mutants import mutants
from runs import sample

from grapheme_numba.errors import CheckpointError, GraphemeError, MissingInputError
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import MANIFEST, MODEL, Checkpoint


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
    data = b"".join(bytes(part) for part in checkpoints.tensor_file_parts(arrays))
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
    (folder / MANIFEST).write_text(json.dumps({**fields, "sha256": checkpoints.manifest_digest(fields)}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 4}, r"format version 4, this program knows up to 3; install a newer grapheme_numba"),
        ({"format": "other"}, r"is not the manifest of a checkpoint"),
        ({"files": {"../../etc/passwd": {"n_byte": 1, "sha256": ""}}}, r"lists the files .*wanted only"),
        ({"files": {}}, r"lists the files \[\]"),
        ({"progress": {"epoch": "x"}}, r"does not hold what version [13] should: .*progress"),
        ({"config": {"epohcs": 1}}, r"unknown key 'epohcs'"),
        ({"config": {"optimizer": "sgd"}}, r"holds optimizer moments \['mu', 'nu'\], but sgd needs"),
    ],
)
def test_a_manifest_that_means_something_else_is_refused(tmp_path, changes, message):
    saved(tmp_path / "c")
    rewrite_manifest(tmp_path / "c", **changes)
    with pytest.raises(CheckpointError, match=message):
        checkpoints.read(tmp_path / "c")


def test_a_checkpoint_from_before_a_key_was_renamed_keeps_its_value(tmp_path):
    saved(tmp_path / "c")
    rewrite_manifest(tmp_path / "c", config={"epochs": 7, "shards": 4})
    assert checkpoints.read(tmp_path / "c").config.gradient_shards == 4


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
    data = b"".join(bytes(part) for part in checkpoints.tensor_file_parts({**named, **arrays}))
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
def test_three_thousand_mutants_of_a_checkpoint(tmp_path, figure):
    silent, refused = check_mutants(tmp_path / "c", 3000)
    figure(
        "damaged checkpoints",
        f"{refused} of 3000 refused, {3000 - refused - silent} load as what was saved, {silent} as another, no crash",
    )
    assert silent == 0
