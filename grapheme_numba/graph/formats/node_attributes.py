"""What tables and graph libraries say of nodes: inputs and outputs, activations, aggregations and biases."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grapheme_numba.errors import GraphError

TRUE, FALSE = ("true", "yes"), ("false", "no")


def node_options(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Arguments of `named_graph` from one mapping per node; what no node states is left out.

    Read are `input` and `output`, each either the position of the node among its like or a flag, `activation`,
    `aggregation` (sum where a node states none) and `bias`. None, NaN and empty text count as nothing stated.
    """
    options: dict[str, Any] = {}
    for role in ("input", "output"):
        values = [None if is_missing(node.get(role)) else node[role] for node in nodes]
        if any(value is not None for value in values):
            options[f"{role}s"] = ports(role, values)
    for what, default in (("activation", "linear"), ("aggregation", "sum")):
        names = [None if is_missing(node.get(what)) else node[what] for node in nodes]
        if any(name is not None for name in names):
            options[f"{what}s"] = [default if name is None else name for name in names]
    if any(not is_missing(node.get("bias")) for node in nodes):
        options["biases"] = [
            0.0 if is_missing(node.get("bias")) else finite_number(node["bias"], "bias of node", row)
            for row, node in enumerate(nodes)
        ]
    return options


def is_missing(value: object) -> bool:
    """Whether a value is how tables and libraries say that there is none."""
    if isinstance(value, str):
        return value.strip().lower() in ("", "nan", "<na>")
    return value is None or (isinstance(value, float | np.floating) and math.isnan(value))


def finite_number(value: object, what: str, row: int) -> float:
    """A finite number; GraphError names `what` and `row` where it is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise GraphError(f"{what} {row} is {value!r}; give a finite number")
    return number


def ports(role: str, values: Sequence[Any]) -> list[int]:
    """Ids of the nodes in a role, from a position, a flag or None for each node.

    Truth values are flags, and so are 0 and 1 where every node has one of them and one comes twice; numbers that
    are all different are positions. Raises GraphError for anything else.
    """
    flags = [_flag(value) for value in values]
    given = [value for value in values if value is not None]
    if all(flag is not None for flag, value in zip(flags, values, strict=True) if value is not None):
        return [node for node, flag in enumerate(flags) if flag]
    numbers = [
        None if value is None else finite_number(value, f"{role} of node", node) for node, value in enumerate(values)
    ]
    distinct = {number for number in numbers if number is not None}
    if len(given) == len(values) > len(distinct) and distinct <= {0.0, 1.0}:
        return [node for node, number in enumerate(numbers) if number]
    if len(distinct) != len(given):
        number = next(n for n, count in Counter(numbers).items() if n is not None and count > 1)
        raise GraphError(
            f"two nodes have the {role} position {number:g}; number them 0, 1, ..., or write true and false for all"
        )
    return [node for _, node in sorted((number, node) for node, number in enumerate(numbers) if number is not None)]


def _flag(value: object) -> bool | None:
    if isinstance(value, bool | np.bool_):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    return True if word in TRUE else False if word in FALSE else None


def refuse_twins(names: Sequence[str]) -> None:
    """GraphError for two names that differ only in blanks around them: one node, in all likelihood, typed twice."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.strip(), name)
        if other != name:
            raise GraphError(f"the names {other!r} and {name!r} differ only in blanks around them; write them alike")


def resolved(what: str, wanted: Any, names: Sequence[str], others: Mapping[Any, int] | None = None) -> Any:
    """Node ids for names, where the source calls its nodes itself: a number is a name here, not a position.

    what : "inputs" or "outputs", for messages; wanted : as given to `load_graph`, None stays
    others : more that a node may be called by, as the id beside the name
    """
    if wanted is None:
        return None
    position: dict[Any, int] = {**(others or {}), **{name: node for node, name in enumerate(names)}}
    ids = []
    for one in wanted:
        key = one if isinstance(one, str) or (others and _hashable(one) and one in others) else str(one)
        if key not in position:
            raise GraphError(f"{what} names {one!r}, but no node of the graph is called so")
        ids.append(position[key])
    return ids


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def refuse_ambiguous(what: str, wanted: Any, names: Sequence[str]) -> None:
    """GraphError for a number that is the position of one node and the name of another."""
    if wanted is None or list(names) == [str(node) for node in range(len(names))]:
        return
    position = {name: node for node, name in enumerate(names)}
    for one in wanted:
        if not isinstance(one, str) and position.get(str(one), one) != one:
            raise GraphError(
                f"{what} holds {one!r}, the position of one node and the name of another; give names as strings"
            )
