"""Stopping on request: SIGTERM and Ctrl-C save and stop, SIGUSR1 saves and goes on.

While a batch runs, a signal only leaves a word that the loop reads after the batch (`deferred`). Before
and after, there is nothing to lose: StoppedEarly is raised where the program stands, be it compiling,
converting or validating. A second signal ends the process at once.
"""

import os
import signal
import threading
import time
from contextlib import contextmanager

from grapheme_numba.errors import StoppedEarly

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE = 4.5  # seconds that an exception may take to end the process before it is ended


class StopRequest:
    """What has been asked for: `reason` to stop (or None), `save` to write a checkpoint and go on."""

    def __init__(self):
        self.reason: str | None = None
        self.save = False
        self._deferred = 0
        self._began = time.monotonic()
        self._deadline: float | None = None
        self._watchdog: threading.Timer | None = None

    def limit(self, max_time: float | None) -> None:
        """Let `due` ask for a stop so many seconds after this object was made."""
        self._deadline = None if max_time is None else self._began + max_time

    def due(self) -> str | None:
        """Why to stop now, or None. Asked after every batch."""
        if self.reason is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = "the time given by --max-time is over"
        return self.reason

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        wanted, self.save = self.save, False
        return wanted

    @contextmanager
    def deferred(self):
        """Within, signals wait for the loop to ask."""
        self._deferred += 1
        try:
            yield self
        finally:
            self._deferred -= 1

    @contextmanager
    def listening(self):
        """Handle signals within; the earlier handlers come back at the end. Main thread only."""
        handled = [*STOP_SIGNALS, signal.SIGUSR1]
        before = {number: signal.getsignal(number) for number in handled}
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGUSR1, self._save)
        try:
            yield self
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _save(self, number, frame):
        self.save = True

    def _stop(self, number, frame):
        name = signal.Signals(number).name
        if self.reason is not None:
            leave()
        self.reason = f"{name} was received"
        if not self._deferred:
            # A compiler that holds the thread, or a finalizer that swallows the exception, must not keep us here.
            self._watchdog = threading.Timer(GRACE, leave)
            self._watchdog.daemon = True
            self._watchdog.start()
            raise StoppedEarly(f"stopped because {name} was received; run the same command again to go on")


def leave() -> None:
    """End the process at once, with the code of an early stop; files on the disk are whole at any moment."""
    os._exit(StoppedEarly.exit_code)
