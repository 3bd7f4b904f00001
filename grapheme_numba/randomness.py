"""Seeds to generators: counter-based, so that a draw is a function of the seed alone."""

from typing import Any

import numpy as np

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
