"""What `inspect` shows of a checkpoint: trainer, position, network, domains, configuration."""

import json

import click
import msgspec

from grapheme_numba.cli.tables import aligned
from grapheme_numba.training import run_folder, snapshot


def show_checkpoint(path: str, log_format: str, quiet: bool) -> None:
    """Print the facts of the checkpoint at `path`, as text or as one JSON object."""
    checkpoint, folder, damaged = run_folder.find(path)
    for sentence in damaged:
        click.echo(f"warning: {sentence}", err=True)
    model = snapshot.restore_model(checkpoint)
    facts = describe(checkpoint, model)
    if log_format == "json":
        click.echo(json.dumps({"path": str(folder), **facts}))
        return
    click.echo(f"{folder}: whole, every digest verified")
    for group in ("position", "network"):
        click.echo(f"\n{group}\n" + aligned([(f"  {key}", str(value)) for key, value in facts[group].items()]))
    rows = [("domain", "input", "inputs", "outputs", "answer")]
    rows += [(one["name"], one["input_type"], one["inputs"], one["outputs"], one["answer"]) for one in facts["domains"]]
    click.echo("\n" + aligned(rows))
    if not quiet:
        click.echo("\nconfiguration\n" + aligned([(f"  {k}", str(v)) for k, v in facts["config"].items()]))


def describe(checkpoint, model) -> dict:
    """The facts of a checkpoint as plain values."""
    dag, progress = model.dag, checkpoint.progress
    network = {
        "nodes": dag.n_node,
        "edges": dag.n_edge,
        "levels": dag.n_level,
        "hidden nodes shared by all domains": model.sharing().n_shared,
        "inputs": dag.n_input,
        "outputs": dag.n_output,
        "embedding": f"{model.layout.vocab_size} x {model.layout.embedding_dim}",
        "parameters": int(model.parameters.size),
        "dtype": model.dtype.name,
    }
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
            }
            for domain in model.layout.domains
        ],
        "config": msgspec.to_builtins(checkpoint.config),
    }
