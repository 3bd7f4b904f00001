"""A two-second test of the engine on the machine at hand: right gradients, and the same bits on any threads."""

import hashlib
from typing import NamedTuple

import numpy as np

from grapheme_numba import jit
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.optim import optimizers

THREADS = (1, 2, 3, 4, 8, 16)
WORST_ERROR = 1e-6  # of a float64 gradient against central differences; a wrong one is off by 1e-2 or more


class Finding(NamedTuple):
    """One check: its name, whether it passed, and the figure behind that."""

    name: str
    passed: bool
    figure: str


def run() -> list[Finding]:
    """All checks. The number of threads is as before afterwards."""
    return [gradients(), bits()]


def gradients() -> Finding:
    """Gradients of a random DAG in float64 against central differences along one random direction."""
    rng = np.random.default_rng(7)
    names = ["linear", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu", "sin", "gaussian"]
    kinds = ["linear"] * 8 + [names[i % len(names)] for i in range(52)]
    dag = DagNN.random(60, 400, 8, 5, seed=3, activation=kinds, dtype="float64")
    x, target = rng.normal(size=(33, 8)), rng.normal(size=(33, 5))
    direction = rng.normal(size=dag.n_edge)
    weights = np.array(dag.weights)

    def loss(step: float) -> float:
        dag.weights = weights + step * direction
        return 0.5 * float(np.square(dag.forward(x) - target).sum())

    step = 1e-5
    difference = (loss(step) - loss(-step)) / (2 * step)
    dag.weights = weights
    dag.zero_grad()
    dag.backward_accumulate(dag.forward(x) - target)
    analytic = float(np.asarray(dag.edge_grads) @ direction)
    error = abs(analytic - difference) / max(abs(difference), 1.0)
    return Finding("gradient check (float64)", error <= WORST_ERROR, f"relative error {error:.1e}")


def bits() -> Finding:
    """The digest of a few training steps for every number of threads that this machine allows."""
    before = jit.n_threads()
    digests: dict[str, list[int]] = {}
    try:
        for n in THREADS:
            if jit.set_threads(n) == n:
                digests.setdefault(trained_digest(), []).append(n)
    finally:
        jit.set_threads(before)
    tried = [n for group in digests.values() for n in group]
    figure = f"threads {', '.join(map(str, tried))}: sha256 {next(iter(digests))[:16]}"
    return Finding("same bits for any thread count", len(digests) == 1, figure)


def trained_digest() -> str:
    """SHA-256 of the parameters after five steps of adam on a small random DAG."""
    rng = np.random.default_rng(5)
    dag = DagNN.random(400, 6000, 24, 12, seed=4)
    x = rng.normal(size=(150, 24)).astype(np.float32)
    target = rng.normal(size=(150, 12)).astype(np.float32)
    optimizer = optimizers.build("adam")
    state = optimizer.init(dag.parameters)
    for _ in range(5):
        dag.zero_grad()
        dag.backward_accumulate(dag.forward(x) - target)
        scale = optimizers.clip_scale(optimizers.gradient_norm(dag.gradients), 1.0)
        state = optimizer.step(dag.parameters, dag.gradients, state, 0.01, scale)
        dag.parameters_changed()
    return hashlib.sha256(dag.to_caller_order(dag.parameters).tobytes()).hexdigest()
