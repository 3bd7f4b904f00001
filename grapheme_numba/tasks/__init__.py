"""The trainers by name: what differs between them stands in one module each."""

import importlib

from grapheme_numba.errors import CheckpointError

NAMES = ("agi", "unified")


def find_task(name: str):
    """The `Task` called `name`. Raises CheckpointError: only a checkpoint can name one that is not known."""
    if name not in NAMES:
        raise CheckpointError(f"the checkpoint is of the trainer {name!r}, this program knows {' and '.join(NAMES)}")
    return importlib.import_module(f"grapheme_numba.tasks.{name}").TASK
