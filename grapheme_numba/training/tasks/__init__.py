"""The trainers by name: what differs between them stands in one module each.

What a trainer is to the loop: a name, the defaults that differ, a layout for its data and a class of models.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from grapheme_numba.errors import CheckpointError

NAMES = ("agi", "unified")


def find_task(name: str) -> "Task":
    """The `Task` called `name`. Raises CheckpointError: only a checkpoint can name one that is not known."""
    if name not in NAMES:
        raise CheckpointError(f"the checkpoint is of the trainer {name!r}, this program knows {' and '.join(NAMES)}")
    task: Task = importlib.import_module(f"grapheme_numba.training.tasks.{name}").TASK
    return task


class Task(NamedTuple):
    """One of the two trainers. Everything else (loop, optimiser, checkpoint, report, CLI) is shared.

    Attributes
    ----------
    name : str
        The subcommand's name, saved in checkpoints.
    defaults : mapping of config key to value
        Where this trainer differs from the defaults of `Config`.
    layout : callable (summary, config) -> Layout
        Where the domains of the data enter and leave the network. `summary` is the `DatasetSummary` of the
        training data. Heavy imports belong inside.
    model : callable (layout, dag, embedding) -> BrainModel
        The model on a network, fresh or from a checkpoint.
    own_brains : bool
        Whether only certain brains exist, so that a domain may have none; else every domain is known.
    decay : float
        Weight decay of a run, times the root of its number of steps (`run.with_decay`).
    table_defaults : mapping of config key to value
        What differs again where all of the data is tables, of what nobody gave a value.
    """

    name: str
    defaults: Mapping[str, Any]
    layout: Callable[[Any, Any], Any]
    model: Callable[[Any, Any, Any], Any]
    own_brains: bool = False
    decay: float = 0.0
    table_defaults: Mapping[str, Any] = {}

    def fitted(self, config: Any, chosen: frozenset[str], summary: Any) -> Any:
        """`config` with the defaults for tables where the data holds nothing else; `chosen` keys stay."""
        import msgspec

        if {domain.input_type for domain in summary.domains} != {"tabular"}:
            return config
        return msgspec.structs.replace(
            config, **{key: value for key, value in self.table_defaults.items() if key not in chosen}
        )

    def build(self, summary: Any, config: Any) -> Any:
        """A fresh model for the data: its layout, topology, embedding and seeded parameters."""
        from grapheme_numba.training.tasks.build import build_model

        return build_model(self.layout(summary, config), config, self.model)
