"""What a trainer is to the loop: a name, the defaults that differ, and a way to build its model."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Task(NamedTuple):
    """One of the two trainers. Everything else (loop, optimiser, checkpoint, report, CLI) is shared.

    Attributes
    ----------
    name : str
        The subcommand's name, saved in checkpoints.
    defaults : mapping of config key to value
        Where this trainer differs from the defaults of `Config`.
    build : callable (summary, config) -> BrainModel
        A fresh model for the data: its layout, topology, embedding and seeded parameters.
        `summary` is the `DatasetSummary` of the training data. Heavy imports belong inside.
    own_brains : bool
        Whether only certain brains exist, so that a domain may have none; else every domain is known.
    """

    name: str
    defaults: Mapping[str, Any]
    build: Callable[[Any, Any], Any]
    own_brains: bool = False
