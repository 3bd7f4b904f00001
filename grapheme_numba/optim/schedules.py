"""Learning rates as plain functions of the step, counted from 0.

`constant`, `cosine` and `step` make a schedule: a function `(step, n_step) -> factor` in [0, 1] of the
highest rate. The shapes of the fall are functions of the progress alone, a share of the run from 0 to 1.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

from grapheme_numba.arguments import is_name, is_number, shown
from grapheme_numba.errors import UsageError

STEP_DECAY = 0.1  # the step schedule multiplies by this ...
STEP_AT = (0.5, 0.75)  # ... when these shares of the run are done
WARMUP = 0.05  # of a run, where nothing else is said


def level(progress: float) -> float:
    """1 throughout."""
    return 1.0


def half_cosine(progress: float) -> float:
    """Half a cosine from 1 down to 0 (Loshchilov and Hutter 2017, without restarts)."""
    from grapheme_numba.kernels.engine import elementary  # Numba takes a second, and names are looked up without it

    return 0.5 * (1.0 + elementary.cos(math.pi * min(progress, 1.0)))


def stairs(progress: float) -> float:
    """1, then a tenth after half of the run, a hundredth after three quarters."""
    return (1.0, STEP_DECAY, STEP_DECAY * STEP_DECAY)[sum(progress >= at for at in STEP_AT)]


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": level, "cosine": half_cosine, "step": stairs}


@dataclass(frozen=True)
class Schedule:
    """A factor of the highest learning rate for each step: a linear rise, then the fall `shape`.

    Attributes
    ----------
    shape : str
        constant, cosine or step.
    warmup : float
        Share of the steps in which the factor rises, in [0, 1).
    """

    shape: str
    warmup: float = 0.0

    def __post_init__(self) -> None:
        if not is_number(self.warmup, 0, 1) or self.warmup == 1:
            raise UsageError(f"warmup is {shown(self.warmup)}; give a share of the steps from 0 to below 1")
        _shape(self.shape)

    def __call__(self, step: int, n_step: int) -> float:
        """The factor in [0, 1] of step `step` of `n_step`. UsageError where they are no such numbers."""
        if not (is_number(step, 0, math.inf) and is_number(n_step, 0, sys.float_info.max)):
            raise UsageError(
                f"step is {shown(step)} and n_step {shown(n_step)}; give two numbers of at least 0, the first from 0"
            )
        rise = math.floor(self.warmup * n_step + 1e-9)  # 0.07 * 100 is a little above 7, 0.29 * 100 a little below 29
        if step < rise:
            return (step + 1) / (rise + 1)
        return SCHEDULES[self.shape](_progress(step, n_step, rise))


def constant(warmup: float = 0.0) -> Schedule:
    """The highest rate throughout, after a linear rise over the share `warmup` of the steps."""
    return Schedule("constant", warmup)


def cosine(warmup: float = 0.0) -> Schedule:
    """Half a cosine from the highest rate down to 0 (Loshchilov and Hutter 2017), after a linear rise."""
    return Schedule("cosine", warmup)


def step(warmup: float = 0.0) -> Schedule:
    """The highest rate, a tenth of it after half of the run, a hundredth after three quarters; after a linear rise."""
    return Schedule("step", warmup)


def build(name: str, lr: float, n_step: int, warmup_steps: int | None = None) -> Callable[[int], float]:
    """The rate of each of `n_step` steps: a linear rise over `warmup_steps`, then the named fall.

    `warmup_steps` None means a twentieth of the run. Raises UsageError for an unknown name.
    """
    shape = _shape(name)
    rise = n_step // round(1 / WARMUP) if warmup_steps is None else warmup_steps

    def rate(at: int) -> float:
        if at < rise:
            return lr * (at + 1) / (rise + 1)
        return lr * shape(_progress(at, n_step, rise))

    return rate


def _shape(name: str) -> Callable[[float], float]:
    if not is_name(name, SCHEDULES):
        raise UsageError(f"unknown lr schedule {shown(name)}; choose one of {', '.join(SCHEDULES)}")
    return SCHEDULES[name]


def _progress(at: int, n_step: int, rise: int) -> float:
    """The last step gets the last rate above 0: progress 1 lies one step after the end."""
    return (at - rise) / max(1, n_step - rise)
