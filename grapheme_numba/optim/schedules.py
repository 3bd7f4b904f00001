"""Learning rate as a plain function of the step, counted from 0."""

import math
from collections.abc import Callable

from grapheme_numba.errors import UsageError

STEP_DECAY = 0.1  # the step schedule multiplies by this ...
STEP_AT = (0.5, 0.75)  # ... when these shares of the run are done


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(progress: float) -> float:
    """Half a cosine from 1 down to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def step(progress: float) -> float:
    """1, then a tenth after half of the run, a hundredth after three quarters."""
    return STEP_DECAY ** sum(progress >= at for at in STEP_AT)


SCHEDULES = {"constant": constant, "cosine": cosine, "step": step}


def build(name: str, lr: float, n_step: int, warmup_steps: int | None = None) -> Callable[[int], float]:
    """The rate of each of `n_step` steps: a linear rise over `warmup_steps`, then the named fall.

    `warmup_steps` None means a twentieth of the run. Raises UsageError for an unknown name.
    """
    if name not in SCHEDULES:
        raise UsageError(f"unknown lr schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
    shape = SCHEDULES[name]
    rise = n_step // 20 if warmup_steps is None else warmup_steps

    def rate(at: int) -> float:
        if at < rise:
            return lr * (at + 1) / (rise + 1)
        # the last step gets the last non-zero rate: progress 1 lies one step after the end
        return lr * shape((at - rise) / max(1, n_step - rise))

    return rate
