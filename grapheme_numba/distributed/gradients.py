r"""The gradient of a batch in shards, its sum over all ranks, and the optimiser step of which every rank takes a part.

On every host lie, for all of its ranks: the parameters, the weights once more in the forward pass's order, the
optimiser's moments, the sum of the gradients since the last step, and a plane for every node of the shards'
tree that its ranks make. The vectors are cut into fixed chunks, and each rank owns a run of them:

    backward     a rank makes its nodes and publishes them                       all ranks meet
    add          a rank adds all planes, in its own chunks alone                 the host settles
    step         a rank updates its own chunks and puts their weights in order   the host settles

So a parameter is added up, updated and put in order once a host. (While every rank put all weights in order for
itself, that was a third of its step: 2.1 of 6.9 ms with a million edges and 64 examples on two ranks.) Between
hosts the i-th rank of each stands for the i-th part of the vectors: these exchange the sums of their hosts,
each adds and updates its host's share of the part, and they give each other the new parameters. Two hosts with a
small model send each other all of it instead, and each adds and updates everything: the bytes are the same, and of
five meetings two are left. Where they have a rank each, that exchange is under way while losses are gathered, so
that a step waits for the network once.

Virtual shards: a batch is cut into V parts, and their gradients are added in one fixed binary tree.

The cut and the tree depend on V alone. Ranks own runs of neighbouring shards, add what they can of the tree
by themselves, and the rest piece by piece together, so that the bits do not depend on the number of ranks:

    shards   0   1   2   3          V = 4
              \ /     \ /
               +       +            on 2 ranks each adds one of these by itself
                \     /
                   +                and each adds one half of the vector's elements here
"""

import math
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from grapheme_numba.distributed.comm import Parts, Ranks, Serial
from grapheme_numba.kernels.engine import gradient_shards as kernels
from grapheme_numba.kernels.engine.updates import CHUNK, StepRates, in_order
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.network.execution_plan import aligned_empty
from grapheme_numba.optim.optimizers import Optimizer, OptimizerState, both_moments

Array = npt.NDArray[Any]  # of the model's dtype
Exchange = tuple[Array, Parts, Array, Parts]


class Node(NamedTuple):
    """The shards first <= v < stop, added together."""

    first: int
    stop: int

    @property
    def halves(self) -> tuple["Node", "Node"]:
        """The two nodes whose sum this one is."""
        middle = (self.first + self.stop) // 2
        return Node(self.first, middle), Node(middle, self.stop)


def own_shards(rank: int, size: int, n_shard: int) -> range:
    """The shards of a rank."""
    return range(rank * n_shard // size, (rank + 1) * n_shard // size)


def whole_nodes(own: Collection[int], node: Node) -> list[Node]:
    """The highest nodes below `node` that hold only shards of `own`, in order."""
    inside = [shard in own for shard in range(node.first, node.stop)]
    if all(inside):
        return [node]
    return [found for half in node.halves for found in whole_nodes(own, half)] if any(inside) else []


class Additions(NamedTuple):
    """How a node comes from others: rows[a] += rows[b] for each pair, in order; its sum then is in `row`."""

    row: int
    pairs: list[tuple[int, int]]


def additions(node: Node, rows: dict[Node, int]) -> Additions:
    """How `node` is added up from the nodes that lie in `rows`."""
    if node in rows:
        return Additions(rows[node], [])
    left, right = (additions(half, rows) for half in node.halves)
    return Additions(left.row, [*left.pairs, *right.pairs, (left.row, right.row)])


BLOCK = 128  # chunks exchanged between hosts at once, so that memory stays flat
# Two hosts work out what has so few parameters twice. Halves would save each 1 ns a parameter, 0.1 ms at most, and cost
# three meetings of 0.03 ms (one switch) to several ms.
SMALL = 1 << 18
VECTORS = 4  # besides the planes: parameters, sum, two moments


class ShardedGradient:
    """The gradients of `model` over `n_shard` shards of each batch, on the ranks of `comm`.

    All ranks make it at the same point. It moves the model's parameters into the host's memory.

    Parameters
    ----------
    comm : Serial or Ranks
    n_shard : int
    model : BrainModel
    fresh : bool
        Whether nothing is accumulated yet; else `model.gradients` is, the same on all ranks.
    """

    def __init__(self, comm: Serial | Ranks, n_shard: int, model: BrainModel, fresh: bool) -> None:
        self.comm, self.model = comm, model
        root, self.own = Node(0, n_shard), own_shards(comm.rank, comm.size, n_shard)
        owned = [own_shards(rank, comm.size, n_shard) for rank in range(comm.size)]
        nodes = [whole_nodes(own, root) for own in owned]
        n, dtype = model.parameters.size, model.parameters.dtype
        n_vector = sum(len(nodes[rank]) for rank in comm.hosts[comm.host]) + VECTORS
        comm.reserve((n_vector * n + model.dag.n_edge) * dtype.itemsize)
        rows = {node: row for row, node in enumerate(node for rank in comm.hosts[comm.host] for node in nodes[rank])}
        self._nodes = [(node, rows[node]) for node in nodes[comm.rank]]
        held = [whole_nodes({shard for rank in ranks for shard in owned[rank]}, root) for ranks in comm.hosts]
        self._plan(root, rows, held)
        self._share_out(n)

        self.planes = comm.memory("planes", (len(rows), -(-n // CHUNK) * CHUNK), dtype)  # every row begins a cache line
        self.parameters, self.total = (comm.memory(name, (n,), dtype) for name in ("parameters", "total"))
        self.squares = comm.memory("squares", (2, -(-n // CHUNK)), np.float64)  # of the total, of the parameters
        self._widest = max(stop - first for first, stop in self._parts)
        n_row = sum(self._held) if len(comm.hosts) > 1 else 0
        self._arrived: Array = np.empty((n_row, min(self._widest, BLOCK) * CHUNK), dtype)
        alone = all(len(ranks) == 1 for ranks in comm.hosts)  # each has all that its host sends
        self._overlaps = self._doubles and alone and max(self._held) == 1 and self._widest <= BLOCK
        if self._overlaps:
            cast(Ranks, comm).post = self._post
        self._moments: dict[str, Array] = {}
        self._waiting: list[Array] = []
        self._own_parameters: Array = np.empty(self._piece.stop - self._piece.start, dtype)
        self._version: int | None = None
        self._clean = False  # whether the model's gradients are 0
        if not fresh:
            self.total[self._piece] = model.gradients[self._piece]
            kernels.chunk_squares(self.total, self._own, self.squares[0])
            self._spread(self.squares[0], self._chunk_bounds)
        model.bind(self.parameters, model.gradients)
        self._ordered = model.dag.receiver_weights
        self._ordered.bind(comm.memory("ordered", (model.dag.n_edge,), dtype))
        comm.barrier()

    def _plan(self, root: Node, rows: dict[Node, int], held: list[list[Node]]) -> None:
        """What is added to what: on this host, and then with what the other hosts hold."""
        comm = self.comm
        here = [additions(node, rows) for node in held[comm.host]]
        pairs = [pair for one in here for pair in one.pairs]
        self._sent, self._held = [one.row for one in here], [len(nodes) for nodes in held]
        if len(comm.hosts) > 1:
            self._inside = as_table(pairs)
            arrived = {node: row for row, node in enumerate(node for nodes in held for node in nodes)}
            here = [additions(root, arrived)]
            pairs = here[0].pairs
        self._last = pairs[-1] if pairs else (here[0].row, -1)
        self._pairs = as_table(pairs[:-1])

    def _share_out(self, n: int) -> None:
        """The chunks of this rank's rail, and which of them each host owns there."""
        comm, n_chunk = self.comm, -(-n // CHUNK)
        rail, n_host = comm.host_rank, len(comm.hosts)
        first, stop = (n_chunk * (rail + i) // comm.n_rail for i in (0, 1)) if rail < comm.n_rail else (0, 0)
        self._rail = (first, stop)
        self._chunk_bounds = [first + (stop - first) * i // n_host for i in range(n_host + 1)]
        self._bounds = [min(chunk * CHUNK, n) for chunk in self._chunk_bounds]
        self._doubles = n_host == 2 and n <= SMALL
        self._parts = [self._rail] * 2 if self._doubles else list(pairwise(self._chunk_bounds))
        self._own = self._parts[comm.host]
        self._piece = slice(*(min(chunk * CHUNK, n) for chunk in self._own))

    def run(self, make: Callable[[int], None]) -> None:
        """Fill this rank's planes. `make(i)` ADDS the gradient of its i-th shard to the model's gradients."""
        if not self._clean:
            self.model.zero_grad()
        self._clean = False
        for node, row in self._nodes:
            self._fill(node, make, 0)
            kernels.hand_over(self._rail, self.model.gradients, self.planes[row])
        self._clean = True

    def _fill(self, node: Node, make: Callable[[int], None], depth: int) -> None:
        # Two neighbours are added as soon as both are there: k shards need log2(k) vectors more, not k.
        if node.stop - node.first == 1:
            return make(node.first - self.own.start)
        gradients, (left, right) = self.model.gradients, node.halves
        self._fill(left, make, depth + 1)
        while len(self._waiting) <= depth:
            self._waiting.append(np.empty_like(gradients))
        self._waiting[depth][:] = gradients
        gradients[:] = 0
        self._fill(right, make, depth + 1)
        np.add(self._waiting[depth], gradients, out=gradients)

    def begin(self) -> None:
        """Where that can be, begin the exchange between the hosts: the next `all_gather` of the ranks completes it."""
        if self._overlaps:
            kernels.fold(self.planes, self._inside, self._rail)
            cast(Ranks, self.comm).begin()

    def _post(self) -> Any:
        """The request of the one exchange between hosts; all take part in it, also a rank that has nothing to give."""
        return cast(Ranks, self.comm).post_exchange(*self._exchanges(0)[1][0])

    def add(self, fresh: bool) -> None:
        """Add the batch of all ranks, whose planes are filled, to the sum, which begins anew where it is `fresh`."""
        with self.comm.unbroken():
            if len(self.comm.hosts) == 1:
                step = self._pairs, self._last, self._own, 0, fresh
                kernels.fold_into(self.planes, *step, self.total, self.squares[0])
            else:
                if not self._overlaps:
                    kernels.fold(self.planes, self._inside, self._rail)
                self._add_hosts(fresh)
                self._spread(self.squares[0], self._chunk_bounds)
            self.comm.barrier()

    def _add_hosts(self, fresh: bool) -> None:
        """Exchange the sums of the hosts along the rail, block by block, and add those of this rank's chunks."""
        if self._rail[0] == self._rail[1]:
            return
        for done in range(0, self._widest, BLOCK):
            (chunks, start), exchanges = self._exchanges(done)
            for exchange in exchanges if not self._overlaps else ():
                cast(Ranks, self.comm).exchange(*exchange)
            step = self._pairs, self._last, chunks, start, fresh
            kernels.fold_into(self._arrived, *step, self.total, self.squares[0])

    def _exchanges(self, done: int) -> tuple[tuple[tuple[int, int], int], list[Exchange]]:
        """Of the block that begins with chunk `done`: the chunks that this rank adds with their first element, and what
        is sent and received."""
        comm, n = self.comm, self.total.size
        chunks = [(min(a + done, b), min(a + done + BLOCK, b)) for a, b in self._parts]
        starts = [min(first * CHUNK, n) for first, _ in chunks]
        counts = [min(stop * CHUNK, n) - start for (_, stop), start in zip(chunks, starts, strict=True)]
        width = counts[comm.host]
        found: list[Exchange] = []
        row_of = np.cumsum([0, *self._held])
        for k in range(max(self._held)):
            mine = k < len(self._sent)
            send = self.planes[self._sent[k] if mine else 0]
            there = [k < held for held in self._held]
            places = [int(row_of[host] + k) * self._arrived.shape[1] if has else 0 for host, has in enumerate(there)]
            take = [width * has for has in there]
            found.append((send, (counts if mine else [0] * len(counts), starts), self._arrived, (take, places)))
        return (chunks[comm.host], starts[comm.host]), found

    def _spread(self, vector: Array, bounds: Sequence[int]) -> None:
        if len(self.comm.hosts) > 1 and self._rail[0] < self._rail[1] and not self._doubles:
            cast(Ranks, self.comm).spread(vector, bounds)  # only they have several hosts

    def norm(self) -> float:
        """L2 norm of the sum; NaN or infinite as soon as one element is."""
        total = in_order(self.squares[0])
        return math.sqrt(total) if total >= 0 else math.nan

    def step(self, optimizer: Optimizer, state: OptimizerState, lr: float, scale: float) -> tuple[OptimizerState, bool]:
        """One step of `optimizer` with `scale` times the sum; the new state, and whether all parameters are finite."""
        self._adopt(state)
        with self.comm.unbroken():
            piece, count = self._piece, state.count + 1
            own = {name: moment[piece] for name, moment in self._moments.items()}
            rates, squares = optimizer.rates(count, lr, scale), self.squares[1][slice(*self._own)]
            moments = both_moments(own, self.parameters)
            if self._version != self._ordered.version:  # somebody else has written parameters
                self._own_parameters[:], self._version = self.parameters[piece], self._ordered.version
            new, public = self._own_parameters, self.parameters[piece]
            kernels.step(optimizer.rule, self.total[piece], rates, moments, squares, new, public)
            self._order(new, piece.start)
            self._spread(self.parameters, self._bounds)
            self._spread(self.squares[1], self._chunk_bounds)
            self.comm.barrier()
            if len(self.comm.hosts) > 1 and not self._doubles:
                for first, stop in ((self._bounds[0], piece.start), (piece.stop, self._bounds[-1])):
                    self._order(self.parameters[first:stop], first)
                self.comm.barrier()
        return OptimizerState(count, self._moments), math.isfinite(in_order(self.squares[1]))

    def _order(self, values: Array, first: int) -> None:
        """Copy the weights among the parameters `values`, from `first` on, into the forward pass's order."""
        weights = values[: max(self.model.dag.n_edge - first, 0)]
        if weights.size:
            self._ordered.fill(weights, first)

    def _adopt(self, state: OptimizerState) -> None:
        """Take over the moments of a run that has just begun or gone back. A rank only ever writes its own chunks."""
        if state.moments is self._moments:
            return
        for name, moment in state.moments.items():
            if name not in self._moments:
                self._moments[name] = self.comm.memory(name, moment.shape, moment.dtype)
            self._moments[name][self._piece] = moment[self._piece]

    def release(self) -> dict[str, Array]:
        """Give the model memory of its own again; returns such moments. This object is of no use then. On all ranks."""
        self.collect()
        self.model.bind(self.parameters.copy(), self.model.gradients)
        self._ordered.bind(np.empty(self.model.dag.n_edge, self.model.dtype))
        self.model.zero_grad()
        moments = {name: moment.copy() for name, moment in self._moments.items()}
        self.comm.barrier()  # before anybody writes there again
        return moments

    def collect(self) -> None:
        """Bring the sum into `model.gradients` and, on every host, all moments together. On all ranks."""
        for vector in (self.total, *self._moments.values()):
            self._spread(vector, self._bounds)
        self.comm.barrier()
        self.model.gradients[:] = self.total
        self._clean = False


def warm_up(model: BrainModel) -> None:
    """Compile or load the kernels of `ShardedGradient` without a trace."""
    plane = aligned_empty((1, 1), model.dtype)
    kernels.hand_over((0, 1), np.zeros(1, model.dtype), plane[0])
    kernels.fold(plane, as_table([]), (0, 1))
    kernels.fold_into(plane, as_table([]), (0, -1), (0, 1), 0, True, plane[0], np.zeros(1))
    kernels.chunk_squares(plane[0], (0, 1), np.zeros(1))
    one, none = np.zeros(1, model.dtype), np.zeros(0, model.dtype)
    kernels.step(0, one, StepRates(), (none, none), np.zeros(1), one.copy(), plane[0])


def as_table(pairs: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(n, 2) int64, also of none."""
    return np.array(pairs, np.int64).reshape(-1, 2)
