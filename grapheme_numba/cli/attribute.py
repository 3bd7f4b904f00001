"""What `attribute` does with a checkpoint: which character, pixel, node and edge the answers come from."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
import numpy as np
import numpy.typing as npt

from grapheme_numba.cli.checkpoint_commands import load
from grapheme_numba.cli.output import Display, answer, as_json, figure, is_terminal, show, visible, warn
from grapheme_numba.data.parquet.sinks import RowTable, repeated
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError, UsageError
from grapheme_numba.files.storage import mode_of, refuse_overwriting
from grapheme_numba.graph.formats.files import write_columns
from grapheme_numba.graph.named import NamedGraph
from grapheme_numba.models.attribution import Elements, Explainer
from grapheme_numba.models.naming import node_names, port_names
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import restore_model
from grapheme_numba.runs.evaluate import test_file
from grapheme_numba.runs.session import left_out, select_examples
from grapheme_numba.training.tasks import find_task

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

    from grapheme_numba.data.codec.layout import DomainLayout, Layout
    from grapheme_numba.data.stream.batches import Batch
    from grapheme_numba.models.brain_model import BrainModel
    from grapheme_numba.network.dagnn import DagNN

COLUMNS = {"example": "text", "domain": "text", "expected": "text", "answer": "text", "position": "int"}
COLUMNS |= {"element": "text", "attribution": "float"}
MOST_SHOWN = 5


def attribute(
    path: str, data: str | None, output: str, limit: int | None, batch_size: int, threads: int | None, cache: bool,
    log_format: str, quiet: bool,
) -> None:  # fmt: skip
    """Explain every example of `data` and write four tables: elements, inputs, nodes and edges."""
    target = Path(output)
    if target.suffix != ".parquet":
        raise UsageError(f"--output {target} is no Parquet file; give a name that ends in .parquet")
    checkpoint, _ = load(path, threads)

    def note(text: str) -> None:
        if not quiet:
            (warn if log_format == "json" else show)(text)

    file = test_file(data, checkpoint.config.data)
    dataset = open_dataset(file, cache=cache, progress=note)
    written = [target, *(beside(target, what) for what in ("inputs", "nodes", "edges"))]
    refuse_overwriting(written, [file, *dataset.files, *run_folder.files_of(Path(path))])
    model = restore_model(checkpoint)
    dataset = select_examples(find_task(checkpoint.task), dataset, checkpoint.config, model.layout)
    if sentence := left_out(dataset):
        note(sentence)
    explainer = Explainer(model)
    n_wanted = min(limit or dataset.n_rows, dataset.n_rows)
    mode = mode_of([file] if Path(file).is_file() else dataset.files)
    with RowTable(target, COLUMNS, mode) as table, progress_bar(n_wanted, quiet or log_format == "json") as bar:
        for batch in dataset.batches(model.layout, batch_size):
            batch = (
                batch
                if explainer.saliency.n_example + len(batch.domain) <= n_wanted
                else first_of(batch, n_wanted - explainer.saliency.n_example)
            )
            texts = [one.text or "" for one in dataset.records(batch.rows.tolist())]
            for number, explained in explainer.explain(batch, texts).items():
                table.write(rows_of(model.layout.names[number], batch, explained))
            bar.update(len(batch.domain))
            if explainer.saliency.n_example >= n_wanted:
                break
    if not explainer.saliency.n_example:
        raise RecordError(f"{file} holds no example that this model takes, so there is nothing to explain")
    write_sums(target, model, explainer)
    if log_format == "json":
        for line in summary(model, explainer):
            answer(as_json(line))
    else:
        show_summary(target, model, explainer, table.n_row, quiet)


def progress_bar(length: int, hidden: bool) -> "ProgressBar[int]":
    """A bar on stderr; nothing where that is no terminal."""
    file = cast(TextIO, Display(sys.stderr))
    return click.progressbar(length=length, label="explaining", file=file, hidden=hidden or not is_terminal(sys.stderr))


def first_of(batch: "Batch", n: int) -> "Batch":
    """The first `n` examples of a batch."""
    return type(batch)(
        batch.domain[:n], batch.tokens[:n], batch.values[:n], batch.targets[:n], batch.n_active[:n],
        batch.answer_length[:n], batch.rows[:n], [batch.ids[i] for i in range(n)],
        [batch.answers[i] for i in range(n)],
    )  # fmt: skip


def rows_of(domain: str, batch: "Batch", explained: Elements) -> dict[str, Any]:
    """The rows of the elements of one domain in one batch."""
    example = [batch.ids[int(row)] for row in explained.rows]
    expected = [batch.answers[int(row)] for row in explained.rows]
    texts = {"example": example, "domain": [domain] * len(example), "expected": expected, "answer": explained.answers}
    return {
        **{name: repeated(values, explained.counts) for name, values in texts.items()},
        "position": explained.positions,
        "element": explained.elements,
        "attribution": explained.attributions.astype(np.float32),
    }


def beside(target: Path, what: str) -> Path:
    """The path of a table that belongs to `target`."""
    return target.with_name(f"{target.stem}.{what}.parquet")


def write_sums(target: Path, model: "BrainModel", explainer: Explainer) -> None:
    """Write the means over all examples: of inputs by domain, of nodes, of edges, all by name."""
    layout, dag = model.layout, model.dag
    graph = NamedGraph.of(dag, node_names(layout, dag))
    columns: dict[str, list[Any]] = {"domain": [], "input": [], "name": [], "saliency": []}
    for number, name in enumerate(layout.names):
        domain = layout.domains[number]
        own = range(domain.input_start, domain.input_start + domain.n_input)
        columns["domain"] += [name] * len(own)
        columns["input"] += list(own)
        columns["name"] += [graph.names[graph.inputs[i]] for i in own]
        columns["saliency"] += (explainer.inputs[number, own] / max(1, explainer.by_domain[number])).tolist()
    write_columns(beside(target, "inputs"), columns)
    nodes, edges = explainer.saliency.means()
    write_columns(beside(target, "nodes"), {"name": list(graph.names), "saliency": nodes})
    names = np.array(graph.names, object)
    ends = {"sender": names[graph.senders].tolist(), "receiver": names[graph.receivers].tolist()}
    write_columns(beside(target, "edges"), {**ends, "weight": np.asarray(dag.weights, np.float64), "saliency": edges})


def summary(model: "BrainModel", explainer: Explainer) -> list[dict[str, Any]]:
    """Per domain how many examples there were and which inputs contribute most, then the hidden nodes that do."""
    layout, dag = model.layout, model.dag
    lines: list[dict[str, Any]] = []
    for number, name in enumerate(layout.names):
        if n := int(explainer.by_domain[number]):
            inputs = largest_inputs(layout, layout.domains[number], explainer.inputs[number] / n)
            lines.append({"kind": "domain", "domain": name, "n": n, "inputs": inputs})
    nodes, _ = explainer.saliency.means()
    names, inner = node_names(layout, dag), ~ports(dag)
    best = [node for node in np.argsort(-nodes, kind="stable").tolist() if inner[node]][:MOST_SHOWN]
    lines.append({"kind": "nodes", "nodes": {names[node]: float(nodes[node]) for node in best}})
    return lines


def largest_inputs(layout: "Layout", domain: "DomainLayout", means: npt.NDArray[np.float64]) -> dict[str, float]:
    """The inputs of a domain with the largest means, by name; the numbers of one byte of a text together."""
    names = port_names(layout)[0][domain.input_start : domain.input_start + domain.n_input]
    own = means[domain.input_start : domain.input_start + domain.n_input]
    if domain.input_type == "text":
        own = own.reshape(-1, layout.embedding_dim).sum(axis=1)
        names = [name.rpartition(" dim ")[0] for name in names[:: layout.embedding_dim]]
    best = np.argsort(-own, kind="stable")[:MOST_SHOWN]
    return {names[i]: float(own[i]) for i in best.tolist() if own[i] > 0}


def ports(dag: "DagNN") -> npt.NDArray[np.bool_]:
    """(n_node,) bool by the caller's ids: inputs and outputs."""
    arrays, result = dag.topology(), np.zeros(dag.n_node, bool)
    result[arrays["inputs"]] = result[arrays["outputs"]] = True
    return result


def show_summary(target: Path, model: "BrainModel", explainer: Explainer, n_row: int, quiet: bool) -> None:
    """Print what contributes most and where everything stands."""
    if quiet:
        return
    *domains, nodes = summary(model, explainer)
    show("largest contributions, as the mean of |gradient x input|:")
    width = max(len(visible(one["domain"])) for one in domains)
    for one in domains:
        inputs = ", ".join(f"{name} {figure(value)}" for name, value in list(one["inputs"].items())[:3])
        show(f"  {visible(one['domain']).ljust(width)}  {inputs}  ({one['n']:,} examples)")
    show("hidden nodes that contribute most: " + ", ".join(f"{n} {figure(v)}" for n, v in nodes["nodes"].items()))
    show(f"{target}: {n_row:,} elements of {explainer.saliency.n_example:,} examples, each with its attribution")
    others = ", ".join(str(beside(target, what)) for what in ("inputs", "nodes", "edges"))
    show(f"means over the examples, by name: {others}")
