"""Checkpoints changed by somebody who knows how to seal them again: refused, or as harmless as any other.

No digest helps here. Whatever the tensors and fields hold, loading and running the model raises
CheckpointError or works; it never crashes, allocates without bound or reads outside an array.
"""

import hashlib
import json
import random

import numpy as np
import pytest
from mutants import mutants
from runs import small_data, train

from grapheme_numba.errors import CheckpointError
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs.checkpoint import MANIFEST, MODEL

ODD = [None, -1, 0, 1, 2**31, 2**63, -(2**63), 1e308, "x", "", [], {}, [1], True, "9" * 50]


@pytest.fixture
def folder(tmp_path):
    """A real checkpoint."""
    train(small_data(tmp_path / "data"), tmp_path / "run", epochs=1)
    return tmp_path / "run" / "checkpoint_last"


def places(value, path=()):
    """The path of everything inside of JSON, of lists only the first three items."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def forged_fields(fields: dict, draw: random.Random) -> dict:
    """A copy of a manifest's fields in which one was replaced by something odd, or is missing."""
    copy = json.loads(json.dumps(fields))
    *way, last = draw.choice([path for path in places(copy) if path[0] != "files"])
    inside = copy
    for key in way:
        inside = inside[key]
    if isinstance(inside, dict) and draw.random() < 0.15:
        del inside[last]
    else:
        inside[last] = draw.choice(ODD)
    return copy


def forged_tensors(data: bytes, draw: random.Random) -> bytes:
    """A copy of a tensor file with bits of the topology flipped, or with a damaged header."""
    size = 8 + int.from_bytes(data[:8], "little")
    if draw.random() < 0.5:
        return next(mutants(data[:size], 1, draw.randrange(10**6))) + data[size:]
    header = json.loads(data[8:size])
    spans = [one["data_offsets"] for name, one in header.items() if name.startswith("topology")]
    begin, end = draw.choice([span for span in spans if span[1] > span[0]])
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[size + draw.randrange(begin, end)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def seal(folder, fields: dict, data: bytes) -> None:
    """Write both files with digests that are right."""
    files = {MODEL: {"n_byte": len(data), "sha256": hashlib.sha256(data).hexdigest()}}
    fields = {**fields, "files": files}
    (folder / MODEL).write_bytes(data)
    (folder / MANIFEST).write_text(json.dumps({**fields, "sha256": checkpoints.manifest_digest(fields)}))


def check_forged(folder, n: int, seed: int) -> tuple[int, int]:
    """(refused, loaded and run) of `n` forged checkpoints; anything else is raised."""
    draw = random.Random(seed)
    data, fields = (folder / MODEL).read_bytes(), json.loads((folder / MANIFEST).read_text())
    del fields["sha256"]
    refused = 0
    for number in range(n):
        forged = (forged_fields(fields, draw), data) if number % 2 else (fields, forged_tensors(data, draw))
        seal(folder, *forged)
        try:
            model = checkpoints.restore_model(checkpoints.read(folder))
            model.dag.forward(np.zeros((3, model.dag.n_input), np.float32))
        except CheckpointError:
            refused += 1
    return refused, n - refused


def test_a_forged_checkpoint_is_refused_or_harmless(folder):
    refused, harmless = check_forged(folder, 200, 1)
    assert refused > harmless > 0


def test_an_embedding_larger_than_the_file_is_refused_before_memory_is_asked_for(folder):
    fields = json.loads((folder / MANIFEST).read_text())
    del fields["sha256"]
    fields["layout"]["embedding_dim"] = 2**31
    seal(folder, fields, (folder / MODEL).read_bytes())
    with pytest.raises(CheckpointError, match=r"embeddings of 4354 times 2147483648 numbers do not fit"):
        checkpoints.restore_model(checkpoints.read(folder))


@pytest.mark.long
def test_three_thousand_forged_checkpoints(folder, figure):
    refused, harmless = check_forged(folder, 3000, 2)
    figure("forged checkpoints, sealed again", f"{refused} of 3000 refused, {harmless} load and run, no crash")
