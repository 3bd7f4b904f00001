"""Whether ranks are alike in what decides the bits of a run: versions, lanes, options. Asked before its first step."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import msgspec

from grapheme_numba import __version__
from grapheme_numba.distributed.comm import Ranks
from grapheme_numba.errors import UsageError

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
