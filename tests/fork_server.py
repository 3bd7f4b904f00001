"""`grapheme-train` processes that start at once: forked from one that has imported everything and run nothing.

Each line of standard input is one order, `{"arguments": [...], "folder": path}`. The answers are two lines: the
process's number as it starts, then its exit code (or the signal's, negative) as it ends. In `folder` are
found `phase` (see `moments.py`), `out` and `err`.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import moments
import pyarrow
import pyarrow.dataset
from numba.core.registry import cpu_target

from grapheme_numba.cli import ranks, train_command  # noqa: F401 - what a run imports late
from grapheme_numba.cli.train import main
from grapheme_numba.report import answers  # noqa: F401 - the same


def run(order: dict) -> int:
    """The whole life of a forked process."""
    folder = Path(order["folder"])
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    moments.publish(folder / "phase")
    try:
        main(order["arguments"], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def serve() -> None:
    """Fork a process for every order until there are no more. Here no kernel runs: threads do not survive a fork."""
    cpu_target.typing_context.refresh()
    cpu_target.target_context.refresh()
    pyarrow.array([1]).to_numpy()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = run(json.loads(line))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        for answer in (child, None):
            if answer is None:
                answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    serve()
