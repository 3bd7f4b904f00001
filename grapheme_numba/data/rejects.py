"""Refused lines: each keeps where it is, why, and how it starts."""

import os
from pathlib import Path

import msgspec

from grapheme_numba.files.storage import WholeFile

NO_OFFSET = -1  # of a row of a table, whose `line` is its number
SHOWN = 160  # bytes of a refused line that are kept


class Reject(msgspec.Struct, frozen=True, omit_defaults=True):
    """A refused line of a file, or a refused example of a dataset; what does not apply is None and not written.

    file, reason
    line (from 1), offset (of the line's first byte in the unpacked file; NO_OFFSET for a row of a table),
    start (of the line)
    row (from 0), id : of an example
    """

    file: str
    line: int | None = None
    offset: int | None = None
    reason: str = ""
    start: str | None = None
    row: int | None = None
    id: str | None = None


def _utf8(line: Reject) -> Reject:
    """With a file name that JSON can hold: bytes that are not UTF-8 are shown as `\\xe9`."""
    try:
        line.file.encode()
        return line
    except UnicodeEncodeError:
        shown = os.fsencode(line.file).decode(errors="backslashreplace")
        return msgspec.structs.replace(line, file=shown)


class RejectSink:
    """Writes rejects as JSONL, in bounded memory; without any, no file appears and an old one goes.

    mode : permissions of the file, of which the umask takes its bits
    count : rejects so far; first : the first of them, or None
    """

    def __init__(self, path: Path, mode: int = 0o666):
        self.path, self._mode = Path(path), mode
        self.count = 0
        self.first: Reject | None = None
        self._file: WholeFile | None = None

    def write(self, refused: list[Reject]) -> None:
        """Append rejects."""
        if not refused:
            return
        if self._file is None:
            self._file = WholeFile(self.path, mode=self._mode)
            self.first = refused[0]
        self.count += len(refused)
        self._file.write(b"".join(msgspec.json.encode(_utf8(line)) + b"\n" for line in refused))

    def finish(self) -> None:
        """Give the file its name."""
        if self._file is None:
            self.path.unlink(missing_ok=True)
        else:
            self._file.finish()

    def abandon(self) -> None:
        """Remove what was written."""
        if self._file is not None:
            self._file.abandon()
