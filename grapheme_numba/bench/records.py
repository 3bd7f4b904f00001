"""Measurements as files: one JSON object with the machine, the ceilings and one object per row."""

import json
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.bench.machine import machine
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.files.storage import write_file

FORMAT = 1
# What makes two rows of two runs the same measurement.
KEYS = {"kernels": ("case", "batch", "threads", "step"), "peers": ("peer", "case", "batch", "threads", "step")}


def as_record(kind: str, rows: Iterable[NamedTuple], **more: object) -> dict[str, Any]:
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


def changes(
    record: dict[str, Any], before: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None, float | None]]:
    """(row, row before or None, rate now / rate before or None) for every row of `record`, matched by `KEYS`."""
    keys = KEYS[record["kind"]]
    old = {tuple(row[key] for key in keys): row for row in before["rows"]}
    for row in record["rows"]:
        other = old.get(tuple(row[key] for key in keys))
        yield row, other, row["rate"] / other["rate"] if other else None
