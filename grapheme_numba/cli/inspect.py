"""What `inspect` shows of a checkpoint (trainer, position, network, domains, configuration) or of a graph file."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from grapheme_numba import jit
from grapheme_numba.cli.output import aligned, answer, as_json, first_domains, visible, warn
from grapheme_numba.errors import few
from grapheme_numba.graph.formats.dispatch import SUFFIXES, load_graph
from grapheme_numba.models.naming import node_names
from grapheme_numba.report.anatomy import anatomy
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import restore_model
from grapheme_numba.training.build import network_on
from grapheme_numba.training.input_selection import MOST_NAMES, selected_inputs

if TYPE_CHECKING:
    from grapheme_numba.models.brain_model import BrainModel
    from grapheme_numba.runs.checkpoint import Checkpoint

MOST_OF_FACT, MOST_WIDTHS = 5, 12

Step: TypeAlias = tuple[int, str | None, bool]  # batch size, optimizer, whether to measure


def show(path: str, break_cycles: str | None, step: Step, threads: int | None, log_format: str, quiet: bool) -> None:
    """Print the facts of the checkpoint or graph at `path`, as text or as one JSON object.

    `step` holds the batch size, the optimizer (None: the run's, or adam) and whether to measure.
    """
    jit.set_threads(threads)
    is_graph = Path(path).suffix.lower() in SUFFIXES and not Path(path).is_dir()
    facts, title = (of_graph if is_graph else of_checkpoint)(path, break_cycles, step)
    if log_format == "json":
        answer(as_json({"path": path, **facts}))
        return
    answer(title)
    for group in ("position", "network"):
        if group in facts:
            answer("", group, *listed({key: formatted(key, value) for key, value in facts[group].items()}))
    if "domains" in facts:
        rows = [("domain", "input", "inputs", "outputs", "answer")]
        shown, others = first_domains(facts["domains"])
        rows += [tuple(one[key] for key in ("name", "input_type", *rows[0][2:])) for one in shown]
        answer("", *aligned(rows), *([others] if others else []))
        selected = [(one["name"], one["selected_inputs"]) for one in shown if "selected_inputs" in one]
        for name, kept in selected:
            answer(f"selected inputs of {visible(name)}: {len(kept):,}: {visible(few(kept, MOST_NAMES))}")
    if not quiet and "config" in facts:
        answer("", "configuration", *listed({key: str(value) for key, value in facts["config"].items()}))


def of_graph(path: str, break_cycles: str | None, step: Step) -> tuple[dict[str, Any], str]:
    """The facts of a graph file, and a title."""
    graph = load_graph(path, break_cycles=break_cycles or "error")
    batch_size, optimizer, measure = step
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be reached stands among the facts
        dag = network_on(graph, path)
    stated = [word for word in ("weights", "biases", "activations", "aggregations") if getattr(graph, word) is not None]
    network = anatomy(dag, graph.names, batch_size, optimizer or "adam", measure)
    return {"network": {"states": ", ".join(stated) or "edges only", **network}}, f"{path}: a usable graph"


def of_checkpoint(path: str, _: str | None, step: Step) -> tuple[dict[str, Any], str]:
    """The facts of a checkpoint, and a title."""
    checkpoint, folder, damaged = run_folder.find(path)
    for sentence in damaged:
        warn(f"warning: {sentence}")
    model = restore_model(checkpoint)
    return describe(checkpoint, model, step), f"{folder}: whole, every digest verified"


def describe(checkpoint: "Checkpoint", model: "BrainModel", step: Step) -> dict[str, Any]:
    """The facts of a checkpoint as plain values."""
    progress, (batch_size, optimizer, measure) = checkpoint.progress, step
    names, selected = node_names(model.layout, model.dag), selected_inputs(model.layout, checkpoint.config)
    network = {
        "hidden nodes shared by all domains": model.sharing().n_shared,
        "embedding": f"{model.layout.vocab_size} x {model.layout.embedding_dim}",
        "parameters": int(model.parameters.size),
        "dtype": model.dtype.name,
        "edges replaced by drop-and-grow": progress.n_moved,
    }
    network = {**anatomy(model.dag, names, batch_size, optimizer or checkpoint.config.optimizer, measure), **network}
    return {
        "task": checkpoint.task,
        "position": {
            "task": checkpoint.task,
            "epochs": progress.epoch,
            "batches of the next epoch": progress.batch,
            "steps": progress.step,
            "examples": progress.n_example,
            "best loss": progress.best_loss,
            "best epoch": progress.best_epoch,
            "seconds": round(progress.elapsed, 1),
        },
        "network": network,
        "domains": [
            {
                "name": domain.name,
                "input_type": domain.input_type,
                "inputs": f"{domain.input_start}..{domain.input_start + domain.n_input - 1}",
                "outputs": f"{domain.output_start}..{domain.output_start + domain.n_output - 1}",
                "answer": type(domain.answer).__name__.removesuffix("Answer").lower(),
                **({"selected_inputs": selected[domain.name]} if domain.name in selected else {}),
            }
            for domain in model.layout.domains
        ],
        "config": msgspec.to_builtins(checkpoint.config),
    }


def listed(facts: dict[str, str]) -> list[str]:
    """A fact a line, the values one below the other; those that are empty are left out."""
    width = max(len(visible(key)) for key in facts)
    return [f"  {visible(key).ljust(width)}  {value}" for key, value in facts.items() if value]


def formatted(key: str, value: Any) -> str:
    """A fact as a person reads it; nothing for a list without entries."""
    if key == "seconds of a step":
        return f"{value:.3g}"
    if key == "bytes while training":
        parts = ", ".join(f"{name} {in_bytes(n)}" for name, n in value.items() if name != "all")
        return f"{in_bytes(value['all'])} ({parts})"
    if key == "widths of the levels":
        shown = value if len(value) <= MOST_WIDTHS else [*value[: MOST_WIDTHS - 1], "...", value[-1]]
        return " ".join(map(str, shown))
    if isinstance(value, dict) and "median" in value:
        return f"{value['least']} to {value['most']}, median {value['median']:g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {n:,}" for name, n in value.items())
    if isinstance(value, list):
        more = f" and {len(value) - MOST_OF_FACT:,} more" if len(value) > MOST_OF_FACT else ""
        return f"{len(value):,}: {', '.join(map(str, value[:MOST_OF_FACT]))}{more}" if value else ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def in_bytes(n: float) -> str:
    """A number of bytes with the unit that suits it."""
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.2f} GiB"
