"""Real jobs of several ranks for tests: `mpiexec` starts them, all on this machine."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")
SMALL = ("--hidden", "16", "--fan-in", "8", "--embedding-dim", "2", "--threads", "1", "--log-format", "plain")


def command(n_rank: int, *arguments) -> list[str]:
    """The command line of a job: grapheme-train, or grapheme-data convert, on ranks; without mpiexec on 1."""
    module = "data" if arguments[0] == "convert" else "train"
    program = [sys.executable, *([] if str(arguments[0]).endswith(".py") else ["-m", f"grapheme_numba.cli.{module}"])]
    program += map(str, arguments)
    return program if n_rank == 1 else [str(MPIEXEC), "-n", str(n_rank), *program]


def environment(**more: str) -> dict[str, str]:
    """Variables under which the package is found and its kernels come from the tests' cache."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def job(n_rank: int, *arguments, timeout: float = 240, **variables: str) -> subprocess.CompletedProcess:
    """Run a job to its end, with more environment variables; its output as text."""
    words = command(n_rank, *arguments)
    return subprocess.run(words, env=environment(**variables), capture_output=True, text=True, timeout=timeout)


def ranks_of(parent: int) -> dict[int, int]:
    """rank -> process id of the Python processes below `parent`."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            variables = dict(one.split("=", 1) for one in (folder / "environ").read_text().split("\0") if "=" in one)
            words = (folder / "cmdline").read_text().split("\0")
        except (OSError, ValueError):
            continue
        if "grapheme_numba.cli.train" in words and "mpiexec" not in words[0] and descends(int(folder.name), parent):
            found[int(variables.get("PMI_RANK", -1))] = int(folder.name)
    return found


def descends(process: int, ancestor: int) -> bool:
    """Whether `process` is a child of `ancestor`, or a child of one."""
    while process > 1 and process != ancestor:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return process == ancestor
