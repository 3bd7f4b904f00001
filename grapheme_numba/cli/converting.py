"""`mpiexec -n N grapheme-data convert`: the ranks share the files out, rank 0 speaks."""

from grapheme_numba.cli.data_options import Show, finish_with_rejects
from grapheme_numba.cli.ranks import one_voice
from grapheme_numba.errors import StoppedEarly, UsageError
from grapheme_numba.signals import StopRequest


def convert_on_ranks(show: Show, inputs, output: str | None, max_rejects: int, given: dict) -> None:
    """Convert `inputs` to the folder `output`. A signal to any rank ends all, and nothing is half-written."""
    from grapheme_numba.data.jsonl.convert import convert_together

    stop = StopRequest()

    def progress(done, total):
        if stop.reason is not None:
            raise StoppedEarly(f"stopped because {stop.reason}; nothing is half-written")

    # Only between blocks of lines: no rank may leave a meeting with the others.
    with one_voice(False) as comm, stop.listening(), stop.deferred():
        if output is None:
            raise UsageError("several ranks write a file for each input: give --output FOLDER and no other split")
        done = convert_together(comm, inputs, output, **given, progress=progress)
        finish_with_rejects(show if comm.rank == 0 else Show("plain", quiet=True), done, max_rejects)
