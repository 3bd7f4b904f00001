"""`manifest.json`: what a checkpoint holds and the digests that prove it, itself included."""

import hashlib
import json
from typing import Any

import msgspec

from grapheme_numba.errors import CheckpointError
from grapheme_numba.training.progress import Progress

FORMAT = "grapheme_numba checkpoint"
VERSION = 1
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
    progress: Progress
    optimizer_count: int
    baseline: dict[str, Any]
    fingerprint: str
    files: dict[str, FileEntry]


def to_bytes(manifest: Manifest) -> bytes:
    """The JSON text, with the digest of all other fields as `sha256`."""
    fields = msgspec.to_builtins(manifest)
    return json.dumps({**fields, "sha256": digest(fields)}, indent=1, allow_nan=False).encode() + b"\n"


def from_bytes(data: bytes, where: str) -> Manifest:
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
    if fields.pop("sha256", None) != digest(fields):
        raise CheckpointError(f"{where} is damaged: its content does not have its sha256; use another checkpoint")
    try:
        return msgspec.convert(fields, Manifest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise CheckpointError(f"{where} does not hold what version {version} should: {error}") from None


def digest(fields: dict) -> str:
    """SHA-256 of the fields in one canonical spelling."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
