"""The other end of `fork_server.py`: start a training process at once, watch it, strike it, and see how it ended."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from moments import Moments

SERVER = Path(__file__).with_name("fork_server.py")
PATIENCE = 120.0  # seconds: a phase that never begins is given up
# How long a phase may last, in seconds: a strike falls anywhere within.
DURATION = {"start": 0.3, "conversion": 0.1, "compile": 1.0, "step": 0.15, "validation": 0.004, "save": 0.008}


class End(NamedTuple):
    """How a process ended.

    code : exit code, negative the number of the signal that killed it
    phase : what it was doing when it was struck
    batches : how many batches it had finished by then
    seconds : from the strike to the end
    said : what it wrote to stderr
    """

    code: int
    phase: str
    batches: int
    seconds: float
    said: str


class ForkServer:
    """Starts `grapheme-train` processes with a kernel cache of their own. Use as a context manager.

    `kernels` are the names of cached kernels that a run needs, to be set by whoever knows them.
    """

    def __init__(self, cache: Path):
        self.cache, self.kernels = cache, []
        shutil.copytree(os.environ["NUMBA_CACHE_DIR"], cache)
        cache.chmod(0o700)
        paths = os.pathsep.join([str(SERVER.parent.parent), str(SERVER.parent)])
        variables = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(cache)}
        command = [sys.executable, str(SERVER)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def run(self, arguments, folder: Path, strike=None) -> End:
        """One process to its end. `strike` is (signals, phase, visit, delay): see `wait_for`."""
        (folder / "phase").unlink(missing_ok=True)
        now = Moments(folder / "phase")
        order = {"arguments": list(map(str, arguments)), "folder": str(folder)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        struck, phase, batches = time.perf_counter(), now.phase, 0
        if strike is not None:
            number, *moment = strike
            descriptor = os.pidfd_open(pid)  # of a process that has ended there is nothing to strike
            wait_for(now, pid, *moment)
            phase, batches, struck = now.phase, now.batches, time.perf_counter()
            try:
                signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                phase = "ended"
            os.close(descriptor)
        code = int(self.process.stdout.readline())
        if code == -signal.SIGKILL:
            phase = now.phase
        elif strike is not None and number == signal.SIGKILL:
            phase = "ended"  # by itself, while the signal was on its way: nobody survives that one
        return End(code, phase, batches, time.perf_counter() - struck, (folder / "err").read_text())

    def forget_a_kernel(self, draw: random.Random) -> None:
        """Take a kernel that runs need out of the cache: the next process has to compile it."""
        code = {file.name: file.stat().st_size for file in self.cache.rglob("*.nbc")}
        size = {name: sum(code[file] for file in code if file.startswith(name)) for name in self.kernels}
        small = sorted(size, key=size.get)[: len(size) // 3]  # the large ones take many seconds each
        for file in self.cache.rglob(f"{draw.choice(small)}*.nbi"):
            file.unlink()


def wait_for(now: Moments, pid: int, phase: str, visit: int, delay: float) -> None:
    """Return `delay` seconds after the `visit`-th beginning of `phase`, or when the process has ended."""
    until = time.monotonic() + PATIENCE
    while now.visits(phase) < visit and alive(pid) and time.monotonic() < until:
        time.sleep(0.0003)
    time.sleep(delay)


def alive(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
