"""What the nodes of a model are called: inputs and outputs by what enters and leaves there."""

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from grapheme_numba.data.codec.answers import LabelAnswer, TextAnswer
from grapheme_numba.errors import UsageError

if TYPE_CHECKING:
    from grapheme_numba.data.codec.answers import Answer
    from grapheme_numba.data.codec.layout import DomainLayout, Layout
    from grapheme_numba.network.dagnn import DagNN

BITS = 8


def port_names(layout: "Layout") -> tuple[list[str], list[str]]:
    """Names of the layout's inputs and outputs, in its order.

    Inputs are called "NAME token 3 dim 1", "NAME words 0 dim 1", "NAME value -1" (the last one), "NAME pixel 17" or as
    the column of a table, "NAME city = Oslo", where NAME is the domain, or the input type where domains share their
    inputs; outputs "NAME = label", "NAME byte 0 bit 7", "NAME size" or "NAME wave 2".
    """
    inputs, outputs = [""] * layout.n_input, [""] * layout.n_output
    ranges = [(domain.input_start, domain.n_input) for domain in layout.domains]
    for domain in layout.domains:
        shared = sum(
            domain.input_start < start + n and start < domain.input_start + domain.n_input for start, n in ranges
        )
        label = domain.name if shared == 1 else domain.input_type
        for number in range(domain.n_input):
            inputs[domain.input_start + number] = f"{label} {_input(domain, number, layout.embedding_dim)}"
        for number in range(domain.n_output):
            outputs[domain.output_start + number] = f"{domain.name} {_output(domain.answer, number)}"
    return unlike(inputs, ()), unlike(outputs, inputs)


def node_names(layout: "Layout", dag: "DagNN") -> tuple[str, ...]:
    """A name for every node, by the caller's ids: the graph's own where it has names."""
    if dag.names is not None:
        return tuple(dag.names)
    arrays = dag.topology()
    names = [f"hidden {node}" for node in range(dag.n_node)]
    for nodes, known in zip((arrays["inputs"], arrays["outputs"]), port_names(layout), strict=True):
        for node, name in zip(nodes.tolist(), known, strict=True):
            names[node] = name
    return tuple(unlike(names, ()))


def nodes_called(wanted: Iterable[str], names: Sequence[str]) -> list[int]:
    """The ids of the nodes with these names. Raises UsageError for a name that no node has, with the nearest one."""
    node_of = {name: node for node, name in enumerate(names)}
    for name in wanted:
        if name not in node_of:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            raise UsageError(f"no node is called {name!r}; the nearest name is {near!r}")
    return [node_of[name] for name in wanted]


def unlike(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """`names` with a mark behind those that are taken already, or stand there twice."""
    used, result = set(taken), []
    for name in names:
        while name in used:
            name = f"{name}'"
        used.add(name)
        result.append(name)
    return result


def _input(domain: "DomainLayout", number: int, embedding_dim: int) -> str:
    if domain.input_type == "tabular":
        names = [name for field in domain.fields for name in field.inputs]
        return names[number] if names else "nothing"
    if domain.input_type == "text":
        token, dim = divmod(number, embedding_dim)
        if not domain.by_tokens:
            return f"byte {token} dim {dim}"
        return f"token {token} dim {dim}" if token < domain.n_token else f"words {token - domain.n_token} dim {dim}"
    return f"pixel {number}" if domain.input_type == "image" else f"value {number - domain.n_input}"


def _output(answer: "Answer", number: int) -> str:
    if isinstance(answer, LabelAnswer):
        return f"= {answer.labels[number]}"
    if isinstance(answer, TextAnswer):
        return f"byte {number // BITS} bit {number % BITS}"
    return "size" if number == 0 else f"wave {number - 1}"
