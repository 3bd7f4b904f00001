"""What brains share in a graph: which hidden nodes lie between every brain's inputs and every brain's outputs."""

from typing import NamedTuple

import numpy as np


class Sharing(NamedTuple):
    """The size of a shared graph and how much of it all brains use.

    n_node, n_edge, n_level, n_hidden : int
    n_shared : int
        Hidden nodes that some input of every brain reaches and that reach some output of every brain.
    unreached : list of (from brain, to brain)
        Pairs where an output of the second is reached by no input of the first.
    """

    n_node: int
    n_edge: int
    n_level: int
    n_hidden: int
    n_shared: int
    unreached: list[tuple[str, str]]


def sharing(senders, receivers, inputs, outputs, n_node: int, slices) -> Sharing:
    """Measure what the brains of `slices` share.

    Parameters
    ----------
    senders, receivers : (n_edge,) int
        Edges of an acyclic graph.
    inputs, outputs : (n_input,), (n_output,) int
        Node ids, in the order that the slices' ranges count.
    n_node : int
    slices : iterable of BrainSlice
    """
    slices = list(slices)
    from_brain = np.zeros((n_node, len(slices)), bool)
    to_brain = np.zeros((n_node, len(slices)), bool)
    for column, one in enumerate(slices):
        from_brain[np.asarray(inputs)[one.input_range], column] = True
        to_brain[np.asarray(outputs)[one.output_range], column] = True
    n_level = _spread(senders, receivers, from_brain)
    _spread(receivers, senders, to_brain)
    hidden = np.ones(n_node, bool)
    hidden[inputs] = hidden[outputs] = False
    reached = [from_brain[np.asarray(outputs)[one.output_range]].all(axis=0) for one in slices]
    unreached = [
        (source.brain, target.brain)
        for target, row in zip(slices, reached, strict=True)
        for source, whole in zip(slices, row, strict=True)
        if not whole
    ]
    n_shared = int((hidden & from_brain.all(axis=1) & to_brain.all(axis=1)).sum())
    return Sharing(n_node, len(senders), n_level, int(hidden.sum()), n_shared, unreached)


def _spread(senders, receivers, marks) -> int:
    """Carry the marks (n_node, n_mark) along every edge, level by level; return the number of levels."""
    senders, receivers = np.asarray(senders), np.asarray(receivers)
    waiting = np.bincount(receivers, minlength=len(marks))
    order = np.argsort(senders, kind="stable")
    starts = np.searchsorted(senders[order], np.arange(len(marks) + 1))
    level, n_level = np.flatnonzero(waiting == 0), 0
    while len(level):
        n_level += 1
        edges = order[np.concatenate([np.arange(starts[node], starts[node + 1]) for node in level])]
        np.logical_or.at(marks, receivers[edges], marks[senders[edges]])
        np.subtract.at(waiting, receivers[edges], 1)
        reached = np.unique(receivers[edges])
        level = reached[waiting[reached] == 0]
    return n_level
