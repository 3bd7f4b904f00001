"""Checks of a graph with names; every message says which names are at fault."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import CycleError, GraphError
from grapheme_numba.graph.build import ACTIVATIONS, AGGREGATIONS
from grapheme_numba.graph.dag import Ids
from grapheme_numba.kernels.graph import topology

_MOST = np.iinfo(np.int32).max


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names as a tuple of different, non-empty strings."""
    names = tuple(names)
    for node, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise GraphError(f"node {node} has the name {name!r}; every name is a string of at least one character")
    if len(set(names)) != len(names):
        repeated = Counter(names).most_common(1)[0][0]
        raise GraphError(f"two nodes are called {repeated!r}; give every node a name of its own")
    if len(names) > _MOST:
        raise GraphError(f"the graph has {len(names)} nodes; at most {_MOST} are supported")
    return names


def checked_ids(what: str, values: npt.ArrayLike, n_node: int) -> Ids:
    """Node ids as int32; `what` is the word for one end of an edge."""
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise GraphError(f"the {what}s have dtype {array.dtype} and shape {array.shape}; give whole numbers in one row")
    outside = np.flatnonzero((array < 0) | (array >= n_node))
    if outside.size:
        edge = int(outside[0])
        raise GraphError(f"edge {edge} has the {what} {array[edge]}, but node ids run from 0 to {n_node - 1}")
    return array.astype(np.int32)


def finite(what: str, values: npt.ArrayLike | None, size: int) -> npt.NDArray[np.float64] | None:
    """`values` as a float64 copy (size,) of finite numbers, or None for None."""
    if values is None:
        return None
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise GraphError(f"a {what} is not a number ({error}); give one finite number each") from None
    if array.shape != (size,):
        raise GraphError(f"the graph has {array.size} {what} entries where {size} are wanted; give one each")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise GraphError(f"{what} {bad[0]} is {array[bad[0]]}; give a finite number")
    return array


def refuse_repeats(senders: Ids, receivers: Ids, names: Sequence[str]) -> None:
    """Raise GraphError for the second of two equal edges."""
    keys = senders.astype(np.int64) * len(names) + receivers
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    if same.size:
        first, second = order[same[0]], order[same[0] + 1]
        raise GraphError(
            f"edge {second} from {names[senders[second]]!r} to {names[receivers[second]]!r} repeats edge {first}; "
            "remove one, or merge the two and add their weights"
        )


def refuse_cycles(senders: Ids, receivers: Ids, names: Sequence[str]) -> None:
    """Raise for a self loop or a cycle, naming its nodes."""
    loops = np.flatnonzero(senders == receivers)
    if loops.size:
        raise GraphError(
            f"edge {loops[0]} is a self loop at {names[senders[loops[0]]]!r}; remove it, a DAG has none, "
            'or give break_cycles="feedback-arc"'
        )
    if not len(senders):
        return
    t_indptr, by_sender = np.empty(len(names) + 1, np.int64), np.empty(len(senders), np.int32)
    topology.group_by(senders, np.arange(len(senders), dtype=np.int32), t_indptr, by_sender)
    in_degree = np.bincount(receivers, minlength=len(names)).astype(np.int32)
    level = np.empty(len(names), np.int32)
    if topology.topological_levels(receivers, t_indptr, by_sender, in_degree, level) < len(names):
        raise CycleError(topology.find_cycle(receivers, t_indptr, by_sender, in_degree).tolist(), names)


def acyclic_edges(senders: Ids, receivers: Ids, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """True (n_edge,) for edges that stay when cycles are broken; warns about the others."""
    rank = np.empty(len(names), np.int64)
    topology.feedback_order(senders, receivers, rank)
    keep = rank[senders] < rank[receivers]
    lost = np.flatnonzero(~keep)
    if lost.size:
        shown = ", ".join(f"{names[senders[edge]]} -> {names[receivers[edge]]}" for edge in lost[:5])
        warnings.warn(
            f"{lost.size} of {len(keep)} edges closed a cycle and were left out: {shown}{', ...' * (lost.size > 5)}",
            stacklevel=3,
        )
    return keep


def ports(senders: Ids, receivers: Ids, names: Sequence[str], inputs: Any, outputs: Any) -> tuple[Ids, Ids]:
    """Ids of inputs and outputs: those named, else sources and sinks."""
    n_node = len(names)
    has_in, has_out = np.zeros(n_node, bool), np.zeros(n_node, bool)
    has_in[receivers], has_out[senders] = True, True
    sources, sinks = np.flatnonzero(has_out & ~has_in), np.flatnonzero(has_in & ~has_out)
    return _port_ids("inputs", inputs, sources, names), _port_ids("outputs", outputs, sinks, names)


def _port_ids(what: str, wanted: Any, default: npt.NDArray[np.int64], names: Sequence[str]) -> Ids:
    ids = default if wanted is None else node_ids(what, wanted, names)
    if not len(ids):
        hint = "no node fits the default" if wanted is None else "the list is empty"
        raise GraphError(f"the graph has no {what}: {hint}; name at least one node in {what}")
    return np.asarray(ids, np.int32)


def node_ids(what: str, wanted: Iterable[Any], names: Sequence[str]) -> Ids:
    """Ids (n,) int32 of nodes given by name or id, each named once; `what` says in messages what they are."""
    position: dict[str, int] = {}
    ids: list[int] = []
    for node in wanted:
        if isinstance(node, str):
            position = position or {name: number for number, name in enumerate(names)}
            if node not in position:
                raise GraphError(f"{what} names {node!r}, but no node of the graph is called so")
            ids.append(position[node])
        elif isinstance(node, int | np.integer) and 0 <= node < len(names):
            ids.append(int(node))
        else:
            raise GraphError(f"{what} holds {node!r}; give names, or ids from 0 to {len(names) - 1}")
    if len(set(ids)) != len(ids):
        repeated = Counter(ids).most_common(1)[0][0]
        raise GraphError(f"{what} names {names[repeated]!r} more than once; name each node once")
    return np.array(ids, np.int32)


def checked_activations(activations: Iterable[str], names: Sequence[str], inputs: Ids) -> tuple[str, ...]:
    """Known activation names as a tuple (n_node,), linear at the inputs."""
    functions = _known("activation", activations, ACTIVATIONS, names)
    for node in inputs.tolist():
        functions[node] = "linear"
    return tuple(functions)


def checked_aggregations(
    aggregations: Iterable[str], names: Sequence[str], idle: Iterable[int]
) -> tuple[str, ...] | None:
    """Known aggregation names as a tuple (n_node,), sum at the `idle` inputs, which nothing enters; None if all sum."""
    kinds = _known("aggregation", aggregations, AGGREGATIONS, names)
    for node in idle:
        kinds[node] = "sum"
    return tuple(kinds) if any(kind != "sum" for kind in kinds) else None


def _known(what: str, given: Iterable[str], known: dict[str, int], names: Sequence[str]) -> list[str]:
    """A list of `given`, one for each node, all of them `known`."""
    listed = list(given)
    if len(listed) != len(names):
        raise GraphError(f"{len(listed)} {what}s for {len(names)} nodes; give one each")
    for node, name in enumerate(listed):
        if name not in known:
            raise GraphError(f"node {names[node]!r} has the unknown {what} {name!r}; choose one of {', '.join(known)}")
    return listed
