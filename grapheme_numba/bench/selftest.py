"""A two-second test of the engine on the machine at hand: right gradients, and the bits of every other machine."""

import hashlib
from typing import NamedTuple

import numpy as np

from grapheme_numba import jit
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.network import losses
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.optim import optimizers, schedules

THREADS = (1, 2, 3, 4, 8, 16)
# What `trained_digest` gives on every processor, as docs/reliability.md lists it; another order of sums changes it.
DIGEST = "6fdf6da1249b117c825acbea02ef8d327273bcd7aa86bae94da50f6df99812a4"
WORST_ERROR = 1e-6  # of a float64 gradient against central differences; a wrong one is off by 1e-2 or more


class Finding(NamedTuple):
    """One check: its name, whether it passed, and the figure behind that."""

    name: str
    passed: bool
    figure: str


def run() -> list[Finding]:
    """All checks. The number of threads is as before afterwards."""
    return [gradients(), *bits()]


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


def bits() -> list[Finding]:
    """The digest of a few training steps: one for every number of threads here, and for every processor `DIGEST`."""
    before = jit.n_threads()
    digests: dict[str, list[int]] = {}
    try:
        for n in THREADS:
            if jit.set_threads(n) == n:
                digests.setdefault(trained_digest(), []).append(n)
    finally:
        jit.set_threads(before)
    tried = [n for group in digests.values() for n in group]
    found = next(iter(digests))
    return [
        Finding("same bits for any thread count", len(digests) == 1, f"threads {', '.join(map(str, tried))}"),
        Finding("same bits on any processor", found == DIGEST, f"sha256 {found}, expected {DIGEST[:8]}..."),
    ]


def trained_digest() -> str:
    """SHA-256 of the parameters after five steps of adam on a small random DAG of every activation function."""
    rng = np.random.default_rng(5)
    names = sorted(set(ACTIVATIONS) - {"exp", "square", "cube", "inverse"})  # which have no bounds
    kinds = ["linear"] * 24 + [names[i % len(names)] for i in range(376)]
    dag = DagNN.random(400, 6000, 24, 12, seed=4, activation=kinds)
    # Uniform draws are bits of a counter; normal ones would take logarithms of the C library.
    x = (2 * rng.random((150, 24)) - 1).astype(np.float32)
    labels = rng.integers(12, size=150)
    optimizer, schedule = optimizers.build("adam"), schedules.cosine(warmup=0.2)
    state = optimizer.init(dag.parameters)
    for step in range(5):
        dag.zero_grad()
        dag.backward_accumulate(losses.cross_entropy(dag.forward(x), labels)[1])
        scale = optimizers.clip_scale(optimizers.gradient_norm(dag.gradients), 1.0)
        state = optimizer.step(dag.parameters, dag.gradients, state, 0.01 * schedule(step, 5), scale)
        dag.parameters_changed()
    return hashlib.sha256(dag.to_caller_order(dag.parameters).tobytes()).hexdigest()
