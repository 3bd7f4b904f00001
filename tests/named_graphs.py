"""Random graphs with names for the tests of graph formats, and what it means that two are the same."""

import numpy as np
import strategies

from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.graph.named import named_graph

# Quotes, separators, markup, other scripts: whatever a name may hold that a format may trip over.
ODD_NAMES = ['say "hi"', "a,b", "a\tb", "<gene>&co", "Ärger λ 网", " padded ", "line\nbreak", "007", "-1", "NA"]


def random_named(seed, weighted=True, odd_names=True, closed_inputs=False):
    """A random DAG with names; `closed_inputs` leaves out edges that enter an input."""
    case = strategies.random_dag(seed)
    rng = np.random.default_rng([23, seed])
    keep = np.ones(len(case["senders"]), bool)
    if closed_inputs:
        keep = ~np.isin(case["receivers"], case["inputs"])
    names = [f"node {number}" for number in rng.permutation(case["n_node"]).tolist()]
    if odd_names:
        names[: len(ODD_NAMES)] = ODD_NAMES[: len(names)]
    return named_graph(
        case["senders"][keep], case["receivers"][keep], names,
        weights=case["weights"][keep] if weighted else None, inputs=case["inputs"], outputs=case["outputs"],
        activations=[name if name in ACTIVATIONS else "tanh" for name in case["activation"]] if weighted else None,
        biases=case["biases"] if weighted else None,
    )  # fmt: skip


def edges_by_name(graph):
    """The edges as sorted tuples of names and weight: the same for every order of nodes and edges."""
    return sorted(graph.to_edge_list())


def assert_same(ours, theirs, *, nodes=True):
    """Same edges, weights, names, and with `nodes` also ports, activations and biases."""
    assert edges_by_name(ours) == edges_by_name(theirs)
    if not nodes:
        return
    assert sorted(ours.names) == sorted(theirs.names)
    for role in ("inputs", "outputs"):
        assert [ours.names[i] for i in getattr(ours, role)] == [theirs.names[i] for i in getattr(theirs, role)]
    for attribute in ("activations", "biases"):
        left, right = getattr(ours, attribute), getattr(theirs, attribute)
        assert (left is None) == (right is None)
        if left is not None:
            assert dict(zip(ours.names, left)) == dict(zip(theirs.names, right))
