"""The one gate through which the command line prints, and the tables of figures that it prints.

Text is either a display or an answer. A display (progress, what was done, warnings, errors) is for whoever
happens to watch: when the reader has gone (`| head`, a closed terminal, a full disk behind `>`), the rest of it
is dropped and the work continues. An answer is what the command was asked to write to standard output: when it
cannot be written, the command fails with the code of an output error.

Names, domains and paths come from other people's files, so every line is made `visible`: what would move the
cursor, set a title or reorder a line on a terminal is shown as an escape.
"""

import errno
import io
import json
import os
import sys
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn, TextIO

from grapheme_numba.errors import GraphemeError, MissingInputError, OutputError

# C0 and C1 control characters and DEL; marks, embeddings, overrides and isolates of text direction; line separators.
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_INVISIBLE = [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_BYTES = range(0xDC80, 0xDD00)  # what Python makes of the bytes of a path that are not UTF-8
_SURROGATES = range(0xD800, 0xE000)  # no text can hold these by themselves
_SHOWN = {code: f"\\x{code:02x}" for code in _CONTROLS} | {code: f"\\u{code:04x}" for code in _INVISIBLE}
_SHOWN |= {code: f"\\u{code:04x}" for code in _SURROGATES} | {code: f"\\x{code - 0xDC00:02x}" for code in _BYTES}
_SHOWN |= {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
# JSON has its own escapes for what is below 0x20, and `json` writes them; the rest has to be added.
_IN_JSON = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), *_INVISIBLE, *_SURROGATES)}

# Standard streams whose reader has gone, and how. Streams and not their names, because tests and Rich put others in
# place.
_lost: weakref.WeakKeyDictionary[Any, Exception] = weakref.WeakKeyDictionary()
_CLOSED = OSError(errno.EBADF, "it is closed")


class ReaderGone(OutputError):
    """Whoever read the answers has closed the pipe. The code tells; a sentence would only disturb `| head`."""


def visible(text: object) -> str:
    """`text` as one line without control characters: each is an escape such as \\x1b or \\n."""
    return str(text).translate(_SHOWN)


def as_json(value: Any, **options: Any) -> str:
    """`value` as one line of JSON in which no control character stands as it is."""
    return json.dumps(value, ensure_ascii=False, **options).translate(_IN_JSON)


def show(*lines: object) -> None:
    """Print lines for whoever watches. Never fails."""
    _write(sys.stdout, lines)


def warn(*lines: object) -> None:
    """Print lines on standard error. Never fails."""
    _write(sys.stderr, lines)


def overwrite(text: str) -> None:
    """Put `text` in place of the last line on the terminal of standard error. Never fails."""
    _write_text(sys.stderr, f"\r\x1b[K{visible(text)}")


def answer(*lines: object) -> None:
    """Print lines that the command was asked for. Raises OutputError when they cannot be written."""
    if error := _write(sys.stdout, lines):
        _refuse(error)


@contextmanager
def answer_bytes() -> Iterator[BinaryIO]:
    """Standard output for bytes that the command was asked for. Raises OutputError when they cannot be written."""
    stream = sys.stdout
    if stream is None:
        _refuse(_CLOSED)
    if stream in _lost:
        _refuse(_lost[stream])
    try:
        yield stream.buffer
        stream.buffer.flush()
    except OSError as error:
        if isinstance(error, GraphemeError) or error.filename:
            raise
        _give_up(stream, error)
        _refuse(error)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches this stream."""
    try:
        return stream is not None and stream not in _lost and stream.isatty()
    except ValueError:  # closed
        return False


def open_missing_streams() -> None:
    """Give descriptors 0, 1 and 2 a file where the caller closed them, as `>&-` and some services do.

    Otherwise the next file that is opened gets the number, and what a library prints goes into it. `sys.stdin`,
    `sys.stdout` and `sys.stderr` stay None, so that lost answers and questions are noticed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_WRONLY)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)


def check_input(*names: str) -> None:
    """Raise MissingInputError where `-` among `names` asks for a standard input that is closed."""
    if "-" in names and sys.stdin is None:
        raise MissingInputError("standard input is closed, so - cannot be read; name a file instead")


class Display(io.TextIOBase):
    """A stream for Rich: standard output or error as it is now, and silence when its reader goes."""

    def __init__(self, stream: TextIO | None):
        self.stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what Rich has laid out; its own control sequences have to stay."""
        _write_text(self.stream, text, flush=False)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        _write_text(self.stream, "")

    def isatty(self) -> bool:
        """Whether somebody watches."""
        return is_terminal(self.stream)

    def fileno(self) -> int:
        """The descriptor of the stream."""
        if self.stream is None:
            raise io.UnsupportedOperation("fileno")
        return self.stream.fileno()


def _write(stream: TextIO | None, lines: Iterable[object]) -> Exception | None:
    return _write_text(stream, "".join(f"{visible(line)}\n" for line in lines))


def _write_text(stream: TextIO | None, text: str, flush: bool = True) -> Exception | None:
    """Write `text`; the error that stood in the way, now or before."""
    if stream is None:
        return _CLOSED
    if stream in _lost:
        return _lost[stream]
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        if flush:
            stream.flush()
    except (OSError, ValueError) as error:
        _give_up(stream, error)
        return error
    return None


def _give_up(stream: TextIO, error: Exception) -> None:
    """Never write to this stream again, and let what it still holds go nowhere when the process ends."""
    _lost[stream] = error
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    if descriptor in (1, 2):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _refuse(error: Exception) -> NoReturn:
    if isinstance(error, BrokenPipeError):
        raise ReaderGone("the reader of standard output has gone") from None
    reason = getattr(error, "strerror", None) or error
    raise OutputError(
        f"standard output cannot be written ({reason}), so the answers are lost; send them to a file or to a pipe"
    ) from None


MOST_DOMAINS = 24  # shown of a run that has more; files and JSON hold all
HEADER = ("domain", "n", "mse", "mse const", "exact", "const", "mae", "mae const", "of its kind")


def of_its_kind(score: dict[str, Any]) -> str:
    """The figures that only this kind of answer has, with the best constant's in brackets; how far confidences err."""
    shown = {
        "number": (("R²", "r2", figure),),
        "label": (("macro F1", "macro_f1", figure), ("log loss", "log_loss", figure)),
        "text": (("character error", "char_error", percent),),
    }
    found = [
        f"{name} {write(score.get(key))} ({write(score.get(f'{key}_constant'))})"
        for name, key, write in shown.get(score.get("kind") or "", ())
    ]
    if score.get("calibration_error") is not None:
        found.append(f"calibration error {score['calibration_error']:.3f}")
    return ", ".join(found)


def score_cells(score: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one domain's scores (as saved in metrics.jsonl)."""
    return (
        score["domain"],
        str(score["n"]),
        figure(score["mse"]),
        figure(score["mse_constant"]),
        percent(score["exact"]),
        percent(score.get("accuracy_constant", score.get("exact_constant"))),
        figure(score["mae"]),
        figure(score["mae_constant"]),
        of_its_kind(score),
    )


def score_table(scores: Iterable[dict[str, Any]]) -> list[str]:
    """One line per domain under a header."""
    return aligned([HEADER, *map(score_cells, scores)])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def first_domains(scores: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Those of the first domains, and a line that counts the others: empty where all are among them."""
    listed = list(scores)
    hidden = len(listed) - MOST_DOMAINS
    return listed[:MOST_DOMAINS], f"and {hidden:,} more domains" if hidden > 0 else ""


def figure(value: float | None) -> str:
    """Four significant digits; a dash where there is no figure."""
    return "-" if value is None else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as per cent, one digit after the point; 100.0 % only when it is all of them."""
    if share is None:
        return "-"
    return f"{min(100.0 * share, 99.9) if share < 1 else 100.0:.1f} %"
