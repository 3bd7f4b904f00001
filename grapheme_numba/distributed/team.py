"""The ranks that train one model together. Everything is decided on every rank, from the same numbers.

Each rank reads and runs its shards of a batch; then all meet, learn every example's loss, who was asked to
stop and whether anybody failed, add up the gradients, and take the same step. Alone, nothing is added.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np

from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.distributed.comm import Serial
from grapheme_numba.distributed.gradients import ShardedGradient, own_shards
from grapheme_numba.errors import NonFiniteError, UsageError
from grapheme_numba.optim.optimizers import OptimizerState, gradient_norm


class Seen(NamedTuple):
    """What a whole batch gave, on every rank: arrays (batch,) in the batch's order.

    domain int32; judged bool: a target counts; loss, structural float64; right bool
    """

    domain: np.ndarray
    judged: np.ndarray
    loss: np.ndarray
    structural: np.ndarray
    right: np.ndarray

    @property
    def finite(self) -> bool:
        """Whether every loss is a number."""
        return math.isfinite(self.loss.sum())


TYPES = (np.int32, np.bool_, np.float64, np.float64, np.bool_)


class Wish(msgspec.Struct, frozen=True):
    """What was asked for: a reason to stop, a checkpoint."""

    reason: str | None = None
    save: bool = False


class Word(msgspec.Struct, frozen=True):
    """What a rank says after its part of a batch: the bytes of its `Seen`, None where no number came out."""

    wish: Wish
    arrays: list[bytes] | None


class Team:
    """This rank among all.

    Parameters
    ----------
    comm : Serial or Ranks
    n_shard : int
        Virtual shards of the run, at least one a rank.

    Raises
    ------
    UsageError
        There are more ranks than shards.
    """

    def __init__(self, comm=None, n_shard: int = 1):
        self.comm, self.n_shard = comm or Serial(), n_shard
        size = self.comm.size
        if size > n_shard:
            raise UsageError(
                f"there are {size} ranks, but the run has {n_shard} shards to give them: "
                f"start {n_shard} at most, or a new run with --shards {size}"
            )
        self.alone, self.writes = size == 1, self.comm.rank == 0
        self._own = own_shards(self.comm.rank, size, n_shard)
        self._sum: ShardedGradient | None = None
        self._wish: Wish | None = None

    def batches(self, dataset, layout, batch_size: int, **place) -> Iterator[tuple[Batch, ...]]:
        """This rank's parts of every batch, one a shard."""
        own = self._own
        shard = (own.start, self.n_shard, len(own))
        with closing(dataset.batches(layout, batch_size, shard=shard, **place)) as stream:
            while parts := tuple(islice(stream, len(own))):
                yield parts

    def run_own(self, run, parts: Sequence[Batch]) -> list:
        """Forward and backward of this rank's parts; their `StepResult`s. `together` has to follow."""
        model, how = run.model, run.config.structural_weight
        if self.n_shard == 1:
            return [model.accumulate(parts[0], how)]
        if self._sum is None or self._sum.model is not model:
            if self._sum is not None:
                self._sum.release()
            self._sum = ShardedGradient(self.comm, self.n_shard, model, not run.progress.n_accumulated)
        results = []
        self._sum.run(lambda index: results.append(model.accumulate(parts[index], how)))
        return results

    def together(self, run, parts: Sequence[Batch], results: list | None) -> Seen | None:
        """The whole batch from every rank's `results`; its gradient is then accumulated.

        Returns None where the part of a rank gave no number (its `results` are None). Of several shards
        such a batch, or one with a loss that is not finite, is left out of the sum. One shard has been
        added to the model's gradients by then, and the caller takes it out.
        """
        own = None if results is None else seen(parts, results)
        if not self.alone:
            arrays = None if own is None else [array.tobytes() for array in own]
            said = self.comm.meet(msgspec.msgpack.encode(Word(self._take_wish(run.stop), arrays)))
            words = [msgspec.msgpack.decode(one, type=Word) for one in said]
            self._wish = first_wish([word.wish for word in words])
            own = None if any(word.arrays is None for word in words) else joined([word.arrays for word in words])
        if self._sum is not None and own is not None and own.finite:
            self._sum.add(fresh=not run.progress.n_accumulated)
        return own

    def gradient_norm(self, model) -> float:
        """L2 norm of what is accumulated. Where it is not finite, `model.gradients` then shows why."""
        if self._sum is None:
            return gradient_norm(model.gradients)
        norm = self._sum.norm()
        if not math.isfinite(norm):
            self._sum.collect()
        return norm

    def step(self, run, lr: float, scale: float) -> tuple[OptimizerState, bool]:
        """An optimiser step with `scale` times what is accumulated: its state, whether all parameters are finite."""
        if self._sum is not None:
            return self._sum.step(run.optimizer, run.state, lr, scale)
        model = run.model
        model.parameters_changed()
        return run.optimizer.update_and_clear(model.parameters, model.gradients, run.state, lr, scale)

    def release(self, run) -> None:
        """Give every rank parameters and moments of its own to change, as all do; the next batch shares again."""
        if self._sum is not None:
            run.state = run.state._replace(moments=self._sum.release())
            self._sum = None

    def before_save(self, run) -> None:
        """Bring together what a checkpoint holds, and compare the ranks' parameters."""
        if self._sum is not None and self._sum.model is run.model:
            self._sum.collect()
        self.check_same(run.model.parameters)

    def share(self, dataset, layout, batch_size: int) -> Iterator[Batch | None]:
        """A dataset's batches in file order, dealt out in runs; None where others have one batch more to do."""
        n_batch, comm = -(-dataset.n_rows // batch_size), self.comm
        own = own_shards(comm.rank, comm.size, n_batch)
        with closing(dataset.batches(layout, batch_size, start=own.start)) as stream:
            yield from islice(stream, len(own))
        for _ in range(-(-n_batch // comm.size) - len(own)):
            yield None

    def gather(self, tables: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """The float64 tables of all ranks, in rank order."""
        return np.frombuffer(b"".join(self.comm.meet(b"".join(one.tobytes() for one in tables)))).reshape(-1, *shape)

    @contextmanager
    def leader_first(self):
        """Rank 0 does the body, then all others: it compiles, they load what it compiled."""
        if not self.writes:
            self.comm.meet()
        yield
        if self.writes:
            self.comm.meet()

    def asked(self, stop) -> Wish:
        """What any rank was asked for since the last call, by signals or by limits."""
        if self.alone:
            return self._take_wish(stop)
        wish, self._wish = self._wish, None
        if wish is None:
            said = self.comm.meet(msgspec.msgpack.encode(self._take_wish(stop)))
            wish = first_wish([msgspec.msgpack.decode(one, type=Wish) for one in said])
        return wish

    def _take_wish(self, stop) -> Wish:
        return Wish(stop.due(), stop.take_save())

    def first_found(self, text: str | None) -> str | None:
        """The text of the first rank that has one."""
        return next((found.decode() for found in self.comm.meet((text or "").encode()) if found), None)

    def check_same(self, parameters: np.ndarray) -> None:
        """Raise NonFiniteError where ranks hold other bits: processors that round differently."""
        if self.alone:
            return
        first = self.comm.host_rank == 0  # the others of a host have the same memory
        sums = self.comm.meet(zlib.crc32(parameters).to_bytes(4) if first else b"")
        odd = [rank for rank, one in enumerate(sums) if one not in (b"", sums[0])]
        if odd:
            raise NonFiniteError(
                f"rank {odd[0]} holds other parameters than rank 0, so nothing was saved; "
                "use hosts with the same kind of processor, and the same versions on all"
            )


def seen(parts: Sequence[Batch], results: list) -> Seen:
    """The batch of `parts` as its results show it."""
    rows = [
        (part.domain, part.n_active > 0, result.loss, result.structural, result.right)
        for part, result in zip(parts, results, strict=True)
    ]
    return Seen(*rows[0]) if len(rows) == 1 else Seen(*map(np.concatenate, zip(*rows, strict=True)))


def joined(ranks: list[list[bytes]]) -> Seen:
    """The `Seen` of all ranks, one after the other."""
    arrays = zip(*ranks, strict=True)
    return Seen(*(np.frombuffer(b"".join(one), kind) for one, kind in zip(arrays, TYPES, strict=True)))


def first_wish(wishes: list[Wish]) -> Wish:
    """One wish of all: the first reason, and a checkpoint if anybody wants one."""
    reasons = [wish.reason for wish in wishes if wish.reason is not None]
    return Wish(reasons[0] if reasons else None, any(wish.save for wish in wishes))
