"""`grapheme-data`: make, convert, check and look at data."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from grapheme_numba.cli import options
from grapheme_numba.cli.data_output import Report, finish_with_rejects, progress_bar, reported, show_inspected
from grapheme_numba.cli.option_types import FileName, OutputName
from grapheme_numba.cli.options import option
from grapheme_numba.cli.output import (
    answer_bytes,
    check_input,
)
from grapheme_numba.cli.program import SETTINGS, Program, version_option
from grapheme_numba.cli.table_options import (
    LAYOUTS,
    TABLES,
    LayoutOrFile,
    are_tables,
    mapping_of,
    show_columns,
    show_decisions,
    table_options,
)
from grapheme_numba.distributed.launcher import n_announced
from grapheme_numba.errors import RecordError, UsageError

if TYPE_CHECKING:
    from grapheme_numba.data.records import Limits

SPLIT_NAMES = ("math", "text", "timeseries", "vision")
LimitValues: TypeAlias = tuple[int, int, int, bool]  # the fields of `Limits`
A_FILE, A_FOLDER = FileName(make=Path), OutputName("dir", make=Path)


def as_limits(limits: LimitValues) -> "Limits":
    """The Limits of the options."""
    from grapheme_numba.data.records import Limits

    return Limits(*limits)


@click.group(cls=Program, context_settings=SETTINGS)
@version_option
def main() -> None:
    """Make, convert, check and look at the examples that networks learn from."""


main.for_all = ("convert",)


@main.command()
@click.argument("output", type=A_FOLDER, required=False)
@option("--output", "folder", type=A_FOLDER, help="Folder for the three files.")
@option("--samples", type=click.IntRange(10), default=1000, show_default=True, help="Examples of each domain.")
@option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same bytes.")
@option("--domain", "domains", multiple=True, type=click.Choice(SPLIT_NAMES), help="Only this domain; may be repeated.")
@option("--overwrite", is_flag=True, help="Replace files that are there.")
@options.output_options
@reported
def generate(
    output: Path | None, folder: Path | None, samples: int, seed: int, domains: tuple[str, ...], overwrite: bool,
    report: Report,
) -> None:  # fmt: skip
    """Write train.jsonl, val.jsonl and test.jsonl (0.8, 0.1, 0.1) of generated examples.

    Example: grapheme-data generate data/mine --samples 1000
    """
    from grapheme_numba.data.sources.generator import write_splits

    target = folder or output
    if target is None:
        raise UsageError("no folder to write to; try: grapheme-data generate data/mine")
    counts = write_splits(target, samples, seed, domains or SPLIT_NAMES, overwrite=overwrite)
    report({"folder": str(target), **counts}, f"{target}: " + ", ".join(f"{n} {split}" for split, n in counts.items()))


@main.command()
@click.argument("inputs", nargs=-1, required=True, type=FileName())
@option("-o", "--output", type=OutputName(), help="Parquet file, or folder with --shards or --rows-per-file.")
@option("--shards", type=click.IntRange(1), default=1, help="Write a folder of so many files of equal size.")
@option("--rows-per-file", type=click.IntRange(1), help="Write a folder of files of so many rows.")
@option("--rejects", type=A_FILE, help="Where refused lines go [OUTPUT.rejects.jsonl].")
@options.max_rejects_option
@option("--strict", is_flag=True, help="Stop at the first refused line and write nothing.")
@options.parsing_threads_option
@option("--domain", help="Table: name of the examples, or the column that holds it [the file's name].")
@option("--layout", type=click.Choice(LAYOUTS), help="How rows are read [detected by their columns].")
@table_options
@options.limit_options
@options.output_options
@reported
def convert(
    inputs: tuple[str, ...], output: str | None, shards: int, rows_per_file: int | None, rejects: Path | None,
    max_rejects: int, strict: bool, threads: int | None, domain: str | None, layout: str | None,
    table: dict[str, Any], limits: LimitValues, report: Report,
) -> None:  # fmt: skip
    """Convert JSONL or tables to Parquet: files, globs, folders, .gz, .zst, or - for standard input.

    A table (CSV, TSV, Parquet, Arrow, JSON rows) wants --target; other layouts are known by their columns.
    Started by mpiexec, the ranks share the files out, and the output is a folder with a file for each.

    Example: grapheme-data convert logs/*.jsonl.gz -o all.parquet
    """
    check_input(*inputs)
    from grapheme_numba.data.jsonl.convert import convert as run

    if layout is not None or are_tables(inputs, table):
        inputs, output = output_of(inputs, output)
        return import_data(report, layout, inputs, output, table, domain, rejects, max_rejects, None)
    if n_announced() is not None:  # also with one rank: the output does not depend on their number
        from grapheme_numba.cli.ranks import convert_on_ranks

        folder = None if shards > 1 or rows_per_file else output
        given = {"rejects": rejects, "strict": strict, "limits": as_limits(limits), "threads": threads}
        return convert_on_ranks(report, inputs, folder, max_rejects, given)
    if shards > 1 and rows_per_file is not None:
        raise UsageError("--shards and --rows-per-file say the same in two ways; give one of them")
    inputs, output = output_of(inputs, output)
    with progress_bar(report, "converting") as progress:
        done = run(
            inputs,
            output,
            rejects=rejects,
            strict=strict,
            shards=shards,
            rows_per_file=rows_per_file,
            limits=as_limits(limits),
            threads=threads,
            progress=progress,
            note=report.note,
        )
    finish_with_rejects(report, done, max_rejects)


def output_of(inputs: tuple[str, ...], output: str | None) -> tuple[tuple[str, ...], str]:
    """The inputs and the output: --output, else a last .parquet argument, else the only input's name."""
    if output is not None:
        return inputs, output
    if len(inputs) > 1 and inputs[-1].endswith(".parquet"):
        return inputs[:-1], inputs[-1]
    name = inputs[0].removesuffix(".gz").removesuffix(".zst")
    if len(inputs) == 1 and name.lower().endswith((".jsonl", ".ndjson", *TABLES)) and "*" not in name:
        return inputs, str(Path(name).with_suffix(".parquet"))
    raise UsageError("no output; add --output FILE.parquet")


@main.command()
@click.argument("source", type=A_FILE)
@click.argument("target", type=A_FILE, required=False)
@option("-o", "--output", type=A_FILE, help="JSONL file [standard output].")
@options.output_options
@reported
def export(source: Path, target: Path | None, output: Path | None, report: Report) -> None:
    """Write Parquet back as JSONL, record for record.

    Example: grapheme-data export all.parquet > all.jsonl
    """
    from grapheme_numba.data.jsonl.convert import export as run

    output = output or target or Path("-")
    if str(output) == "-":
        with answer_bytes() as stream:
            run(source, stream)
        return
    with progress_bar(report, "exporting", unit="rows") as progress:
        n = run(source, output, progress)
    report({"output": str(output), "rows": n}, f"{output}: {n} rows")


@main.command()
@click.argument("inputs", nargs=-1, required=True, type=FileName())
@options.max_rejects_option
@option("--show", "shown", type=click.IntRange(0), default=10, show_default=True, help="Refused lines shown.")
@options.parsing_threads_option
@options.limit_options
@options.output_options
@reported
def validate(
    inputs: tuple[str, ...], max_rejects: int, shown: int, threads: int | None, limits: LimitValues, report: Report
) -> None:
    """Check every line of JSONL or row of Parquet without writing anything.

    Example: grapheme-data validate data/mine
    """
    check_input(*inputs)
    from grapheme_numba.data.jsonl.convert import validate as run

    with progress_bar(report, "validating") as progress:
        done = run(inputs, limits=as_limits(limits), shown=shown, threads=threads, progress=progress, note=report.note)
    for refused in done.shown:
        report.result(
            {"file": refused.file, "line": refused.line, "offset": refused.offset, "reason": refused.reason},
            f"{refused.file}, line {refused.line}, byte {refused.offset}: {refused.reason}",
        )
    report.result({"rows": done.rows, "rejects": done.rejects}, f"{done.rows} usable rows, {done.rejects} rejects")
    if done.rejects > max_rejects:
        raise RecordError(f"{done.rejects} lines cannot be used, {max_rejects} are tolerated; see --max-rejects")


@main.command()
@click.argument("path", type=A_FILE)
@option("--samples", type=click.IntRange(0), default=3, show_default=True, help="Rows shown.")
@option("--domain", help="Table: name of the examples, or the column that holds it [the file's name].")
@table_options
@options.output_options
@reported
def inspect(path: Path, samples: int, domain: str | None, table: dict[str, Any], report: Report) -> None:
    """Show what a file holds: domains, lengths, answers that do not fit their code, sample rows.

    A table is read as training reads it with --target; without it, its columns are shown.

    Example: grapheme-data inspect data/penguins.csv --target species
    """
    from grapheme_numba.data.inspect import inspect as run
    from grapheme_numba.data.inspect import lacks_target
    from grapheme_numba.data.sources.tables.passes import describe_table

    mapping = mapping_of(table, domain)
    if lacks_target(path, mapping):
        with progress_bar(report, "reading") as progress:
            described = describe_table(path, mapping, progress)
        return show_columns(report, path, described)
    show_inspected(report, run(path, samples, report.note, mapping))


@main.command("import")
@click.argument("inputs", nargs=-1, required=True, type=LayoutOrFile())
@option("-o", "--output", required=True, type=OutputName(make=Path), help="Parquet file to write.")
@option("--layout", type=click.Choice(LAYOUTS), help="How rows are read [detected by their columns].")
@option("--input-column", "columns", multiple=True, help="csv: input column; repeat for a sequence of numbers.")
@option("--target-column", help="csv: column of the expected answer.")
@option("--domain", help="Domain name of the examples, or a table's column of it [the layout's own].")
@option("--max", "most", type=click.IntRange(1), help="At most so many examples.")
@option("--rejects", type=A_FILE, help="Where refused rows go [OUTPUT.rejects.jsonl].")
@options.max_rejects_option
@table_options
@options.output_options
@reported
def import_(
    inputs: tuple[str, ...], output: Path, layout: str | None, columns: tuple[str, ...], target_column: str | None,
    domain: str | None, most: int | None, rejects: Path | None, max_rejects: int, table: dict[str, Any],
    report: Report,
) -> None:  # fmt: skip
    """Turn data of another layout into Parquet: tables, GSM8K, SQuAD, MATH, chats, labelled texts, pictures.

    The first of INPUTS may name the layout.

    Example: grapheme-data import homes.csv --target price -o homes.parquet
    """
    if len(inputs) > 1 and inputs[0] in LAYOUTS and layout is None:
        layout, inputs = inputs[0], inputs[1:]
    elif len(inputs) > 1 and inputs[0].isalnum() and not Path(inputs[0]).exists():
        raise UsageError(f"{inputs[0]!r} is not one of the layouts {', '.join(LAYOUTS)}, and no file either")
    if columns or target_column or (layout == "csv" and "target" not in table):
        from grapheme_numba.data.sources.external import joined_columns

        table = {**table, "joined": joined_columns(inputs, columns, target_column)}
    import_data(report, layout, inputs, output, table, domain, rejects, max_rejects, most)


def import_data(
    report: Report, layout: str | None, inputs: Sequence[str], output: str | Path, table: dict[str, Any],
    domain: str | None, rejects: Path | None, max_rejects: int, most: int | None,
) -> None:  # fmt: skip
    """Write the examples of tables or of other layouts, and print what was decided."""
    import msgspec

    from grapheme_numba.data.sources.external import import_data as run

    mapping = mapping_of(table, domain)
    if joined := table.get("joined"):
        mapping = msgspec.structs.replace(mapping, inputs=joined[0], target=joined[1], layout="values")
    with progress_bar(report, "importing") as progress:
        size = table.get("image_size")
        done = run(layout, inputs, output, mapping, rejects=rejects, image_size=size, most=most, progress=progress)
    show_decisions(report, done)
    finish_with_rejects(report, done.converted, max_rejects)


if __name__ == "__main__":
    main()
