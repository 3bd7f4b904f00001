"""The trainers by name: what differs between them stands in one module each.

What a trainer is to the loop: a name, the defaults that differ, and a way to build its model.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from grapheme_numba.errors import CheckpointError

NAMES = ("agi", "unified")


def find_task(name: str):
    """The `Task` called `name`. Raises CheckpointError: only a checkpoint can name one that is not known."""
    if name not in NAMES:
        raise CheckpointError(f"the checkpoint is of the trainer {name!r}, this program knows {' and '.join(NAMES)}")
    return importlib.import_module(f"grapheme_numba.training.tasks.{name}").TASK


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
