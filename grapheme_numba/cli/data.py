"""`grapheme-data`: make, convert, check and look at data."""

import sys
from pathlib import Path

import click

from grapheme_numba.cli.data_options import finish_with_rejects, format_option, frame, limit_options, line_limits, task
from grapheme_numba.cli.group import OneVoice
from grapheme_numba.distributed.launcher import n_announced
from grapheme_numba.errors import UsageError

SPLIT_NAMES = ("math", "text", "timeseries", "vision")


@click.group(cls=OneVoice, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="grapheme-numba", prog_name="grapheme-data")
def main():
    """Make, convert, check and look at the examples that networks learn from."""


main.for_all = ("convert",)


@main.command()
@click.argument("output", type=click.Path(path_type=Path), required=False)
@click.option("--output", "folder", type=click.Path(path_type=Path), help="Folder for the three files.")
@click.option("--samples", type=click.IntRange(10), default=1000, show_default=True, help="Examples of each domain.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--domain", "domains", multiple=True, type=click.Choice(SPLIT_NAMES), help="Only this domain; may be repeated."
)
@format_option
@frame
def generate(output, folder, samples, seed, domains, show):
    """Write train.jsonl, val.jsonl and test.jsonl (0.8, 0.1, 0.1) of generated examples.

    Example: grapheme-data generate data/mine --samples 1000
    """
    from grapheme_numba.data.sources.generator import write_splits

    target = folder or output
    if target is None:
        raise UsageError("no folder to write to; try: grapheme-data generate data/mine")
    counts = write_splits(target, samples, seed, domains or SPLIT_NAMES)
    show({"folder": str(target), **counts}, f"{target}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))


@main.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--output", help="Parquet file, or folder with --shards or --rows-per-file.")
@click.option("--shards", type=click.IntRange(1), default=1, help="Write a folder of so many files of equal size.")
@click.option("--rows-per-file", type=click.IntRange(1), help="Write a folder of files of so many rows.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Where refused lines go [OUTPUT.rejects.jsonl].")
@click.option("--max-rejects", type=click.IntRange(0), default=0, show_default=True, help="Refused lines tolerated.")
@click.option("--strict", is_flag=True, help="Stop at the first refused line and write nothing.")
@click.option("--threads", type=click.IntRange(1), help="Parsing threads [one a core].")
@limit_options
@format_option
@frame
def convert(inputs, output, shards, rows_per_file, rejects, max_rejects, strict, threads, limits, show):
    """Convert JSONL to Parquet: files, globs, folders, .gz, .zst, or - for standard input.

    Started by mpiexec, the ranks share the files out, and the output is a folder with a file for each.

    Example: grapheme-data convert logs/*.jsonl.gz -o all.parquet
    """
    from grapheme_numba.data.jsonl.convert import convert as run

    if n_announced() not in (None, 1):
        from grapheme_numba.cli.ranks import convert_on_ranks

        folder = None if shards > 1 or rows_per_file else output
        given = {"rejects": rejects, "strict": strict, "limits": line_limits(limits), "threads": threads}
        return convert_on_ranks(show, inputs, folder, max_rejects, given)
    if shards > 1 and rows_per_file is not None:
        raise UsageError("--shards and --rows-per-file say the same in two ways; give one of them")
    inputs, output = output_of(inputs, output)
    with task(show, "converting") as progress:
        done = run(
            inputs,
            output,
            rejects=rejects,
            strict=strict,
            shards=shards,
            rows_per_file=rows_per_file,
            limits=line_limits(limits),
            threads=threads,
            progress=progress,
            note=show.note,
        )
    finish_with_rejects(show, done, max_rejects)


def output_of(inputs: tuple[str, ...], output: str | None) -> tuple[tuple[str, ...], str]:
    """The inputs and the output: --output, else a last .parquet argument, else the only input's name."""
    if output is not None:
        return inputs, output
    if len(inputs) > 1 and inputs[-1].endswith(".parquet"):
        return inputs[:-1], inputs[-1]
    name = inputs[0].removesuffix(".gz").removesuffix(".zst")
    if len(inputs) == 1 and name.endswith((".jsonl", ".ndjson")) and "*" not in name:
        return inputs, str(Path(name).with_suffix(".parquet"))
    raise UsageError("no output; add --output FILE.parquet")


@main.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path, allow_dash=True), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path, allow_dash=True), help="JSONL file [standard output].")
@format_option
@frame
def export(source, target, output, show):
    """Write Parquet back as JSONL, record for record.

    Example: grapheme-data export all.parquet > all.jsonl
    """
    from grapheme_numba.data.jsonl.export import export as run

    output = output or target or Path("-")
    if str(output) == "-":
        run(source, sys.stdout.buffer)
        return
    with task(show, "exporting", unit="rows") as progress:
        n = run(source, output, progress)
    show({"output": str(output), "rows": n}, f"{output}: {n} rows")


@main.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option("--max-rejects", type=click.IntRange(0), default=0, show_default=True, help="Refused lines tolerated.")
@click.option("--show", "shown", type=click.IntRange(0), default=10, show_default=True, help="Refused lines shown.")
@click.option("--threads", type=click.IntRange(1), help="Parsing threads [one a core].")
@limit_options
@format_option
@frame
def validate(inputs, max_rejects, shown, threads, limits, show):
    """Judge every line of JSONL or row of Parquet without writing anything.

    Example: grapheme-data validate data/mine
    """
    from grapheme_numba.data.jsonl.validate import validate as run
    from grapheme_numba.errors import RecordError

    with task(show, "validating") as progress:
        done = run(inputs, limits=line_limits(limits), shown=shown, threads=threads, progress=progress, note=show.note)
    for refused in done.shown:
        show(
            {"file": refused.file, "line": refused.line, "offset": refused.offset, "reason": refused.reason},
            f"{refused.file}, line {refused.line}, byte {refused.offset}: {refused.reason}",
        )
    show({"rows": done.rows, "rejects": done.rejects}, f"{done.rows} usable rows, {done.rejects} rejects")
    if done.rejects > max_rejects:
        raise RecordError(f"{done.rejects} lines cannot be used, {max_rejects} are tolerated; see --max-rejects")


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--samples", type=click.IntRange(0), default=3, show_default=True, help="Rows shown.")
@format_option
@frame
def inspect(path, samples, show):
    """Show what a file holds: domains, lengths, answers that do not fit their code, sample rows.

    Example: grapheme-data inspect data/mixed_agi/train.jsonl
    """
    from grapheme_numba.cli.data_view import show_inspected
    from grapheme_numba.data.inspect import inspect as run

    show_inspected(show, run(path, samples, progress=show.note))


@main.command("import")
@click.argument("layout", type=click.Choice(["gsm8k", "squad", "math", "csv"]))
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Parquet file to write.")
@click.option("--input-column", "columns", multiple=True, help="csv: input column; repeat for a sequence of numbers.")
@click.option("--target-column", help="csv: column of the expected answer.")
@click.option("--domain", help="Domain name of the examples [the layout's own].")
@click.option("--max", "most", type=click.IntRange(1), help="At most so many examples.")
@format_option
@frame
def import_(layout, inputs, output, columns, target_column, domain, most, show):
    """Turn a published layout into Parquet: GSM8K, SQuAD, MATH, or a CSV, TSV or Parquet table.

    Example: grapheme-data import csv flats.csv --input-column area --target-column price -o flats.parquet
    """
    from grapheme_numba.data.sources.external import import_files

    with task(show, "importing", unit="examples") as progress:
        done = import_files(
            layout, inputs, output, columns=columns, target=target_column, domain=domain, most=most, progress=progress
        )
    skipped = f", {done.rejects} skipped ({done.first_reject.reason})" if done.rejects else ""
    show(
        {"output": str(output), "rows": done.rows_out, "skipped": done.rejects},
        f"{output}: {done.rows_out} rows{skipped}",
    )


if __name__ == "__main__":
    main()
