"""The two trainers: a name, the defaults that differ, a layout for the data and a class of models.

`agi` is one DAG over mixed examples. Domains of one input type share an input slice, so the network itself has to tell
a sum from a question; each domain answers through outputs of its own.

`unified` is a `SharedAGIModel`, one DAG in which every brain owns a slice of inputs and outputs. Gradients of all
examples of an epoch add up, each scaled by the structural loss of its answer, and are applied once.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from grapheme_numba.errors import CheckpointError


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
        from grapheme_numba.training.build import build_model

        return build_model(self.layout(summary, config), config, self.model)


def _agi_layout(summary: Any, config: Any) -> Any:
    """One input slice per input type, an output slice per domain."""
    from grapheme_numba.data.codec.layout import shared_layout

    return shared_layout(summary, config.embedding_dim, answer=config.answer)


def _agi_model(layout: Any, dag: Any, embedding: Any) -> Any:
    """A `BrainModel` on this network."""
    from grapheme_numba.models.brain_model import BrainModel

    return BrainModel(layout, dag, embedding)


# Found by `benchmarks/defaults.py` on validation examples that no test split holds: 108 unseen expressions, 1,500
# series, 34 questions in wordings that were not trained on, 500 pictures. What lost, as exact answers of math, text
# and timeseries in per cent (seed 0; texts still letter by letter beside their words; vision is at 100 with each), a
# decay of 0.05 where not said:
#     rate 0.01, decay 0.1, 150 epochs, texts by their words alone: 97.2 97.1 62.0    <- kept
#     rate 0.01: 98.1 91.2 60.5; with decay 0.1 98.1 94.1 61.4; 150 epochs 97.2 94.1 62.3
#     rate 0.005: 95.4 85.3 60.6; 200 epochs 97.2 88.2 61.3; decay 0.1 95.4 91.2 61.1; rate 0.02: 95.4 94.1 58.4
#     gelu, rate 0.005, 200 epochs: 97.2 94.1 59.6
# Noise on inputs within 0.025 of their spread brings the timeseries from 59.9 to 61.9 (median of three seeds; 0.015
# 60.8 and 0.05 57.0, two seeds) and is no default: of series that nothing was chosen on (`benchmarks/input_noise.py`)
# kicked oscillations stay at 37.5 and 37.1, and logistic growth falls from 70.8 to 67.1.
AGI_DEFAULTS = {
    "epochs": 150,
    "optimizer": "adamw",
    "lr": 0.01,
    "hidden": (512, 512, 512),
    "fan_in": 64,
}

TABLE_DEFAULTS = {
    "epochs": 200,
    "lr": 0.01,
    "weight_decay": 0.3,
    "hidden": (100,),
    "fan_in": 16,
    "activation": "silu",
}

AGI = Task(
    name="agi", defaults=AGI_DEFAULTS, layout=_agi_layout, model=_agi_model, decay=9.0, table_defaults=TABLE_DEFAULTS
)


def _unified_layout(summary: Any, config: Any) -> Any:
    """Disjoint slices, one brain per domain."""
    from grapheme_numba.data.codec.layout import domain_needs
    from grapheme_numba.models.router import place_brains

    needs = domain_needs(summary, config.embedding_dim, answer=config.answer)
    requests = dict(config.brain)
    if config.select_inputs is not None:  # nobody knows beforehand how many inputs the columns that stay will have
        tables = {need.name: need.n_input for need in needs if need.input_type == "tabular"}
        requests = {name: (tables.get(name, sizes[0]), sizes[1]) for name, sizes in requests.items()}
    return place_brains(needs, requests, config.embedding_dim, config.unknown_domain)


def _unified_model(layout: Any, dag: Any, embedding: Any) -> Any:
    """A `SharedAGIModel` on this network."""
    from grapheme_numba.models.shared_agi_model import SharedAGIModel

    return SharedAGIModel(layout, dag=dag, embedding=embedding)


# One step an epoch wants many cheap epochs: a small graph, big batches, a high rate with warm-up and cosine.
# Found as the defaults of `agi`. What lost, as exact answers of math, text and timeseries in per cent, with a decay of
# 0.05 where not said:
#     rate 0.05: 92.6 88.2 55.3    <- kept; rate 0.02: 83.3 85.3 52.4; decay 0.02 84.3 79.4 53.1
#     rate 0.02, fan-in 128: 94.4 64.7 52.5; hidden 512,256: 88.9 70.6 52.0; rate 0.03, 800 epochs 92.6 88.2 55.5
#     rate 0.01, a step every 1,024 examples, 200 epochs: 81.5 88.2 53.1; every batch, 100 epochs: 93.5 94.1 53.9
# All of that after 400 epochs. Since then 800, for math 94.4 and timeseries 57.6 instead of 92.6 and 53.3 (medians of
# seeds 0 to 2).
UNIFIED_DEFAULTS = {
    "accumulate": "epoch",
    "structural_weight": "sqrt1p",
    "epochs": 800,
    "batch_size": 256,
    "optimizer": "adamw",
    "lr": 0.05,
    "hidden": (256, 128),
    "fan_in": 64,
    "val_freq": 40,
    "save_every": 100,
}

UNIFIED = Task(
    name="unified", defaults=UNIFIED_DEFAULTS, layout=_unified_layout, model=_unified_model, own_brains=True, decay=1.0
)

TASKS = {task.name: task for task in (AGI, UNIFIED)}
NAMES = tuple(TASKS)


def find_task(name: str) -> Task:
    """The `Task` called `name`. Raises CheckpointError: only a checkpoint can name one that is not known."""
    if name not in TASKS:
        raise CheckpointError(f"the checkpoint is of the trainer {name!r}, this program knows {' and '.join(TASKS)}")
    return TASKS[name]
