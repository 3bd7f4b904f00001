"""Named arrays to and from one safetensors file, written without a second copy in memory."""

import hashlib
import json
from collections.abc import Iterator, Mapping

import numpy as np
import safetensors
import safetensors.numpy

from grapheme_numba.errors import CheckpointError

DTYPES = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8", "bool": "BOOL"}


def file_parts(tensors: Mapping[str, np.ndarray]) -> Iterator:
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

    def __init__(self):
        self.n_byte = 0
        self._sha256 = hashlib.sha256()

    def passing(self, parts) -> Iterator:
        """Yield `parts` unchanged."""
        for part in parts:
            self._sha256.update(part)
            self.n_byte += len(part)
            yield part

    @property
    def sha256(self) -> str:
        """Hex digest of what has passed."""
        return self._sha256.hexdigest()


def parse(data: bytes, where: str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file. Raises CheckpointError when it is not one."""
    try:
        return safetensors.numpy.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{where} is not a safetensors file: {error}; use another checkpoint") from None
