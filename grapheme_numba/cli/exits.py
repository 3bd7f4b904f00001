"""From an error to one sentence on stderr and an exit code: the only place where that is decided."""

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from grapheme_numba.cli.output import ReaderGone, warn
from grapheme_numba.errors import GraphemeError, OutputError, RecordError, StoppedEarly

INTERNAL = GraphemeError.exit_code
IO = OutputError.exit_code
MOST_SHOWN = 200  # characters of a text that cannot be encoded


@contextmanager
def exit_codes(debug: bool = False) -> Iterator[None]:
    """Run a command's body; end the process with the code of what goes wrong.

    0 done, 2 usage, 65 bad data, 66 missing input, 70 internal, 74 input or output, 75 stopped early.
    With `debug` the traceback is shown before the sentence.
    """
    try:
        with plain_warnings():
            yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        fail(*describe_error(error, debug), debug)


def describe_error(error: BaseException, debug: bool = False) -> tuple[str, int]:
    """The sentence and the exit code of an error. No sentence where the reader of the answers has gone."""
    if isinstance(error, ReaderGone):
        return "", error.exit_code
    if isinstance(error, GraphemeError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C; nothing is half-written", StoppedEarly.exit_code
    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return f"input or output failed:{name} {error.strerror or error}", IO
    if isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason:
        shown = error.object if len(error.object) <= MOST_SHOWN else f"{error.object[:MOST_SHOWN]}..."
        return f"{shown} holds bytes that are not UTF-8, which cannot be saved here; rename it", RecordError.exit_code
    if isinstance(error, MemoryError):
        return "there is not enough memory; use a smaller --batch-size or network", INTERNAL
    hint = "" if debug else "; --debug shows where"
    return f"internal error, please report it: {type(error).__name__}: {error}{hint}", INTERNAL


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show each warning as one line on stderr, without file and code line."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: warn(f"warning: {one_line(message)}")
    try:
        yield
    finally:
        warnings.showwarning = before


def one_line(text: object) -> str:
    """`text` with every run of white space as one blank: some libraries' messages have several lines."""
    return " ".join(str(text).split())


def fail(sentence: str, code: int, debug: bool = False) -> NoReturn:
    """Print the sentence, unless it is empty, and exit."""
    if debug:
        warn(*traceback.format_exc().rstrip().split("\n"))
    if sentence:
        warn(f"error: {one_line(sentence)}")
    sys.exit(code)
