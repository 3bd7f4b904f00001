"""What the commands of `grapheme-data` share: options, progress, exit codes and how they speak."""

import functools
import json
import sys
from contextlib import contextmanager

import click

from grapheme_numba.cli.exits import exit_codes
from grapheme_numba.signals import StopRequest


class Show:
    """Says results on standard output: plain sentences, or one JSON object a line; nothing when quiet."""

    def __init__(self, log_format: str, quiet: bool):
        self.json = log_format == "json"
        self.quiet = quiet
        self.live = not quiet and not self.json and log_format != "plain" and sys.stderr.isatty()

    def __call__(self, facts: dict, sentence: str) -> None:
        """Say one result."""
        if not self.quiet:
            click.echo(json.dumps(facts, ensure_ascii=False) if self.json else sentence)

    def note(self, sentence: str) -> None:
        """Say something on standard error, for people."""
        if not self.quiet and not self.json:
            click.echo(sentence, err=True)


def format_option(command):
    """--log-format, --quiet and --debug."""
    command = click.option("--debug", is_flag=True, help="Show the traceback of an error.")(command)
    command = click.option("--quiet", is_flag=True, help="Say nothing but errors.")(command)
    choice = click.Choice(["auto", "rich", "plain", "json"])
    return click.option("--log-format", type=choice, default="auto", show_default=True, help="How to speak.")(command)


def frame(body):
    """Run a command's body with `show` and with errors turned into a sentence and an exit code."""

    @functools.wraps(body)
    def command(*args, log_format, quiet, debug, **kwargs):
        with exit_codes(debug), StopRequest().listening():
            body(*args, show=Show(log_format, quiet), **kwargs)

    return command


def limit_options(command):
    """--max-line-bytes, --max-numbers, --max-depth and --allow-missing-domain, gathered as `limits`."""

    @functools.wraps(command)
    def gathered(*args, max_line_bytes, max_numbers, max_depth, allow_missing_domain, **kwargs):
        return command(*args, limits=(max_line_bytes, max_numbers, max_depth, allow_missing_domain), **kwargs)

    text = "Take lines without `domain`, for grapheme-train --route."
    gathered = click.option("--allow-missing-domain", is_flag=True, help=text)(gathered)
    for flag, default, text in (
        ("--max-depth", 64, "Deepest nesting of brackets in a line."),
        ("--max-numbers", 1 << 20, "Most numbers in `values` or `pixels`."),
        ("--max-line-bytes", 16 << 20, "Longest line."),
    ):
        option = click.option(flag, type=click.IntRange(1), default=default, show_default=True, help=text)
        gathered = option(gathered)
    return gathered


def line_limits(limits: tuple[int, int, int, bool]):
    """The Limits of the options."""
    from grapheme_numba.data.records import Limits

    return Limits(*limits)


@contextmanager
def task(show: Show, verb: str, unit: str = "bytes"):
    """A progress function for work of known or unknown size; a bar on a terminal, nothing in a pipe."""
    if not show.live:
        yield None
        return
    from grapheme_numba.cli.data_view import meter

    with meter(verb, unit) as progress:
        yield progress


def finish_with_rejects(show: Show, done, max_rejects: int) -> None:
    """Say what a conversion did; RecordError for more rejects than are tolerated."""
    from grapheme_numba.errors import RecordError

    outputs = [str(path) for path in done.outputs]
    facts = {"rows_in": done.rows_in, "rows_out": done.rows_out, "rejects": done.rejects, "outputs": outputs}
    where = outputs[0] if len(outputs) == 1 else f"{done.outputs[0].parent} ({len(outputs)} files)"
    show(facts, f"{where}: {done.rows_in} rows in = {done.rows_out} rows out + {done.rejects} rejects")
    if done.rejects > max_rejects:
        first = done.first_reject
        raise RecordError(
            f"{done.rejects} of {done.rows_in} lines were refused, {max_rejects} are tolerated (--max-rejects); the "
            f"first: {first.file}, line {first.line}, byte {first.offset}: {first.reason}; all in {done.rejects_path}"
        )
