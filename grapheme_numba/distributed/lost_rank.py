"""A rank's side of the process that watches it: see `watcher`."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from grapheme_numba.distributed.roll_call import DEFAULT_LIMIT

if TYPE_CHECKING:
    from grapheme_numba.distributed.comm import Ranks

PROGRAM = Path(__file__).with_name("watcher.py")


class LostRankReporter:
    """Starts that process, before this rank looks for the others, and sends it what it needs to know.

    Used as a context manager around all that a rank does; `joined` has to follow when the ranks have met. Left with an
    error before that, the watcher sees that the launcher ends, for ranks that already wait for this one do not.
    """

    def __init__(self) -> None:
        self._lines: IO[bytes] | None = None  # to the watcher; None where there is none
        self._watcher = self._of_host = 0  # process: of this rank, of the ranks of this host
        self._joined = False
        if hasattr(os, "pidfd_open"):
            program = [sys.executable, "-I", "-S", str(PROGRAM), str(os.getpid())]
            started = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            said = b"" if started.stdout is None else started.stdout.read()
            started.wait()
            self._lines, self._watcher = started.stdin, int(said or 0)

    def joined(self, comm: "Ranks") -> None:
        """All ranks have met: the lowest of every host keeps its watcher."""
        self._joined = True
        found = comm.host_processes(self._watcher)
        self._of_host = found[0][2]
        if comm.host_rank == 0:
            self.send(f"ranks {comm.size} {' '.join(f'{rank}:{process}' for rank, process, _ in found)}")
        else:
            self._end("dismissed")

    def send(self, line: str) -> None:
        """Send one line."""
        if self._lines is not None:
            try:
                self._lines.write(line.encode() + b"\n")
                self._lines.flush()
            except OSError:
                self._lines = None  # it is gone; the run does not depend on it

    def _end(self, line: str) -> None:
        self.send(line)
        if self._lines is not None:
            self._lines.close()
        self._lines = None

    def leave(self) -> None:
        """This rank is about to end because others are silent, and says so itself."""
        if self._lines is None and self._of_host:
            with suppress(OSError):
                os.kill(self._of_host, signal.SIGUSR1)
        self._end("silent")

    def __enter__(self) -> Self:
        self.send(f"limit {DEFAULT_LIMIT}")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end("done" if self._joined or kind is None else "failed")


def end_launcher() -> None:
    """This rank fails before it has met the others, which may wait for it: let a watcher see that the launcher ends."""
    LostRankReporter()._end("failed")
