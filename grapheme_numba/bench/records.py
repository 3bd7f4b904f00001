"""Measurements as files: one JSON object with the machine they were made on, the ceilings and one object per row."""

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import grapheme_numba
from grapheme_numba import jit
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.files.storage import write_file

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


FORMAT = 1
Row = TypeVar("Row", bound=tuple[Any, ...])  # a named tuple
# What makes two rows of two runs the same measurement.
KEYS = {"kernels": ("case", "batch", "threads", "step"), "peers": ("peer", "case", "batch", "threads", "step")}


def as_record(kind: str, rows: Iterable[Any], **more: object) -> dict[str, Any]:
    """One run as plain values: `kind` names the command, `rows` are named tuples."""
    return {"format": FORMAT, "kind": kind, "machine": machine(), **more, "rows": [row._asdict() for row in rows]}


def save(path: str | PathLike[str], record: dict[str, Any]) -> None:
    """Write a record as JSON under its final name only when complete. Raises OutputError."""
    write_file(Path(path), json.dumps(record, indent=1).encode() + b"\n")


def load(path: str | PathLike[str], kind: str | None = None) -> dict[str, Any]:
    """Read a record back. Raises MissingInputError, or RecordError where it is not one (of that kind)."""
    try:
        record = json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise MissingInputError(f"there is no file {path}; give one that --json wrote") from None
    except ValueError as error:
        raise RecordError(f"{path} is not JSON ({error}); give a file that --json wrote") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT or "rows" not in record:
        raise RecordError(f"{path} holds no measurements of format {FORMAT}; give a file that --json wrote")
    if kind and record.get("kind") != kind:
        raise RecordError(f"{path} was written by 'grapheme-bench {record.get('kind')}', not by '{kind}'")
    return record


def completed(
    path: str | PathLike[str], kind: str, make: Callable[..., Row], wanted: Mapping[tuple[Any, ...], Callable[[], Row]]
) -> Iterator[Row]:
    """Measure what the record at `path` lacks: each new row, when the record that holds it is saved.

    make : the named tuple of a row; wanted : the first fields of a row, which name it -> what measures it
    Raises RecordError, OutputError.
    """
    rows = [make(**row) for row in load(path, kind)["rows"]] if Path(path).exists() else []
    for name, measure in wanted.items():
        if all(row[: len(name)] != name for row in rows):
            rows.append(measure())
            save(path, as_record(kind, rows))
            yield rows[-1]


def changes(
    record: dict[str, Any], before: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, float | None]]:
    """(row, row before or None, rate now / rate before or None) for every row of `record`, matched by `KEYS`."""
    keys = KEYS[record["kind"]]
    old = {tuple(row[key] for key in keys): row for row in before["rows"]}
    for row in record["rows"]:
        other = old.get(tuple(row[key] for key in keys))
        yield row, other, row["rate"] / other["rate"] if other else None
