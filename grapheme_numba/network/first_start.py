"""Kernels of passes and optimiser steps, compiled by a second process while a first start compiles those of the data.

Threads would wait for the compiler's lock, processes do not, and what one has compiled the other finds in the cache.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from grapheme_numba import jit

# What the second process compiles: whoever wants one of these waits for it. (Waiting for any kernel of their modules
# was tried: a small one is wanted at once, and the two processes worked one after the other.)
KERNELS = tuple(
    f"grapheme_numba.kernels.engine.{name}"
    for name in (
        "forward.forward_tiles", "backward.backward_tiles",
        "updates.receiver_order", "updates.sum_of_squares", "updates.step_and_clear",
    )
)  # fmt: skip
LONGEST = 300.0  # seconds to wait for it; then everything is compiled here


def compile_beside(optimizer: str) -> None:
    """Start to compile the kernels of a float32 network and of an optimizer, if a core is free for that."""
    if len(os.sched_getaffinity(0)) < 2:
        return
    program = f"from grapheme_numba.network import first_start; first_start.compile_kernels({optimizer!r})"
    folders = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=quiet, stdout=quiet, stderr=quiet,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        )  # fmt: skip
    except OSError:
        return  # no room for a process: everything is compiled here
    lock = threading.Lock()

    def wait() -> None:
        with lock:  # several threads may want a kernel
            try:
                process.wait(LONGEST)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    jit.wait_before(KERNELS, wait)


def compile_kernels(optimizer: str) -> None:
    """Compile by use."""
    import numpy as np

    from grapheme_numba.network.dagnn import DagNN
    from grapheme_numba.optim import optimizers

    jit.set_threads(1)
    dag = DagNN.random(40, 200, 8, 4, seed=0)
    rule = optimizers.build(optimizer)
    dag.forward(np.zeros((3, 8), np.float32))
    dag.backward_accumulate(np.zeros((3, 4), np.float32))
    optimizers.gradient_norm(dag.gradients)
    rule.update_and_clear(dag.parameters, dag.gradients, rule.init(dag.parameters), 0.0, 1.0)
