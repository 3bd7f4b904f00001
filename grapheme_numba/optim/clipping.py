"""The length of a gradient, and the factor that brings a long one down to a limit."""

import math
from typing import Any

import numpy.typing as npt

from grapheme_numba.kernels.engine import updates


def gradient_norm(gradient: npt.NDArray[Any]) -> float:
    """L2 norm of a flat gradient; NaN or infinite as soon as one element is."""
    return math.sqrt(total) if (total := float(updates.sum_of_squares(gradient))) >= 0 else math.nan


def clip_scale(norm: float, max_norm: float) -> float:
    """Factor that brings a gradient of `norm` down to `max_norm` (Pascanu et al. 2013).

    It is 1 when the norm is below, or `max_norm` is 0.
    """
    return max_norm / norm if max_norm > 0 and norm > max_norm else 1.0
