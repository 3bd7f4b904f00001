"""`metrics.jsonl`: one row per epoch and per validation, each numbered and with its own check sum.

The number tells a missing row, the check sum a changed one, so no reader draws a curve from damage.
"""

import json
import zlib
from pathlib import Path
from typing import Any

from grapheme_numba.errors import RecordError
from grapheme_numba.files import storage

METRICS = "metrics.jsonl"
CHECK_MARKS = (',"check":"', ', "check": "')  # before the check sum; rows of version 0.1.0 have the spaces
REMEDY = "restore the file, or delete it to resume without the rows of earlier epochs"


class Journal:
    """The rows of a run, on disk and in memory.

    Parameters
    ----------
    path : Path
        The file; its first `n_row` rows are kept, what a later checkpoint will write again is dropped.
    n_row : int
    source : Path, optional
        Where those rows are read from, when not from `path`.

    Raises
    ------
    RecordError
        The file has fewer than `n_row` whole rows.
    """

    def __init__(self, path: Path, n_row: int = 0, source: Path | None = None) -> None:
        self.path = path
        self.rows = read_rows(source or path, n_row) if n_row else []
        self.write()

    def cut(self, n_row: int) -> None:
        """Drop all but the first `n_row` rows. Raises as opening does."""
        self.rows = read_rows(self.path, n_row) if n_row else []
        self.write()

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Number `row`, append it to the file, return it. Raises OutputError."""
        row = {"row": len(self.rows), **row}
        self.rows.append(row)
        if not storage.append_line(self.path, to_line(row)):
            self.write()  # somebody took the file away
        return row

    def sync(self) -> None:
        """Force the rows to the disk: a checkpoint that counts on them must not be there without them."""
        storage.sync_file(self.path)

    def write(self) -> None:
        """Write all rows anew. Raises OutputError."""
        storage.write_file(self.path, b"".join(to_line(row) + b"\n" for row in self.rows))


class MemoryJournal:
    """The rows of a rank that does not write: counted, and gone with it. `rows` starts with `n_row` empty ones."""

    def __init__(self, n_row: int = 0) -> None:
        self.rows: list[dict[str, Any]] = [{}] * n_row

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Number `row`, keep it, return it."""
        row = {"row": len(self.rows), **row}
        self.rows.append(row)
        return row

    def cut(self, n_row: int) -> None:
        """Forget all but the first `n_row` rows."""
        del self.rows[n_row:]

    def sync(self) -> None:
        """Nothing is on the disk."""


def to_line(row: dict[str, Any]) -> bytes:
    """The JSON of a row with its check sum last. NaN and infinities become null: JSON has neither."""
    text = json.dumps(finite(row), separators=(",", ":"), allow_nan=False)
    return f'{text[:-1]},"check":"{check(text)}"}}'.encode()


def read_rows(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """The rows of a metrics file, verified; only the first `most` when given.

    Raises RecordError naming the first line that is damaged, or when rows are missing.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}; the rows of the run are lost") from None
    if lines[-1] == b"":
        lines.pop()
    rows = [parse(line, number, path) for number, line in enumerate(lines[:most])]
    if most is not None and len(rows) < most:
        raise RecordError(f"{path} has {len(rows)} rows, the checkpoint wants {most}; {REMEDY}")
    return rows


def parse(line: bytes, number: int, path: Path) -> dict[str, Any]:
    """One verified row, the `number`-th of a file. Raises RecordError."""
    row = whole_row(line)
    if row is None or row.get("row") != number:
        raise RecordError(f"{path} line {number + 1} is not as the run wrote it; {REMEDY}")
    return row


def whole_row(line: bytes) -> dict[str, Any] | None:
    """The row of a line; None where it is not as a run wrote it."""
    try:
        decoded = line.decode()
        mark = next((mark for mark in CHECK_MARKS if mark in decoded), CHECK_MARKS[0])
        text, _, tail = decoded.rpartition(mark)
        row = json.loads(text + "}")
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and tail == f'{check(text + "}")}"}}' else None


def check(text: str) -> str:
    """CRC-32 of a row's text, in hex."""
    return f"{zlib.crc32(text.encode()):08x}"


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity replaced by None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
