"""What it costs to move edges, in training steps: one after the other in turn, medians.

    python benchmarks/evolution.py         # what a user waits for, on one thread and on all
    python benchmarks/evolution.py --cpu   # processor time of one thread, where other programs are running

A step is forward, backward and Adam on 64 examples. `rebuild` is the new CSR in both directions with parameters,
gradients and both moments moved along; `set` and `rigl` are the whole change: choosing what goes, drawing (and
judging) where it goes, and the rebuild. Edges do not move every step: `--evolve-every` is a fiftieth of the run.
"""

import statistics
import sys
import time

import numpy as np

from grapheme_numba import DagNN, jit
from grapheme_numba.optim import optimizers
from grapheme_numba.sparsity import evolve

CLOCK = time.thread_time if "--cpu" in sys.argv else time.perf_counter
THREADS = (1,) if "--cpu" in sys.argv else (1, jit.set_threads(None))
CASES = (([296, 512, 512, 512, 152], 64), ([512, 4096, 4096, 4096, 512], 80))
BATCH, REPEAT = 64, 9
HEADER = ("edges", "threads", "step ms", "rebuild", "set", "rigl", "step after")


def row(widths, fan_in, threads):
    """The figures of one network as text: milliseconds of a step, the rest as numbers of steps."""
    jit.set_threads(threads)
    dag, rng = DagNN.layered(widths, fan_in, seed=1), np.random.default_rng(0)
    rule = optimizers.build("adam")
    state = [rule.init(dag.parameters)]
    x = rng.normal(size=(BATCH, dag.n_input)).astype(np.float32)
    gy = rng.normal(size=(BATCH, dag.n_output)).astype(np.float32)

    def step():
        dag.forward(x)
        dag.backward_accumulate(gy)
        state[0] = rule.step(dag.parameters, dag.gradients, state[0], 1e-6)
        dag.parameters_changed()
        dag.zero_grad()

    times = {name: [] for name in ("step", "rigl", "set", "rebuild", "after")}

    def timed(name, work):
        began = CLOCK()
        result = work()
        times[name].append(CLOCK() - began)
        return result

    for turn in range(REPEAT + 2):
        step()
        timed("step", step)
        timed("rigl", lambda turn=turn: evolve.propose(dag, "rigl", 0.3, (1, turn)))
        change = timed("set", lambda turn=turn: evolve.propose(dag, "set", 0.3, (1, turn)))
        timed("rebuild", lambda change=change: evolve.replace_edges(dag, change, list(state[0].moments.values())))
        timed("after", step)
    middle = {name: statistics.median(values[2:]) for name, values in times.items()}
    unit, rebuild = middle["step"], middle["rebuild"]
    whole = [rebuild, middle["set"] + rebuild, middle["rigl"] + rebuild, middle["after"]]
    return (f"{dag.n_edge:,}", str(threads), f"{unit * 1e3:.2f}", *(f"{value / unit:.1f}" for value in whole))


if __name__ == "__main__":
    rows = [HEADER, *(row(*case, threads) for case in CASES for threads in THREADS)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for cells in rows:
        sys.stdout.write("  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) + "\n")
