"""`grapheme-bench`: rates of the kernels, comparisons with other programs, conversion speed."""

from typing import TypeAlias

import click

from grapheme_numba.cli.option_types import NameList, NumberList
from grapheme_numba.cli.options import (
    cases_option,
    clock_option,
    compare_option,
    debug_option,
    json_option,
    option,
    quick_option,
    repeat_option,
    thread_counts_option,
)
from grapheme_numba.cli.program import SETTINGS, Program, exit_codes, version_option

Names: TypeAlias = list[str] | None
Counts: TypeAlias = list[int] | None


@click.group(cls=Program, context_settings=SETTINGS)
@version_option
def main() -> None:
    """Measure this machine, the kernels on it, and other programs beside them.

    \b
    grapheme-bench kernels --quick                rates beside the machine's ceilings
    grapheme-bench kernels --compare before.json  what a change did
    grapheme-bench peers --baselines torch-csr       the same network in torch
    """


@main.command()
@cases_option
@option("--batch", "batches", type=NumberList(), help="Batch sizes.  [default: 1,16,64,256,1024; --quick: 1,256]")
@thread_counts_option
@repeat_option
@json_option
@compare_option
@clock_option
@quick_option
@debug_option
def kernels(
    cases: Names, batches: Counts, threads: Counts, repeat: int, target: str | None, compare: str | None, clock: str,
    quick: bool, debug: bool,
) -> None:  # fmt: skip
    """Rates of forward, backward and the whole training step, and their share of the machine's ceilings.

    Example:  grapheme-bench kernels --cases layered-10x1000x32 --batch 64,256 --threads 1,2 --json now.json
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_kernels

        show_kernels(cases, batches, threads, repeat, target, compare, clock, quick)


@main.command()
@option("--baselines", type=NameList(), help="Which programs; `list` shows them.  [default: all installed]")
@cases_option
@option("--batch", type=click.IntRange(min=1), help="Batch size.  [default: 256]")
@thread_counts_option
@repeat_option
@json_option
@compare_option
@clock_option
@quick_option
@debug_option
def peers(
    baselines: Names, cases: Names, batch: int | None, threads: Counts, repeat: int, target: str | None,
    compare: str | None, clock: str, quick: bool, debug: bool,
) -> None:  # fmt: skip
    """Our passes beside other programs' on the same network: outputs compared first, then timed in turn.

    Example:  grapheme-bench peers --baselines torch-csr,scipy-csr --json peers.json
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_peers

        show_peers(baselines, cases, batch, threads, repeat, target, compare, clock, quick)


@main.command()
@option("--neurons", type=NumberList(), default=[1024], show_default="1024", help="Widths: 1024, 4096, 16384, ...")
@option("--layers", type=click.IntRange(min=1), default=120, show_default=True, help="Layers after the inputs.")
@option("--rows", type=click.IntRange(min=1), default=60_000, show_default=True, help="Examples.")
@option("--graphblas", is_flag=True, help="Run SuiteSparse GraphBLAS on the same rows, in turn with ours.")
@thread_counts_option
@repeat_option
@json_option
@clock_option
@debug_option
def challenge(
    neurons: list[int], layers: int, rows: int, graphblas: bool, threads: Counts, repeat: int, target: str | None,
    clock: str, debug: bool,
) -> None:  # fmt: skip
    """Inference of the Sparse DNN Graph Challenge on RadiX-Net, checked against SciPy in float64.

    Example:  grapheme-bench challenge --neurons 1024,4096 --rows 6000
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_challenge

        show_challenge(neurons, layers, rows, graphblas, threads, repeat, target, clock)


@main.command()
@repeat_option
@json_option
@quick_option
@debug_option
def data(repeat: int, target: str | None, quick: bool, debug: bool) -> None:
    """Speed of reading and converting JSONL, beside other readers.

    Example:  grapheme-bench data --quick
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_data

        show_data(repeat, target, quick)
