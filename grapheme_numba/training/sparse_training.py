"""Sparse training in a run: drop-and-grow and pruning between two steps, alike on every rank and after every resume.

What is done at a step follows from the parameters, the seed, the step and the step's last batch alone.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.errors import ShapeError
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.optim.schedules import half_cosine
from grapheme_numba.sparsity import evolve, prune
from grapheme_numba.training import step
from grapheme_numba.training.config import Config

if TYPE_CHECKING:
    from grapheme_numba.training.run import Run

UNTIL = 0.75  # of the steps: no drop-and-grow after it, so that the last edges to grow are trained too
EVENTS = 50  # in a run, unless the config has another interval
FAILED = b"-"  # what a rank sends that could not judge its examples


def learns_topology(config: Config) -> bool:
    """Whether a run with this config drops and grows, or prunes, edges."""
    return config.evolve != "none" or config.prune_to < 1.0


def every(run: "Run") -> int:
    """Steps between two changes of the topology."""
    return run.config.evolve_every or max(1, run.n_step // EVENTS)


def after_step(run: "Run", parts: Sequence[Batch] | None) -> None:
    """Prune, drop and grow edges when it is time; `parts` are the step's last batch, None at an epoch's end."""
    config, progress = run.config, run.progress
    if not learns_topology(config) or progress.step % every(run):
        return
    run.state = run.team.release(run.state)
    progress.n_edge = progress.n_edge or run.model.dag.n_edge
    share = progress.step / run.n_step
    if config.prune_to < 1.0:
        prune_edges(run, share)
    if config.evolve != "none" and share < UNTIL:
        fraction = config.evolve_fraction * half_cosine(share / UNTIL)
        change = chosen(run, parts, fraction)
        if change is not None:
            evolve.replace_edges(run.model.dag, change, list(run.state.moments.values()))
            progress.n_moved += len(change.dropped)


def prune_edges(run: "Run", share: float) -> None:
    """Take away the weakest edges that a run is to be without when `share` of it is done."""
    model, dag = run.model, run.model.dag
    n_left = prune.edges_left(share, run.progress.n_edge, run.config.prune_to)
    size, old = dag.n_edge + dag.n_node, run.state.moments
    pruned, moments = prune.prune_to(dag, n_left, [moment[:size] for moment in old.values()])
    if pruned is dag:
        return
    run.model = model.with_dag(pruned)
    whole = [np.concatenate([moment, old[name][size:]]) for name, moment in zip(old, moments, strict=True)]
    run.state = run.state._replace(moments=dict(zip(old, whole, strict=True)))


def chosen(run: "Run", parts: Sequence[Batch] | None, fraction: float) -> evolve.Replacement | None:
    """The edges to drop and those to grow, the same on all ranks; None where a number is not finite.

    RigL judges new places by the first shard that has an example: so the number of ranks decides nothing.
    """
    config, dag = run.config, run.model.dag
    seed = config.seed, run.progress.step
    if config.evolve == "set":
        return evolve.propose(dag, "set", fraction, seed)
    own = b""
    part = next((one for one in parts or latest(run) if len(one.domain)), None)
    if part is not None:
        try:
            dag.keeps_deltas = True
            step.accumulate(run.model, part, run.model.loss(part, config.structural_weight))
            own = to_bytes(evolve.propose(dag, "rigl", fraction, seed))
        except ShapeError:
            own = FAILED
        finally:
            dag.keeps_deltas = False
        run.model.zero_grad()
    proposals = [own] if run.team.alone else run.team.comm.all_gather(own)
    proposal = next(filter(None, proposals), b"")
    return None if proposal == FAILED else from_bytes(proposal)


def latest(run: "Run") -> tuple[Batch, ...]:
    """The parts of the epoch's latest batch, read once more."""
    config, progress = run.config, run.progress
    place = {"seed": config.seed, "epoch": progress.epoch, "start": progress.batch - 1}
    with closing(run.team.batches(run.train, run.model.layout, config.batch_size, **place)) as batches:
        return next(batches)


def to_bytes(change: evolve.Replacement) -> bytes:
    """A `Replacement` on its way between ranks."""
    return b"".join(array.tobytes() for array in change)


def from_bytes(data: bytes) -> evolve.Replacement:
    """The inverse of `to_bytes`."""
    n = len(data) // 16
    senders, receivers = np.frombuffer(data, np.int32, 2 * n, 8 * n).reshape(2, n)
    return evolve.Replacement(np.frombuffer(data, np.int64, n), senders, receivers)


def warm_up(config: Config, dtype: npt.DTypeLike) -> None:
    """Compile or load the kernels that change a topology, on a network of a few nodes."""
    if not learns_topology(config):
        return
    dag = DagNN.layered([4, 4, 2], 2, dtype=dtype)
    dag.keeps_deltas = True
    dag.forward(np.ones((1, 4), dtype))
    dag.backward_accumulate(np.ones((1, 2), dtype))
    if config.evolve != "none":
        evolve.drop_and_grow_edges(dag, config.evolve, 0.5, 0)
    prune.prune_to(dag, 4)
