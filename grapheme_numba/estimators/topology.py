"""From the `topology` of an estimator to a network with one input per feature and linear outputs.

Which features those are is found first, where `select_inputs` asks for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from grapheme_numba import arguments
from grapheme_numba.errors import GraphError, UsageError
from grapheme_numba.estimators import scaling
from grapheme_numba.estimators.scaling import Array, Rows
from grapheme_numba.graph import topologies
from grapheme_numba.graph.formats.dispatch import load_graph
from grapheme_numba.graph.named import NamedGraph, named_graph
from grapheme_numba.models.hidden_graph import layered_topology
from grapheme_numba.models.slices import BrainSlice
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.training import input_selection
from grapheme_numba.training.input_selection import Indices, Selection

NAMES = ("layered", "dense", "random", "small_world", "scale_free", "block_modular")


def build_network(
    params: Mapping[str, Any], feature_names: Sequence[str], n_output: int, seed: int, dtype: npt.DTypeLike
) -> tuple[DagNN, npt.NDArray[np.intp]]:
    """A seeded network for the data, and which feature feeds each of its inputs.

    Parameters
    ----------
    params : dict
        topology, hidden, fan_in, skip, activation and init of the estimator.
    feature_names : sequence of str (n_feature,)
    n_output : int
    seed : int
    dtype : float32 or float64

    Returns
    -------
    dag : DagNN
        Its outputs are linear.
    columns : ndarray (n_input,)
        Column of X for each input.

    Raises
    ------
    UsageError, GraphError
        For an unknown name and for a graph that does not fit the data.
    """
    topology = params["topology"]
    if not isinstance(topology, str) or topology not in NAMES:
        if isinstance(topology, str) and "." not in topology:
            raise UsageError(f"unknown topology {topology!r}; choose one of {', '.join(NAMES)}, or give a graph")
        graph = load_graph(topology)
        columns = _columns(graph, feature_names)
    else:
        graph = _made(params, feature_names, n_output, seed)
        columns = np.arange(len(feature_names))
    graph = with_outputs(graph, n_output, params["activation"])
    dag = DagNN.from_graph(graph, init=params["init"], seed=seed, dtype=dtype)
    return dag, columns


def with_outputs(graph: NamedGraph, n_output: int, activation: str) -> NamedGraph:
    """`graph` with `n_output` linear outputs.

    A graph with as many outputs keeps them and they become linear; otherwise every output of the graph
    feeds every one of `n_output` new nodes. Weights are dropped then: the new edges have none.
    """
    activations = list(graph.activations or [activation] * graph.n_node)
    if len(graph.outputs) == n_output:
        is_input = set(graph.inputs.tolist())
        if is_input.isdisjoint(graph.outputs.tolist()):
            for node in graph.outputs.tolist():
                activations[node] = "linear"
            return graph._replace(activations=tuple(activations))
    new = np.arange(graph.n_node, graph.n_node + n_output, dtype=np.int32)
    taken = set(graph.names)
    names = [f"output {number}" for number in range(n_output)]
    names = [name if name not in taken else f"{name} of {graph.n_node}" for name in names]
    return named_graph(
        np.concatenate([graph.senders, np.tile(graph.outputs, n_output)]),
        np.concatenate([graph.receivers, np.repeat(new, len(graph.outputs))]),
        [*graph.names, *names],
        inputs=graph.inputs,
        outputs=new,
        activations=[*activations, *["linear"] * n_output],
        aggregations=[*(graph.aggregations or ["sum"] * graph.n_node), *["sum"] * n_output],
    )


def _made(params: Mapping[str, Any], feature_names: Sequence[str], n_output: int, seed: int) -> NamedGraph:
    given = params["hidden"]
    hidden = [given] if arguments.is_number(given) else arguments.listed("hidden", given, "the widths of the layers")
    if not hidden or not all(arguments.is_whole(width, 1) for width in hidden):
        raise UsageError(f"hidden is {arguments.shown(given)}; give the widths of one or more layers, each at least 1")
    hidden = [int(width) for width in hidden]
    n_in, n_hidden, fan_in = len(feature_names), sum(hidden), params["fan_in"]
    name = params["topology"]
    edges: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], int]
    if name in ("layered", "dense"):
        one = BrainSlice(range(n_in), range(n_output), "all")
        fan_in = max(n_in, *hidden) if name == "dense" else fan_in
        made = layered_topology([one], hidden, fan_in, params["skip"], seed)
        edges = made.senders, made.receivers, made.inputs, made.outputs, made.n_node
    elif name == "scale_free":
        edges = topologies.scale_free(n_in + n_hidden, min(fan_in, n_in), n_in, hidden[-1], seed)
    elif name == "block_modular":
        n_block = min(len(hidden) if len(hidden) > 1 else 4, n_in)
        edges = topologies.block_modular(n_block, -(-n_hidden // n_block), fan_in, params["skip"], n_in, n_output, seed)
    elif name == "small_world":
        n_node = max(n_in + n_hidden, 2 * fan_in + 3)
        edges = topologies.small_world(n_node, fan_in, 0.5, n_in, hidden[-1], seed)
    else:
        n_node = n_in + n_hidden
        most = n_node * (n_node - 1) // 2 - n_in * (n_in - 1) // 2
        edges = topologies.random(n_node, min(most, fan_in * n_hidden), n_in, hidden[-1], seed)
    senders, receivers, inputs, outputs, n_node = edges
    names = [*feature_names, *(f"hidden {node}" for node in range(n_in, n_node))]
    return named_graph(senders, receivers, names, inputs=inputs, outputs=outputs)


def _columns(graph: NamedGraph, feature_names: Sequence[str]) -> npt.NDArray[np.intp]:
    """The feature of each input: by name where all inputs are features, else by position."""
    position = {name: column for column, name in enumerate(feature_names)}
    wanted = [graph.names[node] for node in graph.inputs.tolist()]
    missing = [name for name in wanted if name not in position]
    if not missing:
        return np.array([position[name] for name in wanted])
    if len(wanted) == len(feature_names) and len(missing) == len(wanted):
        return np.arange(len(wanted))
    raise GraphError(
        f"the graph has {len(wanted)} inputs and the data {len(feature_names)} features, but no feature is called "
        f"{', '.join(map(repr, missing[:3]))}{', ...' * (len(missing) > 3)}; "
        "name the features as the inputs, or give as many features as inputs"
    )


def keep_inputs(
    estimator: Any,
    X: Rows,
    target: Array,
    weight: npt.NDArray[np.float64],
    loss: Callable[[Array, Indices], tuple[float, Array]],
    n_output: int,
    seed: int,
) -> Selection:
    """The features of `X` that the network of `estimator` is to read. Its scales are those of all features.

    "auto" judges numbers of features by estimators like this one, each fitted to some rows and asked about others.

    Parameters
    ----------
    estimator : DagEstimator
    X : (n_sample, n_feature)
    target : (n_sample, ...)
        As encoded, unscaled.
    weight : (n_sample,)
    loss : callable
        Outputs and row numbers -> loss summed over these rows, dL/dy.
    n_output : int
        Of the network.
    seed : int
    """
    if not isinstance(estimator.topology, str) or estimator.topology not in NAMES:
        raise UsageError(
            "select_inputs needs a network that fits any number of inputs; "
            f"give topology as one of {', '.join(NAMES)}, or select_inputs=None with a graph of your own"
        )
    columns = np.arange(X.shape[1])
    examples = input_selection.Examples(
        rows=scaling.batches_of(X, columns, estimator.scale_),
        loss=loss,
        key=target.reshape(len(target), -1)[:, 0],
        weight=weight,
        column=columns,
        n_output=n_output,
        dtype=X.dtype,
    )
    like = clone(estimator).set_params(
        select_inputs=None, warm_start=False, callback=None, verbose=0, n_jobs=None, random_state=seed
    )
    if hasattr(like, "class_weight"):
        like.set_params(class_weight=None)  # it is in `weight` already

    def score(chosen: Indices, learn: Indices, held: Indices) -> float:
        if len(held) < 2:  # R^2 of one number is none
            return 0.0
        fitted = clone(like).fit(X[learn][:, chosen], target[learn], weight[learn])
        return float(fitted.score(X[held][:, chosen], target[held], weight[held]))

    return input_selection.select(examples, estimator.select_inputs, score, seed)
