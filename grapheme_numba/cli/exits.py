"""From an error to one sentence on stderr and an exit code: the only place where that is decided."""

import os
import sys
import traceback
import warnings
from contextlib import contextmanager

import click

from grapheme_numba.errors import GraphemeError, OutputError, StoppedEarly

INTERNAL = GraphemeError.exit_code
IO = OutputError.exit_code


@contextmanager
def exit_codes(debug: bool = False):
    """Run a command's body; end the process with the code of what goes wrong.

    0 done, 2 usage, 65 bad data, 66 missing input, 70 internal, 74 input or output, 75 stopped early.
    With `debug` the traceback is shown before the sentence.
    """
    try:
        with plain_warnings():
            yield
    except BrokenPipeError:
        # whoever read our output has gone (`| head`): that is their end, not our failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except (Exception, KeyboardInterrupt) as error:
        fail(*verdict(error, debug), debug)


def verdict(error: BaseException, debug: bool = False) -> tuple[str, int]:
    """The sentence and the exit code of an error."""
    if isinstance(error, GraphemeError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C; nothing is half-written", StoppedEarly.exit_code
    if isinstance(error, OSError):
        name = f" {error.filename}" if error.filename else ""
        return f"input or output failed:{name} {error.strerror or error}", IO
    if isinstance(error, MemoryError):
        return "there is not enough memory; use a smaller --batch-size or network", INTERNAL
    hint = "" if debug else "; --debug shows where"
    return f"internal error, please report it: {type(error).__name__}: {error}{hint}", INTERNAL


@contextmanager
def plain_warnings():
    """Show each warning as one line on stderr, without file and code line."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_: click.echo(f"warning: {message}", err=True)
    try:
        yield
    finally:
        warnings.showwarning = before


def fail(error, code: int, debug: bool) -> None:
    """Say it and exit."""
    if debug:
        traceback.print_exc()
    click.echo(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(code)
