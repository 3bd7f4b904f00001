"""The named graphs that every measurement uses: one registry for the command, the suites and the tests."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import UsageError
from grapheme_numba.graph import topologies

if TYPE_CHECKING:
    from grapheme_numba.network.dagnn import DagNN

BATCHES = (1, 16, 64, 256, 1024)


class Case(NamedTuple):
    """A graph by name: `edges()` gives (senders, receivers, inputs, outputs, n_node)."""

    name: str
    about: str
    edges: Callable[[], topologies.Topology]


def irregular(n_node: int, fan_in: int, n_input: int, seed: int = 0) -> topologies.Topology:
    """Every node after the inputs has `fan_in` distinct senders drawn from all nodes before it."""
    generator = np.random.Generator(np.random.Philox(seed))
    receivers = np.arange(n_input, n_node)
    senders = np.sort(_draws(generator, receivers, fan_in), axis=1)
    while True:
        again = np.flatnonzero((senders[:, 1:] == senders[:, :-1]).any(axis=1))
        if not again.size:
            break
        senders[again] = np.sort(_draws(generator, receivers[again], fan_in), axis=1)
    ids = np.arange(n_node, dtype=np.int32)
    outputs = ids[-min(64, n_node - n_input) :]
    return senders.astype(np.int32).ravel(), np.repeat(ids[n_input:], fan_in), ids[:n_input], outputs, n_node


def _draws(generator: np.random.Generator, receivers: npt.NDArray[np.int64], fan_in: int) -> npt.NDArray[np.int64]:
    return (generator.random((len(receivers), fan_in)) * receivers[:, None]).astype(np.int64)


def _layered(n_layer: int, width: int, fan_in: int) -> Callable[[], topologies.Topology]:
    return lambda: topologies.layered([width] * n_layer, fan_in)


_ALL = [
    Case("layered-10x1000x32", "10 layers of 1,000 nodes, 32 in-edges", _layered(10, 1000, 32)),
    Case("irregular-20k-400k", "20,000 nodes, 20 senders each from all before", lambda: irregular(20_000, 20, 256)),
    Case("layered-24x1024x32", "24 layers of 1,024 nodes, 32 in-edges", _layered(24, 1024, 32)),
    Case("layered-120x1024x32", "120 layers of 1,024 nodes, 32 in-edges", _layered(120, 1024, 32)),
    Case("irregular-200k-6.4M", "200,000 nodes, 32 senders each", lambda: irregular(200_000, 32, 1024)),
    Case("radixnet-1024x120", "RadiX-Net, 120 layers of 1,024", lambda: topologies.radixnet(1024, 120)),
    Case("radixnet-4096x120", "RadiX-Net, 120 layers of 4,096", lambda: topologies.radixnet(4096, 120)),
    Case("layered-8x1024x32", "8 layers of 1,024 nodes, 96.9 % sparse", _layered(8, 1024, 32)),
    Case("layered-8x1024x20", "8 layers of 1,024 nodes, 98 % sparse", _layered(8, 1024, 20)),
    Case("chain-500x8", "500 levels of 8 nodes, 8 in-edges", _layered(501, 8, 8)),
    Case("classifier-64-128-10", "dense 64 to 128 to 10", lambda: topologies.classifier(64, 128, 10)),
]
CASES = {case.name: case for case in _ALL}


def find_case(name: str) -> Case:
    """The `Case` of that name. Raises UsageError that lists the names."""
    try:
        return CASES[name]
    except KeyError:
        raise UsageError(f"there is no case {name!r}; choose from {', '.join(CASES)}") from None


def network_of(case: Case) -> "DagNN":
    """A float32 network on the case's graph whose signal keeps its size at any depth."""
    from grapheme_numba.network.dagnn import DagNN

    senders, receivers, inputs, outputs, n_node = case.edges()
    return DagNN.from_edges(senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, init="he", seed=1)
