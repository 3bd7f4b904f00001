"""The ranks that train one model together. Everything is decided on every rank, from the same numbers.

Each rank reads and runs its shards of a batch; then all meet, exchange every example's loss, requests to stop
and failures, add up the gradients, and take the same step. A single rank adds nothing.
"""

import math
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.distributed.gradients import ShardedGradient, own_shards
from grapheme_numba.errors import NonFiniteError, UsageError
from grapheme_numba.models.brain_model import StepResult
from grapheme_numba.optim.optimizers import Optimizer, OptimizerState, gradient_norm
from grapheme_numba.signals import StopRequest


class BatchResult(NamedTuple):
    """What a whole batch gave, on every rank: arrays (batch,) in the batch's order.

    domain int32; judged bool: a target counts; loss, structural float64; right bool
    """

    domain: npt.NDArray[np.int32]
    judged: npt.NDArray[np.bool_]
    loss: npt.NDArray[np.float64]
    structural: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]

    @property
    def finite(self) -> bool:
        """Whether every loss is a number."""
        return math.isfinite(self.loss.sum())


COMPILES = "compiles kernels"
DTYPES = (np.int32, np.bool_, np.float64, np.float64, np.bool_)


class Requests(msgspec.Struct, frozen=True):
    """What signals and limits request: a reason to stop, a checkpoint."""

    stop: str | None = None
    save: bool = False


class RankMessage(msgspec.Struct, frozen=True):
    """What a rank sends after its part of a batch: the bytes of its `BatchResult`, None where it is not finite."""

    requests: Requests
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

    def __init__(self, comm: Serial | Ranks | None = None, n_shard: int = 1) -> None:
        self.comm, self.n_shard = comm or Serial(), n_shard
        size = self.comm.size
        if size > n_shard:
            raise UsageError(
                f"there are {size} ranks, but the run has {n_shard} gradient shards to give them: "
                f"start {n_shard} at most, or a new run with --gradient-shards {size}"
            )
        self.alone, self.writes = size == 1, self.comm.rank == 0
        self._own = own_shards(self.comm.rank, size, n_shard)
        self._sum: ShardedGradient | None = None
        self._requests: Requests | None = None

    def batches(self, dataset: Dataset, layout: Layout, batch_size: int, **place: int) -> Generator[tuple[Batch, ...]]:
        """This rank's parts of every batch, one a shard; `place` as for `Dataset.batches`."""
        own = self._own
        shard = (own.start, self.n_shard, len(own))
        with closing(dataset.batches(layout, batch_size, shard=shard, **place)) as stream:
            while parts := tuple(islice(stream, len(own))):
                yield parts

    def accumulate(
        self, model: Any, parts: Sequence[Batch], one: Callable[[Batch], StepResult], fresh: bool
    ) -> list[StepResult]:
        """Forward and backward of this rank's parts, each by `one(part)`. `reduce` has to follow.

        `fresh` says that nothing is accumulated yet.
        """
        if self.n_shard == 1:
            return [one(parts[0])]
        if self._sum is None or self._sum.model is not model:
            if self._sum is not None:
                self._sum.release()
            self._sum = ShardedGradient(self.comm, self.n_shard, model, fresh)
        results: list[StepResult] = []
        self._sum.run(lambda index: results.append(one(parts[index])))
        return results

    def reduce(
        self, parts: Sequence[Batch], results: list[StepResult] | None, stop: StopRequest, fresh: bool
    ) -> BatchResult | None:
        """The whole batch from every rank's `results`; its gradient is then accumulated.

        Returns None where the part of a rank gave no number (its `results` are None). Of several shards
        such a batch, or one with a loss that is not finite, is left out of the sum. One shard has been
        added to the model's gradients by then, and the caller takes it out.
        """
        whole = None if results is None else batch_result(parts, results)
        if self._sum is not None:
            self._sum.begin()
        if not self.alone:
            arrays = None if whole is None else [array.tobytes() for array in whole]
            sent = self.comm.all_gather(msgspec.msgpack.encode(RankMessage(own_requests(stop, self.comm), arrays)))
            messages = [msgspec.msgpack.decode(one, type=RankMessage) for one in sent]
            self._requests = merged([message.requests for message in messages])
            parts_of = [message.arrays for message in messages]
            present = [one for one in parts_of if one is not None]
            whole = joined(present) if len(present) == len(parts_of) else None
        if self._sum is not None and whole is not None and whole.finite:
            self._sum.add(fresh=fresh)
        return whole

    def gradient_norm(self, model: Any) -> float:
        """L2 norm of what is accumulated. Where it is not finite, `model.gradients` then shows why."""
        if self._sum is None:
            return gradient_norm(model.gradients)
        norm = self._sum.norm()
        if not math.isfinite(norm):
            self._sum.collect()
        return norm

    def update(
        self, model: Any, optimizer: Optimizer, state: OptimizerState, lr: float, scale: float
    ) -> tuple[OptimizerState, bool]:
        """An optimiser step with `scale` times what is accumulated: its state, whether all parameters are finite."""
        if self._sum is not None:
            return self._sum.step(optimizer, state, lr, scale)
        model.parameters_changed()
        return optimizer.update_and_clear(model.parameters, model.gradients, state, lr, scale)

    def release(self, state: OptimizerState) -> OptimizerState:
        """Give every rank parameters and moments of its own to change, as all do; the next batch shares again."""
        if self._sum is not None:
            state = state._replace(moments=self._sum.release())
            self._sum = None
        return state

    def collect(self, model: Any) -> None:
        """Before a checkpoint: bring together what it holds, and compare the ranks' parameters."""
        if self._sum is not None and self._sum.model is model:
            self._sum.collect()
        self.check_same(model.parameters)

    def share(self, dataset: Dataset, layout: Layout, batch_size: int) -> Iterator[Batch | None]:
        """A dataset's batches in file order, dealt out in runs; None where others have one batch more to do."""
        n_batch, comm = -(-dataset.n_rows // batch_size), self.comm
        own = own_shards(comm.rank, comm.size, n_batch)
        with closing(dataset.batches(layout, batch_size, start=own.start)) as stream:
            yield from islice(stream, len(own))
        for _ in range(-(-n_batch // comm.size) - len(own)):
            yield None

    def gather(self, tables: list[npt.NDArray[np.float64]], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """The float64 tables of all ranks, in rank order."""
        return np.frombuffer(b"".join(self.comm.all_gather(b"".join(one.tobytes() for one in tables)))).reshape(
            -1, *shape
        )

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Rank 0 does the body, then all others: it compiles, they load what it compiled."""
        if not self.writes:
            self.comm.all_gather(doing=COMPILES)
        yield
        if self.writes:
            self.comm.all_gather(doing=COMPILES)
        self.comm.all_gather(doing=COMPILES)  # rank 0 is told while others, whose caches are their own, compile

    def requests(self, stop: StopRequest) -> Requests:
        """What signals or limits have requested of any rank since the last call."""
        if self.alone:
            return own_requests(stop, self.comm)
        requests, self._requests = self._requests, None
        if requests is None:
            sent = self.comm.all_gather(msgspec.msgpack.encode(own_requests(stop, self.comm)))
            requests = merged([msgspec.msgpack.decode(one, type=Requests) for one in sent])
        return requests

    def first_text(self, text: str | None) -> str | None:
        """The text of the first rank that has one."""
        return next((one.decode() for one in self.comm.all_gather((text or "").encode()) if one), None)

    def check_same(self, parameters: npt.NDArray[Any]) -> None:
        """Raise NonFiniteError where ranks hold other bits: processors that round differently."""
        if self.alone:
            return
        first = self.comm.host_rank == 0  # the others of a host have the same memory
        sums = self.comm.all_gather(zlib.crc32(parameters.data).to_bytes(4) if first else b"")
        odd = [rank for rank, one in enumerate(sums) if one not in (b"", sums[0])]
        if odd:
            raise NonFiniteError(
                f"rank {odd[0]} holds other parameters than rank 0, so nothing was saved; "
                "use hosts with the same kind of processor, and the same versions on all"
            )


def batch_result(parts: Sequence[Batch], results: Sequence[StepResult]) -> BatchResult:
    """The result of the batch that is cut into `parts`."""
    rows = [
        (part.domain, part.n_active > 0, result.loss, result.structural, result.right)
        for part, result in zip(parts, results, strict=True)
    ]
    return BatchResult(*rows[0]) if len(rows) == 1 else BatchResult(*map(np.concatenate, zip(*rows, strict=True)))


def joined(ranks: Sequence[Sequence[bytes]]) -> BatchResult:
    """The results of all ranks, one after the other."""
    arrays = zip(*ranks, strict=True)
    return BatchResult(*(np.frombuffer(b"".join(one), kind) for one, kind in zip(arrays, DTYPES, strict=True)))


def own_requests(stop: StopRequest, comm: Serial | Ranks) -> Requests:
    """What this rank was requested to do since the last call."""
    reason = stop.due()
    return Requests(reason and (comm.why() or reason), stop.take_save())


def merged(requests: Sequence[Requests]) -> Requests:
    """The requests of all ranks as one: the first reason to stop, and a checkpoint if any rank wants one."""
    reasons = [one.stop for one in requests if one.stop is not None]
    return Requests(reasons[0] if reasons else None, any(one.save for one in requests))
