"""From a layout and a config to a fresh model. Both trainers build theirs here; their layouts differ."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.errors import GraphError, ShapeError, UsageError
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.graph.formats.dispatch import load_graph
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.models.hidden_graph import graft, layered_network, layout_slices
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.network.initializers import INITS
from grapheme_numba.training.config import Config, hidden_widths


def build_model(
    layout: Layout, config: Config, model_class: Callable[[Layout, DagNN, Embedding], BrainModel]
) -> BrainModel:
    """A seeded model: a hidden graph between the inputs and outputs of `layout`, and an embedding.

    Raises
    ------
    UsageError
        A topology, activation or init that is not known, or sizes that make no graph.
    GraphError
        A graph file that holds no usable graph.
    """
    for key, known in (("topology", TOPOLOGIES), ("activation", ACTIVATIONS), ("init", INITS)):
        if getattr(config, key) not in known:
            raise UsageError(f"unknown {key} {getattr(config, key)!r}; choose one of {', '.join(known)}")
    grafted = None
    if config.graph is None:
        dag = TOPOLOGIES[config.topology](layout, config)
    else:
        dag, grafted = from_file(layout, config)
    embedding = Embedding(layout.vocab_size, layout.embedding_dim, seed=config.seed)
    model = model_class(layout, dag, embedding)
    model.grafted = grafted
    return model


def layered(layout: Layout, config: Config) -> DagNN:
    """Sparse layers that give every brain's inputs the same share of the first one."""
    widths, choice = hidden_widths(config), chosen(config)
    return layered_network(layout_slices(layout), widths, config.fan_in, config.skip, **choice, dtype=config.dtype)


def chosen(config: Config) -> dict[str, Any]:
    """What every constructor of a graph is told by the config."""
    return {"activation": config.activation, "init": config.init, "seed": config.seed}


def options(layout: Layout, config: Config) -> dict[str, Any]:
    """What the constructors without layers have in common."""
    n_hidden = sum(hidden_widths(config))
    hidden = [config.activation] * n_hidden
    activation = ["linear"] * layout.n_input + hidden + ["linear"] * layout.n_output
    ports = {"n_in": layout.n_input, "n_out": layout.n_output}
    return {**ports, **chosen(config), "activation": activation, "dtype": config.dtype}


def random(layout: Layout, config: Config) -> DagNN:
    """As many edges as a layered graph would have, between any earlier and any later node."""
    n_hidden = sum(hidden_widths(config))
    n_edge = config.fan_in * (n_hidden + layout.n_output)
    return DagNN.random(layout.n_input + n_hidden + layout.n_output, n_edge, **options(layout, config))


def scale_free(layout: Layout, config: Config) -> DagNN:
    """Hubs: well-connected nodes are chosen as senders more often."""
    n_node = layout.n_input + sum(hidden_widths(config)) + layout.n_output
    return DagNN.scale_free(n_node, config.fan_in, **options(layout, config))


def from_file(layout: Layout, config: Config) -> tuple[DagNN, bool]:
    """The user's graph as the whole network where its ports are as many as the layout's, else as the hidden part.

    Returns the network, and whether the graph is only its hidden part.
    """
    graph = load_graph(config.graph, break_cycles=config.break_cycles)
    grafted = (len(graph.inputs), len(graph.outputs)) != (layout.n_input, layout.n_output)
    choice = chosen(config)
    if grafted:
        graph = graft(layout, graph, config.fan_in, **choice)
    hidden = [config.activation] * graph.n_node
    for node in (*graph.inputs, *graph.outputs):
        hidden[node] = "linear"
    return network_on(graph, config.graph, **{**choice, "activation": hidden, "dtype": config.dtype}), grafted


def network_on(graph: NamedGraph, path: str | Path | None, **options: Any) -> DagNN:
    """A network on a graph that a file holds. Raises GraphError, which names the file, where float32 cannot hold it."""
    try:
        return DagNN.from_graph(graph, **options)
    except ShapeError as error:
        raise GraphError(f"{path}: {error}") from None


TOPOLOGIES = {"layered": layered, "random": random, "scale_free": scale_free}
