"""A checkpoint: a folder with `model.safetensors` and `manifest.json`, complete or not there at all.

Vectors are stored in the caller's order of edges and nodes, so that a file outlives the engine's
internal order. Nothing in a checkpoint is executed: tensors and JSON, both verified by SHA-256.
"""

import hashlib
import stat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from grapheme_numba import __version__
from grapheme_numba.errors import CheckpointError, MissingInputError, UsageError
from grapheme_numba.files import storage
from grapheme_numba.optim.optimizers import OptimizerState, restore
from grapheme_numba.training import config as configs
from grapheme_numba.training import manifest as manifests
from grapheme_numba.training import tensors
from grapheme_numba.training.config import Config
from grapheme_numba.training.progress import Progress

MODEL = "model.safetensors"
MANIFEST = "manifest.json"


class Checkpoint(NamedTuple):
    """A run at one moment.

    task, config, layout, progress, baseline, fingerprint : what it is, where it stands, and of what data
    topology : arrays of `DagNN.topology`
    parameters : (n,) weights | biases | embedding, in the caller's order
    optimizer : state with moments in the same order
    gradient : (n,) sums not yet applied, or None between two steps
    """

    task: str
    config: Config
    layout: dict[str, Any]
    progress: Progress
    baseline: dict[str, Any]
    fingerprint: str
    topology: dict[str, np.ndarray]
    parameters: np.ndarray
    optimizer: OptimizerState
    gradient: np.ndarray | None


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write and fsync all files of `checkpoint` into the new folder `folder`, the manifest last."""
    storage.make_folder(folder)
    passed = tensors.Digest()
    storage.write_new(folder / MODEL, passed.passing(tensors.file_parts(named_arrays(checkpoint))))
    manifest = manifest_of(checkpoint, {MODEL: manifests.FileEntry(passed.n_byte, passed.sha256)})
    storage.write_new(folder / MANIFEST, [manifests.to_bytes(manifest)])
    storage.fsync_folder(folder)


def named_arrays(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint by their names in the file."""
    named = {"parameters": checkpoint.parameters}
    named |= {f"optimizer.{name}": array for name, array in checkpoint.optimizer.moments.items()}
    named |= {f"topology.{name}": np.asarray(array) for name, array in checkpoint.topology.items()}
    if checkpoint.gradient is not None:
        named["gradient"] = checkpoint.gradient
    return named


def manifest_of(checkpoint: Checkpoint, files: dict[str, manifests.FileEntry]) -> manifests.Manifest:
    """All of a checkpoint but its tensors, and the `files` that hold those."""
    return manifests.Manifest(
        format=manifests.FORMAT,
        version=manifests.VERSION,
        package=__version__,
        task=checkpoint.task,
        config=msgspec.to_builtins(checkpoint.config),
        layout=checkpoint.layout,
        progress=checkpoint.progress,
        optimizer_count=checkpoint.optimizer.count,
        baseline=checkpoint.baseline,
        fingerprint=checkpoint.fingerprint,
        files=files,
    )


def read(folder: str | Path) -> Checkpoint:
    """Read and verify the checkpoint in `folder`.

    Raises
    ------
    MissingInputError
        There is no such folder, or it is not a checkpoint.
    CheckpointError
        It is damaged, of a newer version, or its parts do not fit each other.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise MissingInputError(f"{folder} holds no checkpoint ({MANIFEST} is missing); give a checkpoint's folder")
    manifest = read_manifest(folder)
    if set(manifest.files) != {MODEL}:
        raise CheckpointError(f"{folder / MANIFEST} lists the files {sorted(manifest.files)}, wanted only {MODEL!r}")
    entry = manifest.files[MODEL]
    data = read_limited(folder / MODEL, entry.n_byte)
    if len(data) != entry.n_byte or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise CheckpointError(
            f"{folder / MODEL} is damaged: {len(data)} bytes with another sha256 than its manifest "
            f"({entry.n_byte} bytes) says; use another checkpoint"
        )
    return assemble(manifest, tensors.parse(data, str(folder / MODEL)), folder)


def read_manifest(folder: Path) -> manifests.Manifest:
    """The verified manifest of a checkpoint. Raises CheckpointError."""
    return manifests.from_bytes(read_limited(folder / MANIFEST, manifests.MOST_BYTES), str(folder / MANIFEST))


def assemble(manifest: manifests.Manifest, arrays: dict[str, np.ndarray], folder: Path) -> Checkpoint:
    """A Checkpoint of verified parts. Raises CheckpointError where they do not fit each other."""
    parts: dict[str, dict] = {"optimizer": {}, "topology": {}}
    for name in [name for name in arrays if "." in name]:
        group, _, rest = name.partition(".")
        if group not in parts:
            raise CheckpointError(f"{folder} holds the unknown tensor {name!r}; use another checkpoint")
        parts[group][rest] = arrays.pop(name)
    gradient, parameters = arrays.pop("gradient", None), arrays.pop("parameters", None)
    if arrays or parameters is None or parameters.ndim != 1 or parameters.dtype.kind != "f":
        raise CheckpointError(f"{folder} needs one float vector 'parameters' and no tensors {sorted(arrays)}")
    if gradient is not None and (gradient.shape, gradient.dtype) != (parameters.shape, parameters.dtype):
        raise CheckpointError(
            f"{folder}: gradient is {gradient.dtype}{gradient.shape}, "
            f"but the parameters are {parameters.dtype}{parameters.shape}"
        )
    try:
        config = configs.build((f"{folder / MANIFEST}", manifest.config))
    except UsageError as error:
        raise CheckpointError(str(error)) from None
    return Checkpoint(
        task=manifest.task,
        config=config,
        layout=manifest.layout,
        progress=manifest.progress,
        baseline=manifest.baseline,
        fingerprint=manifest.fingerprint,
        topology=parts["topology"],
        parameters=parameters,
        optimizer=restore(config.optimizer, manifest.optimizer_count, parts["optimizer"], parameters),
        gradient=gradient,
    )


def read_limited(path: Path, most: int) -> bytes:
    """The bytes of a plain file of at most `most`. Raises CheckpointError when it cannot be read, or is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is no plain file; use another checkpoint")
        if status.st_size > most:
            raise CheckpointError(f"{path} has {status.st_size} bytes, wanted {most} at most; it is damaged")
        with path.open("rb") as file:
            return file.read(status.st_size + 1)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}; use another checkpoint") from None
