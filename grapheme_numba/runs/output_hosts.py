"""Whether all hosts see the folder of a run: rank 0 writes there, and may stand on another host the next time."""

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from grapheme_numba.distributed.comm import Ranks
from grapheme_numba.errors import UsageError
from grapheme_numba.runs import run_folder

SEEN, PRIVATE, HOLDS = b"seen", b"private", b"holds"
PATIENCE = 5.0  # seconds until a file that one host has written shows on another: network folders look now and then


def check(comm: Ranks, folder: Path, *, fresh: bool, auto: bool) -> list[str]:
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
