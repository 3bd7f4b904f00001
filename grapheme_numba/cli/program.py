"""What the three programs share: help in groups, and one process that speaks where `mpiexec` started many.

The help is Click's own with sections. rich-click was tried first: it draws frames and colours, but it imports
Rich, which costs 0.1 s at every `--help` and at every press of the completion key.

From an error to one sentence on stderr and an exit code: the only place where that is decided.
"""

import io
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from grapheme_numba import __version__
from grapheme_numba.cli.output import ReaderGone, answer, open_missing_streams, warn
from grapheme_numba.distributed.launcher import n_announced, place
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


# In the order of the help; a section without options of a command is not shown.
SECTIONS = (
    "Most used", "Data", "Training", "Network", "Brains", "Sparsity", "Run", "Saving and resuming", "Limits",
    "Measuring", "Output and logging", "Options",
)  # fmt: skip
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class Option(click.Option):
    """An option that stands in a section of its command's help."""

    def __init__(self, *names: Any, section: str = "Options", **settings: Any):
        super().__init__(*names, **settings)
        self.section = section


class _AnsweringHelp(click.Command):
    """Help is an answer: where it cannot be written, the code says so."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Click's `--help` with our callback."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = show_help
        return option


class Command(_AnsweringHelp):
    """A command whose options are listed in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options per section, in the order of `SECTIONS`."""
        sections: dict[str, list[tuple[str, str]]] = {name: [] for name in SECTIONS}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                default = "Output and logging" if "--help" in parameter.opts else "Options"
                sections[getattr(parameter, "section", default)].append(record)
        for name, records in sections.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class Program(_AnsweringHelp, click.Group):
    """The group of a program's commands, and the way from its errors to exit codes.

    Started by `mpiexec`, a command runs on rank 0 alone, unless `for_all` names it; then all ranks run it, and only
    rank 0 explains a usage error.
    """

    command_class = Command
    for_all: tuple[str, ...] = ()

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None,
        standalone_mode: bool = True, **options: Any,
    ) -> Any:  # fmt: skip
        """Run the command line; see `click.Group.main`."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **options)
        open_missing_streams()
        given = list(sys.argv[1:] if args is None else args)
        silent = place() != 0
        if silent and (not given or given[0] not in self.for_all or {"-h", "--help", "--version"} & set(given)):
            sys.exit(0)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **options)
        except click.ClickException as error:
            if not silent:
                text = io.StringIO()
                error.show(text)
                warn(*text.getvalue().split("\n")[:-1])
            if given and given[0] in self.for_all and n_announced() not in (None, 1):
                from grapheme_numba.distributed.roll_call import end_launcher

                end_launcher()
            sys.exit(error.exit_code)
        except click.Abort:
            fail(*describe_error(KeyboardInterrupt()))
        except GraphemeError as error:
            fail(*describe_error(error))
        sys.exit(code if isinstance(code, int) else 0)


def show_help(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the help of the context's command and end."""
    if value and not ctx.resilient_parsing:
        answer(*ctx.get_help().split("\n"))
        ctx.exit()


def show_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        answer(f"{ctx.find_root().info_name}, version {__version__}")
        ctx.exit()


version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version and exit.",
)
