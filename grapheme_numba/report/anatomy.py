"""A network in numbers: size, depth, degrees, memory and time of a training step, and nodes without effect."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba import jit
from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS
from grapheme_numba.kernels.graph import topology
from grapheme_numba.network.arrays import PRECISIONS
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.execution_plan import BACKWARD, FORWARD, WINDOW, Plan, tile_width
from grapheme_numba.optim import optimizers
from grapheme_numba.sparsity.prune import living_nodes

BANDWIDTH = 8e9  # bytes per second and thread for passes over whole vectors
CALLS = 1e-4  # seconds of a step of hardly any edges
MOST_SECONDS, FEWEST_STEPS, MOST_STEPS = 2.0, 3, 15


def anatomy(dag: DagNN, names: Sequence[str], batch_size: int, optimizer: str, measure: bool) -> dict[str, Any]:
    """The facts of a network as plain values.

    Parameters
    ----------
    dag : DagNN
    names : sequence of str (n_node,)
    batch_size : int
        Examples of the training step whose memory and time are estimated.
    optimizer : str
    measure : bool
        Time a step here instead of predicting it.
    """
    graph, inner = dag.dag, dag.dag.node_order
    codes = {code: name for name, code in ACTIVATIONS.items()}
    used, counts = np.unique(graph.activation, return_counts=True)
    kinds = {name: int((graph.aggregation == code).sum()) for name, code in AGGREGATIONS.items()}
    reached = graph.is_input.copy()
    topology.mark_reached(graph.indptr, graph.indices, reached)
    unreached = np.sort(inner[reached == 0])
    outputs = set(inner[graph.is_output == 1].tolist())
    seconds, how = (measured if measure else predicted)(dag, batch_size, optimizer)
    return {
        "nodes": dag.n_node,
        "edges": dag.n_edge,
        "levels": dag.n_level,
        "widths of the levels": np.diff(graph.level_start).tolist(),
        "inputs": dag.n_input,
        "outputs": dag.n_output,
        "edges into a node": spread(np.diff(graph.indptr)[graph.is_input == 0]),
        "edges out of a node": spread(np.diff(graph.t_indptr)[graph.is_output == 0]),
        "activations": {codes[code]: int(n) for code, n in zip(used.tolist(), counts, strict=True)},
        **({"aggregations": {name: n for name, n in kinds.items() if n}} if graph.aggregation.size else {}),
        "outputs that no input reaches": [names[node] for node in unreached.tolist() if node in outputs],
        "other nodes that no input reaches": [names[node] for node in unreached.tolist() if node not in outputs],
        "dead nodes (no output depends on them)": [names[node] for node in np.flatnonzero(~living_nodes(dag)).tolist()],
        "batch size": batch_size,
        "bytes while training": memory(dag, batch_size, optimizer),
        "seconds of a step": seconds,
        "step time is": how,
    }


def spread(degrees: npt.NDArray[np.integer]) -> dict[str, float]:
    """Smallest, middle and largest degree."""
    if not len(degrees):
        return {"least": 0, "median": 0.0, "most": 0}
    return {"least": int(degrees.min()), "median": float(np.median(degrees)), "most": int(degrees.max())}


def memory(dag: DagNN, batch_size: int, optimizer: str) -> dict[str, int]:
    """Bytes of everything that a training step holds, and their sum."""
    graph, item = dag.dag, dag.dtype.itemsize
    size = dag.n_edge + dag.n_node
    n_live = topology.most_live_nodes(graph.indptr, graph.indices) + graph.n_edge_row
    stored = PRECISIONS[dag.precision].stored
    width = tile_width(stored, n_live, batch_size)
    n_tile = -(-batch_size // width)
    n_busy = min(jit.n_threads(), n_tile)
    windows = 2 * n_busy * min(WINDOW, size) if n_busy > 1 else 0
    parts = {
        "topology": sum(array.nbytes for array in graph),
        "parameters": size * item + dag.n_edge * item,
        "gradients": (size + windows) * item,
        "optimizer": size * item * len(optimizers.MOMENTS[optimizer]),
        "activations": width * stored.itemsize * (n_tile * dag.n_node + n_busy * Plan(graph).rows_of_deltas()),
    }
    return {**parts, "all": sum(parts.values())}


def predicted(dag: DagNN, batch_size: int, optimizer: str) -> tuple[float, str]:
    """Seconds of a step by the engine's cost model, and how they were obtained."""
    threads = jit.n_threads()
    vectors = 2 + 2 * len(optimizers.MOMENTS[optimizer])
    moved = (dag.n_edge + dag.n_node) * dag.dtype.itemsize * vectors
    # In double precision a register holds half as many examples.
    edges = dag.n_edge * batch_size * dag.dtype.itemsize / 4 * (1 / FORWARD + 1 / BACKWARD)
    seconds = CALLS + (edges + moved / BANDWIDTH) / threads
    rates = f"{FORWARD / 1e9:g} G edges x examples a second and thread forward, {BACKWARD / 1e9:g} G backward"
    return seconds, f"predicted: {rates}, {threads} threads"


def measured(dag: DagNN, batch_size: int, optimizer: str) -> tuple[float, str]:
    """Median seconds of some steps on random examples, and how they were obtained. The parameters stay."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch_size, dag.n_input)).astype(dag.dtype)
    gy = rng.normal(size=(batch_size, dag.n_output)).astype(dag.dtype)
    rule = optimizers.build(optimizer)
    scratch = dag.parameters.copy()
    state, seconds = rule.init(scratch), []
    for step in range(MOST_STEPS + 1):
        began = time.perf_counter()
        dag.forward(x)
        dag.backward_accumulate(gy)
        dag.parameters_changed()  # so that the weights are put in order again, as after a real step
        state, _ = rule.update_and_clear(scratch, dag.gradients, state, 0.0, 1.0)
        seconds += [time.perf_counter() - began] if step else []  # the first one loads kernels
        if len(seconds) >= FEWEST_STEPS and sum(seconds) > MOST_SECONDS:
            break
    return float(np.median(seconds)), f"measured: median of {len(seconds)} steps on {jit.n_threads()} threads"
