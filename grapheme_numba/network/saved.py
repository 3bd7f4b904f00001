"""A network as one safetensors file: graph, names, activations, weights, biases and dtype, under a digest."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from grapheme_numba import arguments
from grapheme_numba.errors import CheckpointError, MissingInputError
from grapheme_numba.files.storage import write_file

FORMAT = "grapheme_numba network"
# 2: some nodes do not sum, of which readers of 1 know nothing; 3: some have bfloat16 activations.
VERSIONS = ("1", "2", "3")
NEEDED = {"senders", "receivers", "inputs", "outputs", "activation", "weights", "biases", "node_order", "level_start"}


def write(path: str | Path, arrays: dict[str, npt.NDArray[Any]], precision: str) -> None:
    """Write a network to `path`, whole or not at all; `arrays` by name as in NEEDED. Raises OutputError."""
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    dtype = arrays["weights"].dtype.name
    facts = {"format": FORMAT, "version": VERSIONS["aggregation" in tensors], "dtype": dtype}
    if precision != dtype:
        facts |= {"version": "3", "precision": precision}
    write_file(
        arguments.path("path", path), safetensors.numpy.save(tensors, {**facts, "sha256": _digest(tensors, facts)})
    )


def read(path: str | Path) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """The arrays and the precision that `write` wrote, which may not make a network.

    Raises
    ------
    MissingInputError
        There is no such file.
    CheckpointError
        It is no saved network, of another version, or damaged.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise MissingInputError(f"there is no file {path}; give a network that DagNN.save wrote") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    tensors, facts = _parsed(path, data)
    stored = facts.pop("sha256", "")
    if facts.get("format") != FORMAT:
        raise CheckpointError(f"{path} holds {facts.get('format', 'tensors of something else')!r}, not a {FORMAT}")
    if facts.get("version") not in VERSIONS:
        raise CheckpointError(
            f"{path} has version {facts.get('version')} of its format, this program reads {', '.join(VERSIONS)}; "
            "load it with the release that wrote it"
        )
    if stored != _digest(tensors, facts):
        raise CheckpointError(f"{path} is damaged: its content does not have the digest it was saved with")
    if missing := NEEDED - tensors.keys():
        raise CheckpointError(f"{path} lacks {', '.join(sorted(missing))}; save the network again")
    dtypes = [tensors[name].dtype.name for name in ("weights", "biases")]
    if dtypes != [facts.get("dtype")] * 2:
        raise CheckpointError(f"{path} makes no network: its weights are {dtypes[0]} and its biases {dtypes[1]}")
    return tensors, facts.get("precision", dtypes[0])


def _parsed(path: Path, data: bytes) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """The tensors and the metadata of a safetensors file."""
    try:
        tensors = safetensors.numpy.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is no safetensors file, or a damaged one: {error}") from None
    return tensors, dict(header.get("__metadata__", {}))


def _digest(tensors: dict[str, npt.NDArray[Any]], facts: dict[str, str]) -> str:
    """SHA-256 of all that a file says."""
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        sha.update(f"{name} {tensors[name].dtype.str} {tensors[name].shape}".encode())
        sha.update(np.ascontiguousarray(tensors[name]).tobytes())
    return sha.hexdigest()
