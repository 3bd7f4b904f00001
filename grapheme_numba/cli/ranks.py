"""Commands on many ranks: what goes wrong on any of them is printed once, by rank 0, and ends all with one code."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from grapheme_numba.cli.data_output import Report, finish_with_rejects
from grapheme_numba.cli.output import warn
from grapheme_numba.cli.program import describe_error, exit_codes
from grapheme_numba.distributed.comm import RankFailed, Ranks, Serial, join
from grapheme_numba.distributed.launcher import n_announced
from grapheme_numba.distributed.roll_call import RanksSilent
from grapheme_numba.errors import StoppedEarly, UsageError
from grapheme_numba.signals import StopRequest


@contextmanager
def joined_ranks(debug: bool) -> Iterator[Serial | Ranks]:
    """The communicator of this process, with errors turned into a sentence and an exit code on all ranks.

    Its `report` sends a line to the process that watches the ranks of this host.
    """
    with exit_codes(debug):
        if n_announced() in (None, 1):
            yield join()
            return
        from grapheme_numba.distributed.roll_call import LostRankReporter

        with LostRankReporter() as reporter:
            comm = join()
            if isinstance(comm, Serial):
                yield comm
                return
            comm.report, comm.why, comm.roll.say = reporter.send, reporter.why, warn
            reporter.joined(comm)
            try:
                yield comm
                comm.part()
            except RankFailed as error:
                leave(comm, error)
            except RanksSilent as error:
                reporter.leave()
                give_up(error, comm)
            except Exception as error:
                text, exit_code = describe_error(error, debug)
                if comm.broken:
                    warn(f"error: on rank {comm.rank}: {text}")
                    comm.abort(exit_code)
                try:
                    comm.fail(text, exit_code)
                except RankFailed as agreed:
                    leave(comm, agreed)
                except RanksSilent:
                    reporter.leave()
                    give_up(error, comm)


def give_up(error: Exception, comm: Ranks) -> NoReturn:
    """End without the others, which do not answer; what they would have to do together at the end is left out."""
    text, exit_code = describe_error(error)
    if getattr(error, "speaks", True):
        on = f"; {comm.way_on()}" if isinstance(error, RanksSilent) else ""
        warn(f"error: {text}{on}")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(exit_code)


def leave(comm: Ranks, error: RankFailed) -> NoReturn:
    """Rank 0 raises the error, the others end with its code."""
    comm.roll.forget()
    if comm.rank == 0:
        raise error from None
    sys.exit(error.exit_code)


def convert_on_ranks(
    report: Report, inputs: Sequence[str], output: str | None, max_rejects: int, given: dict[str, Any]
) -> None:
    """Convert `inputs` to the folder `output`. A signal to any rank ends all, and nothing is half-written."""
    from grapheme_numba.data.jsonl.convert import convert_together

    stop = StopRequest()

    def progress(done: int, total: int) -> None:
        if stop.reason is not None:
            raise StoppedEarly(f"stopped because {stop.reason}; nothing is half-written")

    # Only between blocks of lines: no rank may leave a meeting with the others.
    with joined_ranks(False) as comm, stop.listening(), stop.deferred(), comm.working("converts"):
        if output is None:
            raise UsageError("several ranks write a file for each input: give --output FOLDER and no other split")
        done = convert_together(comm, inputs, output, **given, progress=progress)
        finish_with_rejects(report if comm.rank == 0 else Report("plain", quiet=True), done, max_rejects)
