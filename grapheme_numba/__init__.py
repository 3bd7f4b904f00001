"""Train neural networks on any directed acyclic graph, on CPUs.

The public names, and nothing else. They are looked up on first use (PEP 562), so that importing the
package costs milliseconds and Numba is loaded only by those who use it.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from grapheme_numba import optim as optim
    from grapheme_numba import torch as torch
    from grapheme_numba.api.data import convert as convert
    from grapheme_numba.api.loading import load as load
    from grapheme_numba.api.training import train as train
    from grapheme_numba.data.stream.open_dataset import open_dataset as open_dataset
    from grapheme_numba.errors import CheckpointError as CheckpointError
    from grapheme_numba.errors import CycleError as CycleError
    from grapheme_numba.errors import GraphemeError as GraphemeError
    from grapheme_numba.errors import GraphError as GraphError
    from grapheme_numba.errors import MissingInputError as MissingInputError
    from grapheme_numba.errors import NonFiniteError as NonFiniteError
    from grapheme_numba.errors import OutputError as OutputError
    from grapheme_numba.errors import RecordError as RecordError
    from grapheme_numba.errors import ShapeError as ShapeError
    from grapheme_numba.errors import StoppedEarly as StoppedEarly
    from grapheme_numba.errors import UsageError as UsageError
    from grapheme_numba.graph.formats.dispatch import load_graph as load_graph
    from grapheme_numba.graph.formats.dispatch import save_graph as save_graph
    from grapheme_numba.graph.named import NamedGraph as NamedGraph
    from grapheme_numba.graph.topologies import rewire as rewire
    from grapheme_numba.models.shared_agi_model import SharedAGIModel as SharedAGIModel
    from grapheme_numba.models.slices import BrainSlice as BrainSlice
    from grapheme_numba.models.slices import allocate_brain_slices as allocate_brain_slices
    from grapheme_numba.models.structural import structural_loss as structural_loss
    from grapheme_numba.network.attribution import attribute as attribute
    from grapheme_numba.network.dagnn import DagNN as DagNN
    from grapheme_numba.network.embedding import Embedding as Embedding
    from grapheme_numba.network.losses import binary_cross_entropy as binary_cross_entropy
    from grapheme_numba.network.losses import cross_entropy as cross_entropy
    from grapheme_numba.network.losses import huber as huber
    from grapheme_numba.network.losses import mse as mse
    from grapheme_numba.sparsity.evolve import evolve as evolve
    from grapheme_numba.sparsity.prune import prune as prune
    from grapheme_numba.training.fit import fit as fit

_MODULE_OF = {
    "BrainSlice": "models.slices",
    "CheckpointError": "errors",
    "CycleError": "errors",
    "DagNN": "network.dagnn",
    "Embedding": "network.embedding",
    "GraphError": "errors",
    "GraphemeError": "errors",
    "MissingInputError": "errors",
    "NamedGraph": "graph.named",
    "NonFiniteError": "errors",
    "OutputError": "errors",
    "RecordError": "errors",
    "ShapeError": "errors",
    "SharedAGIModel": "models.shared_agi_model",
    "StoppedEarly": "errors",
    "UsageError": "errors",
    "allocate_brain_slices": "models.slices",
    "attribute": "network.attribution",
    "binary_cross_entropy": "network.losses",
    "convert": "api.data",
    "cross_entropy": "network.losses",
    "evolve": "sparsity.evolve",
    "fit": "training.fit",
    "huber": "network.losses",
    "load": "api.loading",
    "load_graph": "graph.formats.dispatch",
    "mse": "network.losses",
    "open_dataset": "data.stream.open_dataset",
    "optim": "grapheme_numba",
    "prune": "sparsity.prune",
    "rewire": "graph.topologies",
    "save_graph": "graph.formats.dispatch",
    "structural_loss": "models.structural",
    "torch": "grapheme_numba",
    "train": "api.training",
}

__all__ = sorted([*_MODULE_OF, "__version__"])


if not TYPE_CHECKING:  # with it, a checker would take any name for a public one

    def __getattr__(name: str) -> Any:
        """Import the module of a public name when the name is first asked for."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'grapheme_numba' has no attribute {name!r}; it has {', '.join(__all__)}")
        if _MODULE_OF[name] == "grapheme_numba":  # the name is a module itself
            return importlib.import_module(f"grapheme_numba.{name}")
        value = getattr(importlib.import_module(f"grapheme_numba.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
