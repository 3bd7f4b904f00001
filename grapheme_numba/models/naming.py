"""What the nodes of a model are called: inputs and outputs by what enters and leaves there."""

import difflib

from grapheme_numba.data.codec.answers import LabelAnswer, TextAnswer
from grapheme_numba.errors import UsageError

BITS = 8


def port_names(layout) -> tuple[list[str], list[str]]:
    """Names of the layout's inputs and outputs, in its order.

    Inputs are called "NAME byte 3 dim 1", "NAME value -1" (the last one), "NAME pixel 17" or as the column of a
    table, "NAME city = Oslo", where NAME is the domain, or the input type where domains share their inputs; outputs
    "NAME = label", "NAME byte 0 bit 7", "NAME size" or "NAME wave 2".
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


def node_names(layout, dag) -> tuple[str, ...]:
    """A name for every node, by the caller's ids: the graph's own where it has names."""
    if dag.names is not None:
        return tuple(dag.names)
    arrays = dag.topology()
    names = [f"hidden {node}" for node in range(dag.n_node)]
    for nodes, known in zip((arrays["inputs"], arrays["outputs"]), port_names(layout), strict=True):
        for node, name in zip(nodes.tolist(), known, strict=True):
            names[node] = name
    return tuple(unlike(names, ()))


def nodes_called(wanted, names) -> list[int]:
    """The ids of the nodes with these names. Raises UsageError for a name that no node has, with the nearest one."""
    found = {name: node for node, name in enumerate(names)}
    for name in wanted:
        if name not in found:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]
            raise UsageError(f"no node is called {name!r}; the nearest name is {near!r}")
    return [found[name] for name in wanted]


def unlike(names, taken) -> list[str]:
    """`names` with a mark behind those that are taken already, or stand there twice."""
    taken, result = set(taken), []
    for name in names:
        while name in taken:
            name = f"{name}'"
        taken.add(name)
        result.append(name)
    return result


def _input(domain, number, embedding_dim):
    if domain.input_type == "tabular":
        names = [name for field in domain.fields for name in field.inputs]
        return names[number] if names else "nothing"
    if domain.input_type == "text":
        return f"byte {number // embedding_dim} dim {number % embedding_dim}"
    return f"pixel {number}" if domain.input_type == "image" else f"value {number - domain.n_input}"


def _output(answer, number):
    if isinstance(answer, LabelAnswer):
        return f"= {answer.labels[number]}"
    if isinstance(answer, TextAnswer):
        return f"byte {number // BITS} bit {number % BITS}"
    return "size" if number == 0 else f"wave {number - 1}"
