"""Seeds to generators: counter-based, so that a draw is a function of the seed alone."""

import numpy as np

from grapheme_numba.errors import UsageError


def generator(seed: int) -> np.random.Generator:
    """A Philox generator for a whole number `seed` of at least 0; raises UsageError for anything else."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError(f"seed is {seed!r}; give a whole number of at least 0")
    return np.random.Generator(np.random.Philox(seed))
