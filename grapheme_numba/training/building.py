"""From a layout and a config to a fresh model. Both trainers build theirs here; their layouts differ."""

from grapheme_numba.brains.model import BrainModel
from grapheme_numba.brains.topology import layered_topology, layout_slices
from grapheme_numba.embedding import Embedding
from grapheme_numba.errors import UsageError
from grapheme_numba.network import DagNN
from grapheme_numba.training.config import Config, hidden_widths

TOPOLOGIES = ("layered",)


def build_model(layout, config: Config) -> BrainModel:
    """A seeded model: hidden layers between the slices of `layout`, and an embedding.

    Raises UsageError for a topology that is not known, and for widths that make no graph.
    """
    if config.topology not in TOPOLOGIES:
        raise UsageError(f"unknown topology {config.topology!r}; choose one of {', '.join(TOPOLOGIES)}")
    graph = layered_topology(layout_slices(layout), hidden_widths(config), config.fan_in, config.skip, config.seed)
    dag = DagNN.from_edges(
        graph.senders,
        graph.receivers,
        inputs=graph.inputs,
        outputs=graph.outputs,
        n_node=graph.n_node,
        activation=graph.activations(config.activation),
        init=config.init,
        seed=config.seed,
    )
    embedding = Embedding(layout.vocab_size, layout.embedding_dim, seed=config.seed)
    return BrainModel(layout, dag, embedding)
