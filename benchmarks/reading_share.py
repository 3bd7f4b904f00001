"""What reading and encoding cost a training run: epochs that stream from Parquet beside epochs from memory, in turn.

    python benchmarks/reading_share.py --rounds 15

The default `agi` run on the shipped data, in one process. A streamed epoch reads, shuffles and encodes beside
training, as every run does; the other one trains on the very batches of it, made before the clock starts. Printed
is the share of the streamed epoch's time that the other one does without.
"""

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import closing

from grapheme_numba.runs import resume, session
from grapheme_numba.signals import StopRequest
from grapheme_numba.training import loop
from grapheme_numba.training.observer import Observer
from grapheme_numba.training.run import Run
from grapheme_numba.training.tasks import find_task

WARM_UP = 3  # rounds that do not count


def next_epoch(run) -> None:
    """What remains of closing an epoch without validation, files and checkpoints."""
    run.progress.epoch, run.progress.batch, run.progress.tally = run.progress.epoch + 1, 0, {}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        task, epochs = find_task("agi"), 2 * (given.rounds + WARM_UP) + 1
        values = {"output": folder + "/run", "epochs": epochs, "save_every": 10**9}
        start = resume.choose_start(task, [("benchmark", values)], "never", False)
        run = session.prepare(task, start, StopRequest(), Observer())
        seconds = {"streamed": [], "from memory": []}
        stream, loop.close_epoch = Run.batches, next_epoch
        for number in range(2 * (given.rounds + WARM_UP)):
            name = ("streamed", "from memory")[number % 2]
            if name == "from memory":
                with closing(stream(run)) as batches:
                    ready = list(batches)
                Run.batches = lambda run, ready=ready: (batch for batch in ready)
            began = time.perf_counter()
            loop.one_epoch(run)
            seconds[name].append(time.perf_counter() - began)
            Run.batches = stream
    streamed, memory = (seconds[name][WARM_UP:] for name in seconds)
    shares = [1 - b / a for a, b in zip(streamed, memory, strict=True)]
    sys.stdout.write(
        f"an epoch streamed {statistics.median(streamed) * 1e3:.1f} ms, from memory "
        f"{statistics.median(memory) * 1e3:.1f} ms (medians of {given.rounds}); reading and encoding take "
        f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})\n"
    )


if __name__ == "__main__":
    main()
