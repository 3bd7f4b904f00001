"""Where a run stands: everything that a resumed run needs besides the vectors and the config."""

import msgspec

Count = msgspec.Meta(ge=0)


class Tally(msgspec.Struct):
    """Sums over the examples of one domain since the epoch began (float64, added in order)."""

    n: int = 0
    loss: float = 0.0
    structural: float = 0.0
    n_right: int = 0


class RunState(msgspec.Struct):
    """Position and memory of a run. The position is (epoch, batch); nothing else decides what comes next.

    epoch : epochs completed; batch : batches of the current epoch done
    step : optimiser steps taken; n_accumulated : examples in the gradient that is not yet applied
    n_example : examples seen in all; n_skipped : batches left out by the NaN policy
    tally : sums of the current epoch per domain name
    best_loss, best_epoch : of the best validation, by `metrics.selection`
    n_bad : validations since without a better one
    n_row : rows of metrics.jsonl that belong to this position; elapsed : seconds of training so far
    lr, grad_norm : of the latest step, for the epoch's row
    rate_factor : factor of the learning rate, below 1 after a rollback
    n_edge : edges before the first pruning (0: not yet known); n_moved : edges dropped and grown so far
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    n_accumulated: int = 0
    n_example: int = 0
    n_skipped: int = 0
    tally: dict[str, Tally] = {}
    best_loss: float | None = None
    best_epoch: int = 0
    n_bad: int = 0
    n_row: int = 0
    elapsed: float = 0.0
    lr: float = 0.0
    grad_norm: float = 0.0
    rate_factor: float = 1.0
    n_edge: int = 0
    n_moved: int = 0

    @property
    def position(self) -> tuple[int, ...]:
        """What orders the checkpoints of a run, and distinguishes two of them."""
        return self.epoch, self.batch, self.step, self.n_row
