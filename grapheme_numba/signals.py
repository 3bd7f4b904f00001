"""Stopping on request: SIGTERM, Ctrl-C and the end of the terminal (SIGHUP) save and stop; SIGUSR1 saves.

While a batch runs, a signal only sets a flag that the loop reads after the batch (`deferred`). Before
and after, there is nothing to lose: Interrupted is raised where the program stands, be it compiling or
converting, and leaves `listening` as StoppedEarly. A second signal ends the process at once,
but for SIGHUP: when a terminal closes, both the kernel and the shell send it. `nohup` is respected.

Python runs a handler only between two bytecodes, and one call of the compiler can take a minute. So the
interpreter also writes each signal's number into a pipe (`set_wakeup_fd`), and a thread that waits there
ends the process when the main thread does not come to it in time. Where a native call holds the interpreter
(an import that waits for memory), no thread comes to anything; so SIGTERM is caught once only, and not at all
after another stop signal: the next one finds the system's default action, which needs nobody's help.
"""

import ctypes
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from grapheme_numba.errors import StoppedEarly

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE = 3.0  # seconds that the main thread may take to end by itself
END = 0  # no signal has this number: it ends the thread


class Interrupted(BaseException):
    """A signal, on its way out: no handler of errors may take it for a fault of what it interrupts."""


class StopRequest:
    """What is requested: `reason` to stop (or None), `save` to write a checkpoint and continue.

    Parameters
    ----------
    ends_process : bool
        Whether a second signal, or one that is not handled in time, ends the process, as suits a command. Without
        it a second signal raises KeyboardInterrupt: a notebook has more to lose than one run.
    """

    def __init__(self, ends_process: bool = True) -> None:
        self._ends_process = ends_process
        self.reason: str | None = None
        self.save = False
        self._deferred = 0
        self._entry: int | None = None  # address of the interpreter's handler
        self._began = time.monotonic()
        self._deadline: float | None = None
        self._unraisable: Callable[..., object] | None = (
            None  # the hook for errors in `__del__` that an interruption has replaced
        )

    def limit(self, max_time: float | None) -> None:
        """Let `due` ask for a stop so many seconds after this object was made."""
        self._deadline = None if max_time is None else self._began + max_time

    def due(self) -> str | None:
        """Why to stop now, or None. Asked after every batch."""
        if self.reason is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self.reason = "the time given by --max-time is over"
        return self.reason

    def take_save(self) -> bool:
        """Whether a checkpoint was requested since the last call."""
        wanted, self.save = self.save, False
        return wanted

    @contextmanager
    def deferred(self) -> Iterator["StopRequest"]:
        """Within, signals wait until the loop looks for them."""
        self._deferred += 1
        try:
            yield self
        finally:
            self._deferred -= 1

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle signals within; the earlier handlers come back at the end.

        Only the main thread can: in another one signals stay with whoever handles them.
        Raises StoppedEarly where a signal ended what was done within.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        handlers = dict.fromkeys(STOP_SIGNALS, self._stop) | {signal.SIGUSR1: self._save}
        if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # started by nohup
            del handlers[signal.SIGHUP]
        before = {number: signal.getsignal(number) for number in handlers}
        with self._watcher() if self._ends_process else nullcontext():
            try:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                if self._ends_process:
                    self._find_entry()
                    signal.signal(signal.SIGUSR1, self._save)
                    self._catch_once()
                yield self
            except (Interrupted, Exception) as error:
                # Python drops what is raised in a callback of C, as the compiler has; then it fails in another way.
                if self._unraisable is None or isinstance(error, StoppedEarly):
                    raise
                # What was half made goes now, while its complaints are not heard.
                traceback.clear_frames(error.__traceback__)
                raise StoppedEarly(f"stopped because {self.reason}; run the same command again") from None
            finally:
                if self._unraisable is not None:
                    sys.unraisablehook, self._unraisable = self._unraisable, None
                for number, earlier in before.items():
                    signal.signal(number, earlier)

    @contextmanager
    def _watcher(self) -> Iterator[None]:
        """Within, a thread ends the process when the main thread does not come to a signal in time."""
        out, into = os.pipe()
        os.set_blocking(into, False)
        watcher = threading.Thread(target=self._watch, args=(out,), name="signals", daemon=True)
        watcher.start()
        wakeup = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            os.write(into, bytes([END]))
            watcher.join()
            os.close(into)
            os.close(out)

    def _watch(self, out: int) -> None:
        """Count stop signals as they arrive; end the process at the second, or when the first is not handled."""
        n_stop, until = 0, None
        while True:
            ready, _, _ = select.select([out], [], [], None if until is None else max(0.0, until - time.monotonic()))
            if not ready:
                leave()
            for number in os.read(out, 64):
                if number == END:
                    return
                if number in STOP_SIGNALS:
                    self._catch_no_more()
                    n_stop += number != signal.SIGHUP or n_stop == 0
                    if n_stop > 1:
                        leave()
                    if not self._deferred:
                        until = time.monotonic() + GRACE

    def _find_entry(self) -> None:
        """Note the interpreter's own handler, by way of SIGUSR1, which is ignored afterwards."""
        once = _one_shot()
        self._entry = once(signal.SIGUSR1, _IGNORE) if once is not None else None

    def _catch_once(self) -> None:
        """Let the next SIGTERM come to the interpreter, and the one after it to the system: that ends the process."""
        once = _one_shot()
        if once is not None and self._entry:
            once(signal.SIGTERM, self._entry)

    def _catch_no_more(self) -> None:
        """Let the next SIGTERM come to the system: whatever the interpreter does by then, the process ends."""
        once = _one_shot()
        if once is not None and self._entry:
            once(signal.SIGTERM, _DEFAULT)

    def _save(self, number: int, frame: object) -> None:
        self.save = True

    def _stop(self, number: int, frame: object) -> None:
        if self.reason is not None:
            if number == signal.SIGHUP:
                return
            if not self._ends_process:
                raise KeyboardInterrupt
            leave()
        self.reason = f"{signal.Signals(number).name} was received"
        if not self._deferred:
            # An object whose making is interrupted may fail as it is deleted, and Python would print that.
            self._unraisable, sys.unraisablehook = sys.unraisablehook, lambda _: None
            raise Interrupted(self.reason)


_DEFAULT, _IGNORE = 0, 1  # SIG_DFL and SIG_IGN of C


def _one_shot() -> Callable[[int, int], int | None] | None:
    """C's `signal` of System V, which sets a handler for one signal only; None where the C library has none."""
    once = getattr(ctypes.CDLL(None), "sysv_signal", None)
    if once is not None:
        once.restype, once.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    return once


def leave() -> None:
    """End the process at once, with the code of an early stop; files on the disk are whole at any moment."""
    os.write(2, b"error: stopped at once by a signal; nothing is half-written, what was saved before is whole\n")
    os._exit(StoppedEarly.exit_code)
