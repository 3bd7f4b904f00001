"""What `doctor` says about this machine: versions, threads, vectors, the kernel cache, and a self-test."""

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

from grapheme_numba import __version__, jit
from grapheme_numba.bench import selftest
from grapheme_numba.cli.output import answer, as_json, warn
from grapheme_numba.errors import GraphemeError

PACKAGES = ("numpy", "numba", "llvmlite", "pyarrow", "msgspec", "safetensors", "click", "rich", "tbb")


def examine(log_format: str) -> None:
    """Print the facts and the findings; raise GraphemeError when a finding is bad."""
    if not jit.cache_in_use():
        warn("compiling kernels for this machine first: once, a minute or two")
    began = time.perf_counter()
    findings = selftest.run()
    seconds = time.perf_counter() - began
    facts = machine()
    if log_format == "json":
        plain = [{**finding._asdict(), "passed": bool(finding.passed)} for finding in findings]
        answer(as_json({**facts, "self_test": plain, "seconds": round(seconds, 2)}))
    else:
        width = max(map(len, facts))
        for key, value in facts.items():
            answer(f"{key.ljust(width)}  {value}")
        for finding in findings:
            answer(f"{'ok' if finding.passed else 'FAILED'}: {finding.name}: {finding.figure}")
        answer(f"self-test took {seconds:.1f} s, compiling included")
    bad = [finding.name for finding in findings if not finding.passed]
    if bad:
        raise GraphemeError(f"the self-test failed: {', '.join(bad)}; do not trust results of this installation")


def machine() -> dict[str, str]:
    """Versions and settings that decide what the kernels do here."""
    return {
        "grapheme_numba": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "threads": str(jit.n_threads()),
        "threading layer": jit.threading_layer(),
        "vectors": vectors(),
        "kernel cache": cache(),
        "executable": sys.executable,
    }


def vectors() -> str:
    """The widest vector registers of this processor that LLVM makes use of."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        flags = ""
    for flag, name, lanes in (("avx512f", "AVX-512", 16), ("avx2", "AVX2", 8), ("sse2", "SSE2", 4)):
        if flag in flags:
            return f"{name}, {lanes} float32 a register"
    return "NEON, 4 float32 a register" if platform.machine() in ("aarch64", "arm64") else "unknown"


def version(package: str) -> str:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def cache() -> str:
    """The cache folder with its mode and size."""
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    if not folder.exists():
        return f"{folder} (not there yet)"
    files = [file for file in folder.rglob("*.nbc") if file.is_file()]
    size = sum(file.stat().st_size for file in files) / 1e6
    return f"{folder}, mode {folder.stat().st_mode & 0o777:04o}, {len(files)} kernels, {size:.0f} MB"
