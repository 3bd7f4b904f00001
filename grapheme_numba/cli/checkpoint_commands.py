"""What `evaluate` does with a checkpoint.

What `export` writes of a checkpoint: its graph with names, weights, biases and activations.

`grapheme-train plot`: runs beside one another, as a page or as a figure.
"""

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from grapheme_numba import jit
from grapheme_numba.cli.output import answer, as_json, score_table, show, warn
from grapheme_numba.errors import MissingInputError, OutputError, UsageError
from grapheme_numba.files import storage
from grapheme_numba.files.storage import refuse_overwriting
from grapheme_numba.graph.formats.dispatch import save_graph, written_files
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.models.naming import node_names
from grapheme_numba.report.figures import FORMATS, draw
from grapheme_numba.report.pages import comparison_page, run_page
from grapheme_numba.report.reporter import stored_facts
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import Checkpoint, restore_model
from grapheme_numba.runs.evaluate import evaluate_checkpoint
from grapheme_numba.runs.run_folder import find_metrics, read_runs
from grapheme_numba.sparsity.prune import without_dead_nodes


def load(path: str, threads: int | None) -> tuple[Checkpoint, Path]:
    """The checkpoint at `path` and its folder; damaged ones that were passed over are named on stderr."""
    jit.set_threads(threads)
    checkpoint, folder, damaged = run_folder.find(path)
    for sentence in damaged:
        warn(f"warning: {sentence}")
    return checkpoint, folder


def show_scores(
    path: str, data: str | None, choice: Mapping[str, Any], batch_size: int, threads: int | None, cache: bool,
    log_format: str, quiet: bool,
) -> None:  # fmt: skip
    """Evaluate and print: an aligned table, or one JSON object per domain and one for all.

    `choice` holds route and unknown_domain where they are given; the checkpoint's own count where not.
    """
    checkpoint, folder = load(path, threads)
    in_json = log_format == "json"

    def note(text: str) -> None:
        if not quiet:
            (warn if in_json else show)(text)

    model = restore_model(checkpoint)
    done = evaluate_checkpoint(
        checkpoint, model, data, choice=choice, batch_size=batch_size, cache=cache, note=note, progress=note
    )
    plain = done.figures
    if in_json:
        answer(*map(as_json, plain))
        return
    note(f"{folder} (after {checkpoint.progress.epoch} epochs) on {done.file}")
    answer(*score_table(plain))


def export(path: str, output: str, drop_dead: bool, quiet: bool) -> None:
    """Write the network of the checkpoint at `path` in the format of the suffix of `output`."""
    checkpoint, folder = load(path, None)
    model, target = restore_model(checkpoint), Path(output)
    dag = model.dag
    beside = target.with_name(f"{target.stem}.embedding.npy")
    refuse_overwriting([*written_files(target), beside], run_folder.files_of(Path(path)))
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
        table = io.BytesIO()
        np.save(table, model.embedding.weights)
        storage.write_file(beside, table.getvalue())
        rows, dim = model.embedding.weights.shape
        lines.append(f"{beside}: the {rows} x {dim} embedding; a text's byte b enters as row b + 1, padding as zeros")
    if not quiet:
        show(*lines)


PAGES = ("html", "htm")


def plot(paths: tuple[str, ...], output: str) -> None:
    """Compare the runs at `paths` in the file `output`, whose ending says what it becomes; a page of one is its report.

    Raises UsageError for another ending, MissingInputError and RecordError for runs that are not there or
    not whole, OutputError where the file cannot be written.
    """
    target = Path(output)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in (*PAGES, *FORMATS):
        raise UsageError(
            f"--output {output}: the name should end in .html, .{', .'.join(FORMATS)}; that says what to make"
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"there is no folder {target.parent} to write {target.name} to; make it, or choose another --output"
        )
    runs = read_runs(list(paths))
    for run in runs:
        for note in run.notes:
            warn(f"warning: {note}")
    refuse_overwriting([target], [*paths, *(file for run in paths for file in run_folder.files_of(Path(run)))])
    if kind in PAGES:
        facts = stored_facts(find_metrics(Path(paths[0])).parent) if len(runs) == 1 else None
        written = time.strftime("Written %Y-%m-%d %H:%M:%S %Z.")
        page = run_page(facts, runs[0].rows) if facts else comparison_page(runs, written)
        data = page.encode("utf-8", "backslashreplace")
    else:
        data = draw(runs, kind)
    storage.write_file(target, data)
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    show(f"{output}: {count}, {sum(len(run.of_kind('epoch')) for run in runs):,} epochs")
