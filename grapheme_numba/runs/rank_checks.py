"""What is compared between ranks before the first step: what decides the bits of a run, and where its folder is.

Versions, lanes and options must be alike. Rank 0 writes the run's folder, and may stand on another host the next time,
so all hosts have to see it.
"""

import os
import platform
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from grapheme_numba import __version__
from grapheme_numba.distributed.comm import Ranks
from grapheme_numba.errors import UsageError

SEEN, PRIVATE, HOLDS = b"seen", b"private", b"holds"
PATIENCE = 5.0  # seconds until a file that one host has written shows on another: network folders look now and then


def refuse_private_output(comm: Ranks, folder: Path, *, fresh: bool, auto: bool) -> list[str]:
    """Leave a token where `folder` is or will be, look for it on every host, take it away. On all ranks.

    Returns the notes to show. `fresh`: the run has no checkpoint to resume from; `auto`: it would resume from one.

    Raises
    ------
    UsageError
        The folder is private to the host of rank 0, and the run would start afresh by mistake: it was to resume, or
        another host holds a checkpoint there.
    """
    if len(set(comm.host_names)) == 1:
        return []
    from grapheme_numba.runs import run_folder  # imports the engine; versions are compared before that

    folder = folder.absolute()
    place = next(one for one in (folder, *folder.parents) if one.is_dir())
    token = comm.broadcast(
        str(place / f".grapheme-{secrets.token_hex(8)}.tmp").encode() if comm.rank == 0 else None
    ).decode()
    try:
        if comm.rank == 0:
            with suppress(OSError):  # a folder that cannot be written is said when the run is
                Path(token).touch()
        comm.all_gather()
        answer = SEEN if comm.host_rank or _appears(token) else PRIVATE
        if answer == PRIVATE and run_folder.has_checkpoint(folder):
            answer = HOLDS
        answers = comm.all_gather(answer)
    finally:
        if comm.rank == 0:
            Path(token).unlink(missing_ok=True)
    alone = [rank for rank, one in enumerate(answers) if one != SEEN]
    if not alone or 0 in alone:
        return []
    holding = [rank for rank, one in enumerate(answers) if one == HOLDS]
    first = comm.roll.names([0])
    if fresh and (auto or holding):
        other = f"{comm.roll.names(holding)} holds a checkpoint there" if holding else "another host may hold one"
        raise UsageError(
            f"{folder} is not shared: {comm.roll.names(alone)} does not see what {first} writes there, and "
            f"{other}, so the run would start afresh by mistake; give --output a folder that all hosts share"
        )
    return [
        f"{folder} is not shared by all hosts: only {first} has the checkpoints, and a start with rank 0 elsewhere "
        "does not find them; give --output a folder that all hosts share"
    ]


def _appears(token: str) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            os.listdir(os.path.dirname(token))  # a fresh look at the folder
            if os.path.exists(token):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(0.1)


DECIDES = ("numba", "llvmlite", "numpy", "pyarrow")
DIFFERENT = "(none)"


def versions() -> dict[str, str]:
    """The versions that decide the bits of a run."""
    found = {"grapheme_numba": __version__, "python": platform.python_version()}
    return found | {name: metadata.version(name) for name in DECIDES}


def lanes() -> dict[str, str]:
    """How many numbers stand side by side in the sums of this processor's kernels."""
    from grapheme_numba.kernels.engine.simd import LANES
    from grapheme_numba.network.execution_plan import LAST_LEVEL_SHARE

    return {"lanes": ", ".join(f"{n} {dtype}" for dtype, n in LANES.items()), "cache share": str(LAST_LEVEL_SHARE)}


def refuse_unlike(comm: Ranks, facts: Mapping[str, str], what_to_do: str) -> None:
    """Raise UsageError on all ranks where a rank's `facts` are not those of rank 0; it names the first difference."""
    sent = [msgspec.msgpack.decode(one) for one in comm.all_gather(msgspec.msgpack.encode(facts))]
    for rank, other in enumerate(sent):
        for key in sent[0] | other:
            one, two = sent[0].get(key, DIFFERENT), other.get(key, DIFFERENT)
            if one != two:
                raise UsageError(
                    f"{comm.roll.names([rank])} has {key} {two}, {comm.roll.names([0])} has {one}: {what_to_do}"
                )


def options_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The options of a command that were given, as text. What only says how it talks may differ."""
    talk = ("log_format", "quiet", "debug", "tensorboard")
    given = {key: value for key, value in values.items() if key not in talk and value not in (None, (), False)}
    return {f"--{key.replace('_', '-')}": str(value) for key, value in given.items()}
