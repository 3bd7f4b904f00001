"""A checkpoint: a folder with `model.safetensors` and `manifest.json`, complete or not there at all.

Vectors are stored in the caller's order of edges and nodes, so that a file outlives the engine's
internal order. Nothing in a checkpoint is executed: tensors and JSON, both verified by SHA-256.

`manifest.json`: what a checkpoint holds and the digests that prove it, itself included.

Named arrays to and from one safetensors file, written without a second copy in memory.
"""

import hashlib
import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from grapheme_numba import __version__
from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.errors import CheckpointError, GraphemeError, MissingInputError, NonFiniteError, UsageError
from grapheme_numba.files import storage
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.network.parameters import in_order
from grapheme_numba.optim.optimizers import OptimizerState, gradient_norm, restore
from grapheme_numba.training import config as configs
from grapheme_numba.training.baseline import ConstantBaseline
from grapheme_numba.training.config import Config
from grapheme_numba.training.run import Run, RunState
from grapheme_numba.training.tasks import find_task

FORMAT = "grapheme_numba checkpoint"
# Readers of 1 know nothing of nodes that do not sum (2), those of 2 nothing of texts as tokens and of numbers whose
# code has other scales (3). A checkpoint has the lowest version whose readers understand it.
VERSION = 3
MOST_BYTES = 64 << 20


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Size and digest of a file beside the manifest."""

    n_byte: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest's fields. `files` may name only plain files of the checkpoint's own folder."""

    format: str
    version: int
    package: str
    task: str
    config: dict[str, Any]
    layout: dict[str, Any]
    progress: RunState
    optimizer_count: int
    baseline: dict[str, Any]
    fingerprint: str
    files: dict[str, FileEntry]


def manifest_bytes(manifest: Manifest) -> bytes:
    """The JSON text, with the digest of all other fields as `sha256`."""
    fields = msgspec.to_builtins(manifest)
    return json.dumps({**fields, "sha256": manifest_digest(fields)}, indent=1, allow_nan=False).encode() + b"\n"


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest in `data`. Raises CheckpointError for damage, another format, a newer version."""
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{where} is damaged: {error}; use another checkpoint") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise CheckpointError(f"{where} is not the manifest of a checkpoint of this program; give its folder")
    version = fields.get("version")
    if isinstance(version, int) and version > VERSION:
        raise CheckpointError(
            f"{where} has format version {version}, this program knows up to {VERSION}; install a newer grapheme_numba"
        )
    if fields.pop("sha256", None) != manifest_digest(fields):
        raise CheckpointError(f"{where} is damaged: its content does not have its sha256; use another checkpoint")
    try:
        return msgspec.convert(fields, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CheckpointError(f"{where} does not hold what version {version} should: {error}") from None


def manifest_digest(fields: dict[str, Any]) -> str:
    """SHA-256 of the fields in one canonical spelling."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


DTYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


def tensor_file_parts(tensors: Mapping[str, npt.NDArray[Any]]) -> Iterator[storage.Buffer]:
    """The buffers of a safetensors file in order: header length, header, then each array.

    `safetensors.numpy.save` would build the file as one more bytes object, as large as the model.
    """
    arrays = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    header, offset = {}, 0
    for name, array in arrays.items():
        span = [offset, offset + array.nbytes]
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for array in arrays.values():
        if array.nbytes:
            yield array.reshape(-1).view(np.uint8).data


class Digest:
    """SHA-256 and length of buffers as they pass by."""

    def __init__(self) -> None:
        self.n_byte = 0
        self._sha256 = hashlib.sha256()

    def passing(self, parts: Iterable[storage.Buffer]) -> Iterator[storage.Buffer]:
        """Yield `parts` unchanged."""
        for part in parts:
            self._sha256.update(part)
            self.n_byte += len(part)
            yield part

    @property
    def sha256(self) -> str:
        """Hex digest of what has passed."""
        return self._sha256.hexdigest()


def parse_tensors(data: bytes, where: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a safetensors file. Raises CheckpointError when it is not one."""
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{where} is not a safetensors file: {error}; use another checkpoint") from None


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
    progress: RunState
    baseline: dict[str, Any]
    fingerprint: str
    topology: dict[str, npt.NDArray[Any]]
    parameters: npt.NDArray[Any]
    optimizer: OptimizerState
    gradient: npt.NDArray[Any] | None


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write and fsync all files of `checkpoint` into the new folder `folder`, the manifest last."""
    storage.make_folder(folder)
    passed = Digest()
    storage.write_new(folder / MODEL, passed.passing(tensor_file_parts(named_arrays(checkpoint))))
    manifest = manifest_of(checkpoint, {MODEL: FileEntry(passed.n_byte, passed.sha256)})
    storage.write_new(folder / MANIFEST, [manifest_bytes(manifest)])
    storage.fsync_folder(folder)


def named_arrays(checkpoint: Checkpoint) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a checkpoint by their names in the file."""
    named = {"parameters": checkpoint.parameters}
    named |= {f"optimizer.{name}": array for name, array in checkpoint.optimizer.moments.items()}
    named |= {f"topology.{name}": np.asarray(array) for name, array in checkpoint.topology.items()}
    if checkpoint.gradient is not None:
        named["gradient"] = checkpoint.gradient
    return named


def manifest_of(checkpoint: Checkpoint, files: dict[str, FileEntry]) -> Manifest:
    """All of a checkpoint but its tensors, and the `files` that hold those."""
    return Manifest(
        format=FORMAT,
        version=version_of(checkpoint),
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


def version_of(checkpoint: Checkpoint) -> int:
    """The lowest version of this format whose readers understand the checkpoint."""
    for domain in checkpoint.layout.get("domains", ()):
        if domain.get("n_token") or domain.get("n_bag") or domain["answer"].get("magnitude", 1.0) != 1.0:
            return 3
    return 2 if "aggregation" in checkpoint.topology else 1


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
    return assemble(manifest, parse_tensors(data, str(folder / MODEL)), folder)


def read_manifest(folder: Path) -> Manifest:
    """The verified manifest of a checkpoint. Raises CheckpointError."""
    return parse_manifest(read_limited(folder / MANIFEST, MOST_BYTES), str(folder / MANIFEST))


def assemble(manifest: Manifest, arrays: dict[str, npt.NDArray[Any]], folder: Path) -> Checkpoint:
    """A Checkpoint of verified parts. Raises CheckpointError where they do not fit each other."""
    parts: dict[str, dict[str, npt.NDArray[Any]]] = {"optimizer": {}, "topology": {}}
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
        config = configs.build((f"{folder / MANIFEST}", configs.migrated(manifest.config)))
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


def take(run: Run) -> Checkpoint:
    """The run as it stands. Raises NonFiniteError rather than saving a broken model."""
    model, state, progress, order = run.model, run.state, run.progress, run.model.to_caller_order
    if not np.isfinite(gradient_norm(model.parameters)):
        raise NonFiniteError(
            f"parameters are not finite at step {progress.step}, so no checkpoint was written; "
            "resume from the one before with a lower --lr or with --clip-grad-norm"
        )
    return Checkpoint(
        task=run.task,
        config=run.config,
        layout=model.layout.to_dict(),
        progress=msgspec.convert(msgspec.to_builtins(progress), type(progress)),
        baseline=msgspec.to_builtins(run.baselines),
        fingerprint=run.fingerprint,
        topology=topology_of(model, run.config),
        parameters=order(model.parameters),
        optimizer=OptimizerState(state.count, {name: order(v) for name, v in state.moments.items()}),
        gradient=order(model.gradients) if progress.n_accumulated else None,
    )


def topology_of(model: BrainModel, config: Config) -> dict[str, npt.NDArray[Any]]:
    """The graph as arrays; with drop-and-grow also its internal order, which decides how sums round."""
    if config.evolve == "none":
        return model.topology()
    return {**model.topology(), "node_order": model.dag.dag.node_order, "level_start": model.dag.dag.level_start}


def restore_model(checkpoint: Checkpoint) -> BrainModel:
    """The model of a checkpoint. Raises CheckpointError where its parts do not make one."""
    try:
        layout = Layout.from_dict(checkpoint.layout)
        if layout.vocab_size * layout.embedding_dim > checkpoint.parameters.size:  # before memory is asked for it
            raise CheckpointError(f"embeddings of {layout.vocab_size} times {layout.embedding_dim} numbers do not fit")
        stored = checkpoint.config.dtype  # of activations; parameters are float32 where that is bfloat16
        dtype = stored if stored == "bfloat16" else checkpoint.parameters.dtype.name
        dag = DagNN.from_topology(checkpoint.topology, dtype=dtype)
        if "node_order" in checkpoint.topology:
            in_order(dag, checkpoint.topology["node_order"], checkpoint.topology["level_start"])
        embedding = Embedding(layout.vocab_size, layout.embedding_dim, init="zero", dtype=dag.dtype)
        model: BrainModel = find_task(checkpoint.task).model(layout, dag, embedding)
    except (GraphemeError, msgspec.ValidationError, KeyError, ValueError, TypeError, IndexError) as error:
        raise CheckpointError(f"the checkpoint's layout and topology make no model: {error}") from None
    restore_into(model, checkpoint)
    return model


def restore_into(model: BrainModel, checkpoint: Checkpoint) -> OptimizerState:
    """Overwrite the parameters and gradients of `model`; return the optimiser state in its order."""
    if checkpoint.parameters.shape != model.parameters.shape:
        raise CheckpointError(
            f"the checkpoint holds {checkpoint.parameters.size} parameters, this model has {model.parameters.size}; "
            "it belongs to another topology"
        )
    order = model.from_caller_order
    model.parameters[:] = order(checkpoint.parameters)
    model.parameters_changed()
    model.zero_grad()
    if checkpoint.gradient is not None:
        model.gradients[:] = order(checkpoint.gradient)
    moments = {name: order(array) for name, array in checkpoint.optimizer.moments.items()}
    return OptimizerState(checkpoint.optimizer.count, moments)


def restore_baselines(checkpoint: Checkpoint) -> dict[str, ConstantBaseline]:
    """The training split's constant answers. Raises CheckpointError."""
    try:
        return msgspec.convert(checkpoint.baseline, dict[str, ConstantBaseline])
    except msgspec.ValidationError as error:
        raise CheckpointError(f"the checkpoint's constant answers are not readable: {error}") from None
