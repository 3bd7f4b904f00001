"""Seeds to generators and counters to bits, so that a draw is a function of the seed, or of the counter, alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import shown
from grapheme_numba.errors import UsageError


def generator(seed: int) -> np.random.Generator:
    """A Philox generator for a whole number `seed` of at least 0; raises UsageError for anything else."""
    return np.random.Generator(np.random.Philox(checked(seed)))


def checked(seed: Any) -> int:
    """`seed` where it is a whole number of at least 0, of any size; else UsageError."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed is {shown(seed)}; give a whole number of at least 0")
    return int(seed)


def checked_parts(seed: Any) -> int | tuple[int, ...]:
    """A seed, or several that together are one; else UsageError."""
    if isinstance(seed, tuple | list) and seed:
        return tuple(map(checked, seed))
    return checked(seed)


STRIDE = np.uint64(0x9E3779B97F4A7C15)  # between the counters of SplitMix64


def mixed(counters: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Random bits of counters, uint64 of any shape: SplitMix64's finalizer (Steele, Lea and Flood 2014)."""
    x = (counters ^ (counters >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
