"""Our passes beside other programs on the same graph, weights and batch, in one process, in turn.

Each baseline must first give the same outputs and, where it trains, the same edge gradients; only then is
it timed, round by round next to ours, and the ratio taken pair by pair.
"""

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.bench import timing
from grapheme_numba.bench.baselines import RATE, Baseline, BatchMajor, NeatPython, ScipyCsr, Trains
from grapheme_numba.bench.cases import find_case, network_of
from grapheme_numba.bench.torch_baselines import TorchCsr, TorchLevels, TorchMasked
from grapheme_numba.errors import GraphemeError
from grapheme_numba.jit import n_threads, set_threads

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN

_ALL: tuple[type[Baseline], ...] = (ScipyCsr, BatchMajor, TorchCsr, TorchMasked, TorchLevels, NeatPython)
BASELINES = {one.name: one for one in _ALL}
# (baseline, case, batch, thread counts): where each is at home.
PLAN = (
    ("scipy-csr", "layered-10x1000x32", 256, (1,)),
    ("scipy-csr", "irregular-20k-400k", 256, (1,)),
    ("scipy-dots", "layered-10x1000x32", 256, (1, 2)),
    ("torch-csr", "layered-24x1024x32", 256, (1, 2)),
    ("torch-csr", "layered-120x1024x32", 256, (2,)),
    ("torch-masked", "layered-8x1024x32", 256, (1, 2)),
    ("torch-masked", "layered-8x1024x20", 256, (1, 2)),
    ("torch-levels", "irregular-20k-400k", 256, (1, 2)),
    ("neat-python", "irregular-20k-400k", 256, (1, 2)),
    ("neat-python", "classifier-64-128-10", 256, (1, 2)),
)
# Gradients of very deep networks: a pre-activation within rounding of 0 takes the other branch of leaky ReLU.
# Measured on 120 layers of 1,024, batch 256: outputs agree to 2e-6 of the norm and 10 of 31 million signs differ from
# float64's, yet the gradients' norm is off by 0.6 % for us and 0.9 % for torch; 24 layers agree to 6e-7.
TOLERANCE, DEEP_TOLERANCE, DEEP = 1e-3, 3e-2, 50


class Comparison(NamedTuple):
    """One pass of ours and of a baseline: rates in 10^9 edge samples per second, and how often ours is faster.

    `error` is the norm of the difference of outputs or gradients, whichever is larger, over the norm of ours.
    """

    peer: str
    case: str
    batch: int
    threads: int
    step: str
    rate: float
    peer_rate: float
    ratio: float
    low: float
    high: float
    error: float


class PeerDisagrees(GraphemeError):
    """A baseline computed something else than we did, so its time means nothing."""


def missing(name: str) -> str | None:
    """The package a baseline lacks, or None when it can run."""
    package = BASELINES[name].package
    return None if importlib.util.find_spec(package) else package


def compare(
    name: str, case_name: str, batch: int, threads: Sequence[int], repeat: int = timing.MIN_REPEAT,
    network: "DagNN | None" = None, clock: str = "wall",
) -> Iterator[Comparison]:  # fmt: skip
    """Yield the `Comparison` of each pass and thread count. Raises PeerDisagrees.

    `clock` "cpu" is for one thread only: a baseline's idle threads spin for a while, also in our turn.
    """
    network = network or network_of(find_case(case_name))
    generator = np.random.default_rng(0)
    x = generator.standard_normal((batch, network.n_input)).astype(np.float32)
    gy = (generator.standard_normal((batch, network.n_output)) / batch).astype(np.float32)
    before = n_threads()
    with warnings.catch_warnings():
        # torch announces on every run that its CSR support is young and checks nothing.
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks)")
        baseline = BASELINES[name](network, x, gy)
        error = disagreement(baseline, network, x, gy)
        if error > tolerance(network):
            raise PeerDisagrees(
                f"{name} and we differ by {error:.1e} of the result's norm on {case_name}, more than "
                f"{tolerance(network)}; a comparison of speed would mean nothing"
            )
        ours = our_calls(network, x, gy)
        calls: dict[tuple[int, str, str], Callable[[], object]] = {}
        for count in threads:
            for step in baseline.passes:
                calls[count, step, "ours"] = _with_threads(count, ours[step])
                calls[count, step, "theirs"] = _with_threads(count, getattr(baseline, step))
        measured = timing.interleave(calls, repeat, clock)
    set_threads(before)
    for count in threads:
        for step in baseline.passes:
            own = [value / batch for value in measured[count, step, "ours"][1]]
            other = [value / baseline.n_example for value in measured[count, step, "theirs"][1]]
            (ratio, low, high), edges = timing.ratio_of(own, other), network.n_edge / 1e9
            rate, peer_rate = edges / timing.timing_of(own).median, edges / timing.timing_of(other).median
            yield Comparison(name, case_name, batch, count, step, rate, peer_rate, ratio, low, high, error)


def tolerance(network: "DagNN") -> float:
    """The largest disagreement that rounding explains in a network of this depth."""
    return DEEP_TOLERANCE if network.n_level > DEEP else TOLERANCE


def disagreement(
    baseline: Baseline, network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]
) -> float:
    """How far a baseline's outputs or gradients are from ours, as a share of the norm of ours."""
    baseline.forward()
    y = network.forward(x)[: baseline.n_example]
    error = _difference(baseline.y(), y)
    if isinstance(baseline, Trains):
        baseline.step()
        network.zero_grad()
        network.forward(x)
        network.backward_accumulate(gy)
        error = max(error, _difference(baseline.gradients(), network.edge_grads))
    return error


def _difference(theirs: npt.NDArray[Any], ours: npt.NDArray[Any]) -> float:
    # The norm, not the largest entry: a few single gradients may differ by a percent (see `DEEP_TOLERANCE`).
    return float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))


def our_calls(
    network: "DagNN", x: npt.NDArray[np.float32], gy: npt.NDArray[np.float32]
) -> dict[str, Callable[[], None]]:
    """Our forward pass and whole training step as calls without arguments."""

    def step() -> None:
        network.zero_grad()
        network.forward(x)
        network.backward_accumulate(gy)
        network.step(float(RATE))

    def forward() -> None:
        # As the baselines, whose forward pass is told that no gradient will be asked for.
        network.requires_grad = False
        network.forward(x)
        network.requires_grad = True

    return {"forward": forward, "step": step}


def _with_threads(count: int, call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        set_threads(count)
        call()

    return run
