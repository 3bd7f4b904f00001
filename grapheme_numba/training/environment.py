"""Where a run took place: what one needs to know to compare its speed, or to do it again."""

import os
import platform
from importlib import metadata

from grapheme_numba import __version__, jit

PACKAGES = ("numpy", "numba", "pyarrow")


def environment(n_rank: int = 1) -> list[tuple[str, str]]:
    """Names and values: versions, system, cores, threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [
        ("grapheme_numba", __version__),
        ("Python", platform.python_version()),
        *((name, metadata.version(name)) for name in PACKAGES),
        ("system", f"{platform.system()} {platform.machine()}"),
        ("cores", str(cores)),
        ("kernel threads", f"{jit.n_threads()}, {jit.threading_layer()}"),
    ]
    return facts + ([("ranks", str(n_rank))] if n_rank > 1 else [])
