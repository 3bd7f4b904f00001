"""What the three programs share: help in groups, and one process that speaks where `mpiexec` started many.

The help is Click's own with sections. rich-click was tried first: it draws frames and colours, but it imports
Rich, which costs 0.1 s at every `--help` and at every press of the completion key.
"""

import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from grapheme_numba import __version__
from grapheme_numba.cli.exits import describe_error, fail
from grapheme_numba.cli.output import answer, open_missing_streams, warn
from grapheme_numba.distributed.launcher import place
from grapheme_numba.errors import GraphemeError

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

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *others: Any, standalone_mode: bool = True, **options: Any
    ) -> Any:
        """Run the command line; see `click.Group.main`."""
        if not standalone_mode:
            return super().main(args, *others, standalone_mode=False, **options)
        open_missing_streams()
        given = list(sys.argv[1:] if args is None else args)
        silent = place() != 0
        if silent and (not given or given[0] not in self.for_all or {"-h", "--help", "--version"} & set(given)):
            sys.exit(0)
        try:
            code = super().main(args, *others, standalone_mode=False, **options)
        except click.ClickException as error:
            if not silent:
                text = io.StringIO()
                error.show(text)
                warn(*text.getvalue().split("\n")[:-1])
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
