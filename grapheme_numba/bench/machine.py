"""What a measurement was made on: it stands at the head of every table and in every file."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import grapheme_numba
from grapheme_numba import jit

PACKAGES = ("numba", "llvmlite", "numpy", "scipy", "torch", "pyarrow")
# Widest first: what a vector of sixteen lanes becomes.
EXTENSIONS = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")


def machine() -> dict[str, Any]:
    """A dict of plain values: processor, cores, caches, SIMD, threading layer, versions."""
    about = _processor()
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "processor": about.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "simd": next((name for name in EXTENSIONS if name in about.get("flags", "").split()), "unknown"),
        "threading_layer": jit.threading_layer(),
        "python": platform.python_version(),
        "grapheme_numba": grapheme_numba.__version__,
        "versions": {name: number for name, number in versions.items() if number},
    }


def headline(about: dict[str, Any]) -> str:
    """The machine in two lines of text."""
    caches = ", ".join(f"{name} {size}" for name, size in about["caches"].items())
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    layer = about["threading_layer"]  # of data tasks none: they run in processes of their own
    return (
        f"{about['processor']}, {about['cores']} cores, {caches or 'caches unknown'}, {about['simd']}"
        f"{'' if layer == 'not started' else f', threads by {layer}'}\n"
        f"grapheme_numba {about['grapheme_numba']}, Python {about['python']}, {versions}"
    )


def _processor() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    about: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        about.setdefault({"Features": "flags"}.get(key.strip(), key.strip()), value.strip())
    return about


def _caches() -> dict[str, str]:
    sizes: dict[str, str] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction":
            sizes[f"L{level}"] = size
    return sizes


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
