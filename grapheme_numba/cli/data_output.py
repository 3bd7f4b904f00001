"""What the data commands print: what was done, how far it is, what was refused and what was seen."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from grapheme_numba.cli.output import MOST_DOMAINS, answer, as_json, is_terminal, show, warn
from grapheme_numba.cli.program import exit_codes
from grapheme_numba.errors import RecordError
from grapheme_numba.signals import StopRequest


class Report:
    """Prints what a command did: plain sentences, or one JSON object a line; nothing when quiet."""

    def __init__(self, log_format: str, quiet: bool):
        self.json = log_format == "json"
        self.quiet = quiet
        self.live = not quiet and not self.json and log_format != "plain" and is_terminal(sys.stderr)

    def __call__(self, facts: dict[str, Any], sentence: str) -> None:
        """Print what is also to be seen in the files that were written."""
        if not self.quiet:
            show(as_json(facts) if self.json else sentence)

    def result(self, facts: dict[str, Any], sentence: str) -> None:
        """Print what the command was asked for. Raises OutputError when it cannot be written."""
        if not self.quiet:
            answer(as_json(facts) if self.json else sentence)

    def note(self, sentence: str) -> None:
        """Print a sentence on standard error, for people."""
        if not self.quiet and not self.json:
            warn(sentence)


def reported(body: Callable[..., None]) -> Callable[..., None]:
    """Run a command's body with a `Report` and with errors turned into a sentence and an exit code."""

    @functools.wraps(body)
    def command(*args: Any, log_format: str, quiet: bool, debug: bool, **others: Any) -> None:
        with exit_codes(debug), StopRequest().listening():
            body(*args, report=Report(log_format, quiet), **others)

    return command


@contextmanager
def progress_bar(report: Report, verb: str, unit: str = "bytes") -> Iterator[Callable[[int, int], None] | None]:
    """A progress function for work of known or unknown size; a bar on a terminal, nothing in a pipe."""
    if not report.live:
        yield None
        return
    from grapheme_numba.cli.live import meter

    with meter(verb, unit) as progress:
        yield progress


def place(refused: Any) -> str:
    """Where a refused line, or row of a table, is."""
    if refused.offset < 0:
        return f"{refused.file}, row {refused.line}"
    return f"{refused.file}, line {refused.line}, byte {refused.offset}"


def finish_with_rejects(report: Report, done: Any, max_rejects: int) -> None:
    """Print what a conversion did; RecordError for more rejects than are tolerated."""
    outputs = [str(path) for path in done.outputs]
    facts = {"rows_in": done.rows_in, "rows_out": done.rows_out, "rejects": done.rejects, "outputs": outputs}
    where = outputs[0] if len(outputs) == 1 else f"{done.outputs[0].parent} ({len(outputs)} files)"
    report(facts, f"{where}: {done.rows_in} rows in = {done.rows_out} rows out + {done.rejects} rejects")
    if done.rejects > max_rejects:
        first = done.first_reject
        raise RecordError(
            f"{done.rejects} of {done.rows_in} {'rows' if first.offset < 0 else 'lines'} were refused, {max_rejects} "
            f"are tolerated (--max-rejects); the first: {place(first)}: {first.reason}; all in {done.rejects_path}"
        )


def show_inspected(report: Report, inspected: Any) -> None:
    """Print what `inspect` saw, domain by domain."""
    dataset, summary = inspected.dataset, inspected.summary
    report.result(
        {"path": str(dataset.path), "rows": dataset.n_rows, "fingerprint": dataset.fingerprint, "checksums": "ok"},
        f"{dataset.path}: {dataset.n_rows} rows, checksums ok, fingerprint {dataset.fingerprint}",
    )
    if summary.nameless:
        report.result(
            {"nameless": summary.nameless}, f"  without a domain: {summary.nameless} rows, for a router (--route)"
        )
    hidden = 0
    for number, (domain, reading) in enumerate(zip(summary.domains, inspected.readings, strict=True)):
        # Those of which something does not fit are shown whatever their number is.
        if not report.json and number >= MOST_DOMAINS and not reading.n_unfit:
            hidden += 1
            continue
        facts = {
            "domain": domain.name,
            "rows": domain.n,
            "input_type": domain.input_type,
            "longest_input": domain.longest_input,
            "longest_answer": domain.longest_answer,
            "distinct_answers": len(domain.labels) or None,
            "codec": reading.domain.answer.describe(),
            "answer": reading.domain.answer.kind,
            "reason": reading.domain.reason,
            "misfits": reading.n_unfit,
            "misfit_ids": list(reading.unfit_ids),
            "first_misfit": reading.unfit or None,
        }
        report.result(facts, f"  {reading.line()}")
    if hidden:
        report.result({}, f"  and {hidden:,} more domains, of which all fits; --log-format json lists them")
    for record in inspected.samples:
        text = as_json(record)
        report.result({"sample": record}, f"  {text if len(text) <= 200 else text[:197] + '...'}")
