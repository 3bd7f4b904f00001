"""Optimisers and learning-rate schedules over flat vectors: `gn.optim`."""

from grapheme_numba.optim.optimizers import (
    SGD,
    Adam,
    AdamW,
    Momentum,
    Optimizer,
    OptimizerState,
    RMSprop,
    clip_scale,
    gradient_norm,
)
from grapheme_numba.optim.schedules import Schedule, constant, cosine, step

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Momentum",
    "Optimizer",
    "OptimizerState",
    "RMSprop",
    "Schedule",
    "clip_scale",
    "constant",
    "cosine",
    "gradient_norm",
    "step",
]
