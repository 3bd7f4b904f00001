"""What `export` writes of a checkpoint: its graph with names, weights, biases and activations."""

import io
from pathlib import Path

import click
import numpy as np

from grapheme_numba.cli.using import load
from grapheme_numba.errors import MissingInputError
from grapheme_numba.graph.formats.dispatch import save_graph
from grapheme_numba.graph.formats.files import write_whole
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.models.naming import node_names
from grapheme_numba.sparsity.prune import without_dead_nodes
from grapheme_numba.training import snapshot


def export(path: str, target: str, drop_dead: bool, quiet: bool) -> None:
    """Write the network of the checkpoint at `path` in the format of the suffix of `target`."""
    checkpoint, folder = load(path, None)
    model, target = snapshot.restore_model(checkpoint), Path(target)
    dag = model.dag
    dag.names = node_names(model.layout, dag)
    n_node, n_edge = dag.n_node, dag.n_edge
    if drop_dead:
        dag = without_dead_nodes(dag)
    graph = NamedGraph.of(dag)
    if target.suffix.lower() == ".onnx":
        try:
            graph.to_onnx(target)
        except ModuleNotFoundError:
            raise MissingInputError("ONNX files need the package onnx; install it with: pip install onnx") from None
    else:
        save_graph(graph, target)
    lines = [
        f"{target}: {graph.n_node:,} nodes and {graph.n_edge:,} edges of {folder}, "
        f"after {checkpoint.progress.step:,} steps"
    ]
    if drop_dead:
        gone = n_node - graph.n_node, n_edge - graph.n_edge
        lines.append(f"left out, because no output depends on them: {gone[0]:,} nodes and {gone[1]:,} edges")
    if any(domain.input_type == "text" for domain in model.layout.domains):
        beside = target.with_name(f"{target.stem}.embedding.npy")
        table = io.BytesIO()
        np.save(table, model.embedding.weights)
        write_whole(beside, table.getvalue())
        rows, dim = model.embedding.weights.shape
        lines.append(f"{beside}: the {rows} x {dim} embedding; a text's byte b enters as row b + 1, padding as zeros")
    if not quiet:
        for line in lines:
            click.echo(line)
