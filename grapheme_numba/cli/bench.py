"""`grapheme-bench`: rates of the kernels, comparisons with other programs, conversion speed."""

import click

from grapheme_numba import __version__
from grapheme_numba.cli.exits import exit_codes


class Words(click.ParamType):
    """Names with commas between."""

    name = "NAME,..."

    def convert(self, value, param, ctx):
        """A list of str."""
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Numbers(click.ParamType):
    """Whole numbers of at least 1 with commas between."""

    name = "N,..."

    def convert(self, value, param, ctx):
        """A list of int."""
        if not isinstance(value, str):
            return value
        parts = value.split(",")
        if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"wants whole numbers of at least 1 with commas between, as 1,2, got {value!r}", param, ctx)
        return [int(part) for part in parts]


json_option = click.option("--json", "target", metavar="FILE", help="Save the measurements as JSON.")
cases_option = click.option("--cases", type=Words(), help="Named graphs; --cases list shows them.  [default: all]")
threads_option = click.option("--threads", type=Numbers(), help="Numbers of threads.  [default: 1 and all cores]")
repeat_option = click.option(
    "--repeat", type=click.IntRange(min=5), default=7, show_default=True, help="Measurements per median."
)
compare_option = click.option("--compare", metavar="FILE", help="An earlier --json FILE to set beside this run.")
quick_option = click.option("--quick", is_flag=True, help="A few cases, in about a minute.")
clock_option = click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="wall: what a user waits for; cpu: processor time of one thread, when other programs are running.",
)
debug_option = click.option("--debug", is_flag=True, help="Show the traceback of an error.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="grapheme-bench")
def main():
    """Measure this machine, the kernels on it, and other programs beside them.

    \b
    grapheme-bench kernels --quick                rates beside the machine's ceilings
    grapheme-bench kernels --compare before.json  what a change did
    grapheme-bench peers --baselines torch-csr       the same network in torch
    """


@main.command()
@cases_option
@click.option("--batch", "batches", type=Numbers(), help="Batch sizes.  [default: 1,16,64,256,1024; --quick: 1,256]")
@threads_option
@repeat_option
@json_option
@compare_option
@clock_option
@quick_option
@debug_option
def kernels(cases, batches, threads, repeat, target, compare, clock, quick, debug):
    """Rates of forward, backward and the whole training step, and their share of the machine's ceilings.

    Example:  grapheme-bench kernels --cases layered-10x1000x32 --batch 64,256 --threads 1,2 --json now.json
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_kernels

        show_kernels(cases, batches, threads, repeat, target, compare, clock, quick)


@main.command()
@click.option("--baselines", type=Words(), help="Which programs; `list` shows them.  [default: all installed]")
@cases_option
@click.option("--batch", type=click.IntRange(min=1), help="Batch size.  [default: 256]")
@threads_option
@repeat_option
@json_option
@compare_option
@clock_option
@quick_option
@debug_option
def peers(baselines, cases, batch, threads, repeat, target, compare, clock, quick, debug):
    """Our passes beside other programs' on the same network: outputs compared first, then timed in turn.

    Example:  grapheme-bench peers --baselines torch-csr,scipy-csr --json peers.json
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_peers

        show_peers(baselines, cases, batch, threads, repeat, target, compare, clock, quick)


@main.command()
@click.option("--neurons", type=Numbers(), default=[1024], show_default="1024", help="Widths: 1024, 4096, 16384, ...")
@click.option("--layers", type=click.IntRange(min=1), default=120, show_default=True, help="Layers after the inputs.")
@click.option("--rows", type=click.IntRange(min=1), default=60_000, show_default=True, help="Examples.")
@click.option("--graphblas", is_flag=True, help="Run SuiteSparse GraphBLAS on the same rows, in turn with ours.")
@threads_option
@repeat_option
@json_option
@clock_option
@debug_option
def challenge(neurons, layers, rows, graphblas, threads, repeat, target, clock, debug):
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
def data(repeat, target, quick, debug):
    """Speed of reading and converting JSONL, beside other readers.

    Example:  grapheme-bench data --quick
    """
    with exit_codes(debug):
        from grapheme_numba.cli.bench_command import show_data

        show_data(repeat, target, quick)
