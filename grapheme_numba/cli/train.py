"""`grapheme-train`: train, evaluate, predict, inspect. Bodies parse and call; what they call is imported late."""

from typing import Any

import click

from grapheme_numba.cli import options
from grapheme_numba.cli.option_types import FileName, OutputName, RunName
from grapheme_numba.cli.options import option
from grapheme_numba.cli.program import SETTINGS, Program, exit_codes, version_option
from grapheme_numba.signals import StopRequest
from grapheme_numba.training.tasks import NAMES

A_RUN, A_FILE = RunName(), FileName()
ANSWERS_FILE = "Answers, as .csv, .tsv, .parquet or .jsonl."


@click.group(cls=Program, context_settings=SETTINGS)
@version_option
def main() -> None:
    """Train neural networks on any directed acyclic graph, and use what they learned.

    \b
    grapheme-train agi                         train on the data shipped with the clone
    grapheme-train evaluate runs/RUN           how good it is, beside the best constant answer
    grapheme-train predict runs/RUN --input -  answers for a table or for JSONL questions
    """


main.for_all = NAMES


def task_command(name: str, defaults: dict[str, Any], text: str, *own_options: options.Decorator) -> click.Command:
    """The command of one trainer: every option of a run with the trainer's own defaults, and its own options."""

    @main.command(name, help=text)
    @options.config_options(defaults)
    @options.together(*own_options)
    @options.run_options
    @options.output_options
    def command(**values: Any) -> None:
        from grapheme_numba.cli.ranks import joined_ranks
        from grapheme_numba.cli.train_command import train

        with joined_ranks(values["debug"]) as comm:
            train(name, values, comm)

    return command


agi = task_command(
    "agi",
    options.task_defaults("agi"),
    """Train one network on mixed examples.

    Without options it learns from the data shipped with the clone:  grapheme-train agi
    """,
)

unified = task_command(
    "unified",
    options.task_defaults("unified"),
    """Train one shared network in which every brain owns inputs and outputs of its own.

    Without options it learns from the data shipped with the clone:  grapheme-train unified
    """,
    options.compare_single_option,
    options.seeds_option,
)


@main.command()
@click.argument("checkpoint", metavar="RUN", type=A_RUN)
@options.evaluated_data_option
@options.route_option
@options.unknown_domain_option
@options.batch_size_option
@options.threads_option
@options.cache_option
@options.output_options
def evaluate(
    checkpoint: str, data: str | None, route: str | None, unknown_domain: str | None, batch_size: int,
    threads: int | None, no_cache: bool, log_format: str, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """How good a checkpoint's answers are, domain by domain, beside the best constant answer's.

    RUN is a run's folder (then its best checkpoint is taken) or a checkpoint's folder.

    Example:  grapheme-train evaluate runs/RUN --data data/mixed_agi/test.jsonl
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.checkpoint_commands import show_scores

        choice = {"route": route, "unknown_domain": unknown_domain}
        show_scores(checkpoint, data, choice, batch_size, threads, not no_cache, log_format, quiet)


@main.command()
@click.argument("checkpoint", metavar="RUN", type=A_RUN)
@option("--input", "source", default="-", show_default=True, type=A_FILE, metavar="FILE|-", help="Table or records.")
@option("--output", "target", default="-", show_default=True, type=A_FILE, metavar="FILE|-", help=ANSWERS_FILE)
@option("--rejects", type=A_FILE, metavar="FILE", help="Rows or lines that cannot be answered, with the reason.")
@option("--route", is_flag=True, help="Choose the brain by the input, not by the domain field.")
@option("--threshold", type=click.FloatRange(0, 1), default=None, help="Least confidence of the router.")
@option("--node", "nodes", multiple=True, metavar="NAME", help="Add this node's activation to each answer; repeatable.")
@options.batch_size_option
@options.threads_option
@options.debug_option
def predict(
    checkpoint: str, source: str, target: str, rejects: str | None, route: bool, threshold: float | None,
    nodes: tuple[str, ...], batch_size: int, threads: int | None, debug: bool,
) -> None:  # fmt: skip
    """Answer the rows of a table, or JSONL questions, in order.

    Rows of a table (CSV, TSV, Parquet, Arrow, JSON; no target needed) come back with all their columns and
    with answer and confidence, as the suffix of FILE says: .csv, .tsv, .parquet or .jsonl. Without FILE a table of
    text gives CSV, all else JSONL. How the table is read was saved when the run was trained.

    A question in JSONL gives one line with id, domain, answer and confidence; without a domain it goes to the brain
    that fits its input. What cannot be answered makes the command end with code 65 after all else is answered; a
    row of a table then stays in its place, without an answer.

    Example:  grapheme-train predict runs/RUN --input new.csv --output answered.csv
    Example:  grapheme-train predict runs/RUN --input questions.jsonl
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.answers import answer_questions

        choice = {"route_all": route, "threshold": threshold, "batch_size": batch_size, "nodes": nodes}
        answer_questions(checkpoint, source, target, rejects, choice, threads)


@main.command()
@click.argument("checkpoint", metavar="RUN", type=A_RUN)
@options.evaluated_data_option
@option(
    "--output",
    "target",
    default="attribution.parquet",
    show_default=True,
    type=OutputName(),
    metavar="FILE.parquet",
    help="Where to write.",
)
@option("--limit", type=click.IntRange(min=1), default=None, help="At most so many examples.")
@options.batch_size_option
@options.threads_option
@options.cache_option
@options.output_options
def attribute(
    checkpoint: str, data: str | None, target: str, limit: int | None, batch_size: int, threads: int | None,
    no_cache: bool, log_format: str, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Which character, pixel or value each answer comes from: gradient times input, by name.

    FILE.parquet gets a row for every character, value and pixel of every example. Beside it FILE.inputs.parquet,
    FILE.nodes.parquet and FILE.edges.parquet hold means over all examples. Explained is the answer given: the
    output of its label, the size of its number, how clear the bits of its text are.

    Example:  grapheme-train attribute runs/RUN --data questions.jsonl --output why.parquet
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.attribute import attribute as explain

        explain(checkpoint, data, target, limit, batch_size, threads, not no_cache, log_format, quiet)


@main.command()
@click.argument("checkpoint", metavar="RUN", type=A_RUN)
@option(
    "--to",
    "target",
    required=True,
    type=OutputName(),
    metavar="FILE",
    help="File to write; its suffix says the format.",
)
@option("--drop-dead", is_flag=True, help="Leave out nodes that no output depends on.")
@options.quiet_option
@options.debug_option
def export(checkpoint: str, target: str, drop_dead: bool, quiet: bool, debug: bool) -> None:
    """Write a checkpoint's network for other programs, with the names of its nodes.

    FILE ends in .graphml, .csv, .tsv, .parquet (edges, and nodes beside them), .npz (SciPy), .json (neat-python) or
    .onnx. Where the data holds text its embedding stands beside it.

    Example:  grapheme-train export runs/RUN --to network.graphml
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.checkpoint_commands import export as write

        write(checkpoint, target, drop_dead, quiet)


@main.command()
@click.argument("path", metavar="RUN|GRAPH", type=RunName(files=True))
@options.break_cycles_option
@option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Examples of a step.")
@options.optimizer_option
@option("--measure", is_flag=True, help="Time a step on this machine instead of predicting it.")
@options.threads_option
@options.output_options
def inspect(
    path: str, break_cycles: str | None, batch_size: int, optimizer: str | None, measure: bool, threads: int | None,
    log_format: str, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """What a checkpoint or a graph file holds: sizes, levels, degrees, memory, time of a step, dead nodes.

    Of a checkpoint also: trainer, position, domains, configuration.

    Example:  grapheme-train inspect runs/RUN
    Example:  grapheme-train inspect pathways.gmt --measure
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.inspect import show

        show(path, break_cycles, (batch_size, optimizer, measure), threads, log_format, quiet)


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=A_RUN)
@option(
    "--output",
    type=OutputName(),
    default="compare.html",
    show_default=True,
    metavar="FILE",
    help="A .html page, or a .png, .svg or .pdf.",
)
@options.debug_option
def plot(runs: tuple[str, ...], output: str, debug: bool) -> None:
    """Compare runs: their curves over one another, their best figures, and what was set differently.

    RUN is a run's folder; it may still be training. The page of a single run is its report, written again. A page needs
    no network; the other formats need Matplotlib, as in the extra plot.

    Example:  grapheme-train plot runs/A runs/B --output compare.html
    """
    with exit_codes(debug):
        from grapheme_numba.cli.checkpoint_commands import plot as plot_runs

        plot_runs(runs, output)


@main.command()
@options.log_format_option
@options.debug_option
def doctor(log_format: str, debug: bool) -> None:
    """What decides results on this machine, and a two-second test that the engine is right here.

    Versions, threads, threading layer, vector width, kernel cache; then a gradient check and the digest
    of a few steps for every number of threads.
    """
    with exit_codes(debug), StopRequest().listening():
        from grapheme_numba.cli.doctor import examine

        examine(log_format)


if __name__ == "__main__":
    main()
