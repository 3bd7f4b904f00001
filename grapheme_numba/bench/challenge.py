"""The Sparse DNN Graph Challenge: RadiX-Net inference, its categories checked against SciPy in float64.

For every layer: y = min(32, max(0, y W + bias where y W is not 0)); a category is an example with any
output above 0 at the end. The nominal rate divides all edges times all examples by the time, although
examples that have died are no longer computed; with inputs so dark that no example dies, the nominal
rate is the effective one.

SuiteSparse GraphBLAS on the Sparse DNN challenge: product, bias on stored entries, selection, clamp.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.bench import timing
from grapheme_numba.errors import ShapeError
from grapheme_numba.graph import topologies
from grapheme_numba.jit import n_threads, set_threads
from grapheme_numba.kernels.bench.challenge import CLAMP, Layers, move_lanes, run_layers
from grapheme_numba.network.execution_plan import aligned_empty, tile_width

PACKAGE = "graphblas"


class GraphBlas:
    """The challenge's layers and inputs as GraphBLAS matrices; `infer` runs all layers."""

    def __init__(self, layers: Layers, x: npt.NDArray[np.float32]) -> None:
        import graphblas

        self.blas, self.biases = graphblas, layers.biases.tolist()
        n_layer, (_, n_neuron) = len(layers.biases), x.shape
        receivers = np.repeat(np.arange(len(layers.indptr) - 1), np.diff(layers.indptr))
        self.weights = []
        for layer in range(n_layer):
            edges = slice(layers.indptr[layer * n_neuron], layers.indptr[(layer + 1) * n_neuron])
            self.weights.append(graphblas.Matrix.from_coo(
                layers.indices[edges], receivers[edges] - layer * n_neuron, layers.weights[edges],
                nrows=n_neuron, ncols=n_neuron,
            ))  # fmt: skip
        rows, columns = np.nonzero(x)
        self.x = graphblas.Matrix.from_coo(rows, columns, x[rows, columns], nrows=len(x), ncols=n_neuron)

    def infer(self, threads: int = 1) -> npt.NDArray[np.int64]:
        """Indices of the rows that are categories."""
        blas = self.blas
        blas.ss.config["nthreads"] = threads
        values = self.x
        for weights, bias in zip(self.weights, self.biases):
            values = blas.semiring.plus_times(values @ weights).new()
            values = blas.binary.plus(values, bias).new()
            values = blas.select.valuegt(values, 0.0).new()
            values = blas.binary.min(values, CLAMP).new()
        return values.reduce_rowwise(blas.monoid.any).new().to_coo(values=False)[0].astype(np.int64)


# Share of dark pixels, mean and spread: as in scaled and thresholded digits; and one where none dies.
INK, INK_ALL_LIVE = (0.19, 0.06), (0.62, 0.04)
# Layers a tile takes in one phase while examples die, and when none does.
SHORT, LONG = 2, 8


class Inference(NamedTuple):
    """One network, input set and number of threads; rates in 10^9 edge samples a second.

    `peer_rate` is GraphBLAS's nominal rate on the same rows and `ratio` how many times faster ours is, with
    its lowest and highest over pairs of runs; None where it was not asked for.
    """

    neurons: int
    layers: int
    rows: int
    inputs: str
    threads: int
    survivors: int
    seconds: float
    rate: float
    checked: int
    difference: float
    peer_rate: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None


def challenge_layers(n_neuron: int, n_layer: int, seed: int = 0) -> Layers:
    """RadiX-Net as `Layers`, with the challenge's weight and bias."""
    senders = topologies.layers(n_neuron, n_layer, seed).ravel()
    indptr = np.arange(0, len(senders) + 1, topologies.FAN_IN, dtype=np.int64)
    biases = np.full(n_layer, topologies.BIAS.get(n_neuron, -0.3), np.float32)
    return Layers(indptr, senders, np.full(len(senders), topologies.WEIGHT, np.float32), biases)


def images(n_row: int, n_neuron: int, ink: tuple[float, float] = INK, seed: int = 0) -> npt.NDArray[np.float32]:
    """Binary images (n_row, n_neuron) of smooth blobs; each image's share of dark pixels is drawn from `ink`."""
    generator = np.random.Generator(np.random.Philox(seed))
    side = round(n_neuron**0.5)
    axis = np.arange(side, dtype=np.float32) / side
    pictures = np.empty((n_row, n_neuron), np.float32)
    for first in range(0, n_row, 1024):
        rows = min(1024, n_row - first)
        field = np.zeros((rows, side, side), np.float32)
        for frequency in (1, 2, 3):
            phases = generator.random((2, rows, 1)).astype(np.float32)
            waves = np.sin(2 * np.pi * (frequency * axis + phases))
            field += waves[0][:, :, None] * waves[1][:, None, :] / frequency
        share = np.clip(generator.normal(ink[0], ink[1], rows), 0.01, 0.99)
        order = field.reshape(rows, -1).argsort(axis=1).argsort(axis=1)
        pictures[first : first + rows] = order >= np.round((1 - share) * n_neuron)[:, None]
    return pictures


def infer(layers: Layers, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Indices of the rows of `x` (n_row, n_neuron) that are categories, and those rows' outputs.

    Raises ShapeError where `x` does not fit the layers.
    """
    n_neuron = (len(layers.indptr) - 1) // len(layers.biases)
    if x.ndim != 2 or x.shape[1] != n_neuron:
        raise ShapeError(f"x has shape {x.shape}; the layers take (rows, {n_neuron})")
    return run(layers, as_tiles(x))(len(x))


def as_tiles(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Examples (n_row, n_neuron) as tiles (n_tile, n_neuron, width), lanes beyond the last example 0."""
    n_row, n_neuron = x.shape
    width = tile_width(np.float32, 2 * n_neuron, n_row)
    tiles = aligned_empty((-(-n_row // width), n_neuron, width), np.float32)
    tiles[:] = 0
    for tile in range(len(tiles)):
        rows = x[tile * width : (tile + 1) * width]
        tiles[tile, :, : len(rows)] = rows.T
    return tiles


def run(
    layers: Layers, tiles: npt.NDArray[np.float32]
) -> Callable[[int], tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """A function of the number of rows that runs all layers on `tiles`, which it overwrites."""

    def call(n_row: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        current, rows, (_, n_neuron, width) = tiles, np.arange(n_row), tiles.shape
        scratch = aligned_empty((n_threads(), 2, n_neuron * width), np.float32)
        layer, period, n_layer = 0, SHORT, len(layers.biases)
        while layer < n_layer and len(rows):
            last = min(layer + period, n_layer)
            live = np.empty((len(current), width), np.float32)
            run_layers(layers, (layer, last), scratch, current, live)
            kept = np.flatnonzero(live.ravel()[: len(rows)] > 0)
            period = SHORT if len(kept) < len(rows) else min(2 * period, LONG)
            n_tile = -(-len(kept) // width)
            if n_tile < len(current) or last == n_layer:
                packed = aligned_empty((n_tile, n_neuron, width), np.float32)
                move_lanes(current, kept, packed)
                current, rows = packed, rows[kept]
            layer = last
        return rows, current.transpose(0, 2, 1).reshape(-1, n_neuron)[: len(rows)]

    return call


def reference(layers: Layers, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Outputs (n_row, n_neuron) by SciPy's CSR product in float64."""
    from scipy.sparse import csr_array

    n_layer = len(layers.biases)
    n_neuron = (len(layers.indptr) - 1) // n_layer
    values = x.T.astype(np.float64)
    for layer in range(n_layer):
        indptr = layers.indptr[layer * n_neuron : (layer + 1) * n_neuron + 1]
        edges = slice(indptr[0], indptr[-1])
        parts = (layers.weights[edges].astype(np.float64), layers.indices[edges], indptr - indptr[0])
        total = csr_array(parts, shape=(n_neuron, n_neuron)) @ values
        values = np.where(total != 0, np.clip(total + float(layers.biases[layer]), 0, CLAMP), 0)
    return values.T


def measure(
    n_neuron: int, n_layer: int, n_row: int, threads: Sequence[int], repeat: int = timing.MIN_REPEAT,
    n_checked: int = 512, graphblas: bool = False, clock: str = "wall",
) -> Iterator[Inference]:  # fmt: skip
    """Yield an `Inference` per input set and number of threads, after the check on the first rows.

    With `graphblas` SuiteSparse runs in turn with us on the same rows and must find the same categories.
    Raises ShapeError where the categories of the checked rows differ from the reference's.
    """
    layers, before = challenge_layers(n_neuron, n_layer), n_threads()
    work = len(layers.indices) * n_row
    for inputs, ink in (("digits-like", INK), ("no row dies", INK_ALL_LIVE)):
        x = images(n_row, n_neuron, ink)
        difference = check(layers, x[:n_checked])
        peer = GraphBlas(layers, x) if graphblas else None
        for count in threads:
            set_threads(count)
            seconds, peer_seconds, rows = _in_turn(layers, as_tiles(x), peer, (n_row, count, repeat, clock))
            taken = timing.timing_of(seconds).median
            beside: tuple[float, ...] = ()
            if peer:
                beside = (work / timing.timing_of(peer_seconds).median / 1e9, *timing.ratio_of(seconds, peer_seconds))
            yield Inference(
                n_neuron, n_layer, n_row, inputs, count, len(rows), taken, work / taken / 1e9, min(n_checked, n_row),
                difference, *beside,
            )  # fmt: skip
    set_threads(before)


def _in_turn(
    layers: Layers, fresh: npt.NDArray[np.float32], peer: GraphBlas | None, plan: tuple[int, int, int, str]
) -> tuple[list[float], list[float], npt.NDArray[np.int64]]:
    """Seconds of each round, the baseline's, and the categories; the first round warms and is left out."""
    n_row, count, repeat, clock = plan
    tiles, rows, tick = aligned_empty(fresh.shape, np.float32), np.empty(0, int), timing.CLOCKS[clock]
    seconds, peer_seconds = [], []
    for _ in range(max(repeat, timing.MIN_REPEAT) + 1):
        tiles[:] = fresh
        start = tick()
        rows, _ = run(layers, tiles)(n_row)
        seconds.append(tick() - start)
        if peer:
            start = tick()
            others = peer.infer(count)
            peer_seconds.append(tick() - start)
            same_categories(rows, others, "GraphBLAS's")
    return seconds[1:], peer_seconds[1:], rows


def same_categories(rows: npt.NDArray[np.int64], wanted: npt.NDArray[Any], whose: str) -> None:
    """Raise ShapeError where two sets of categories differ."""
    if not np.array_equal(rows, wanted):
        odd = np.setxor1d(rows, wanted)
        raise ShapeError(f"the categories differ from {whose} in rows {odd[:5].tolist()}")


def check(layers: Layers, x: npt.NDArray[np.float32]) -> float:
    """The largest difference of an output to the float64 reference. Raises ShapeError where categories differ."""
    expected = reference(layers, x)
    rows, outputs = infer(layers, x)
    same_categories(rows, np.flatnonzero((expected > 0).any(axis=1)), "the float64 reference's")
    return float(np.abs(outputs - expected[rows]).max(initial=0.0))
