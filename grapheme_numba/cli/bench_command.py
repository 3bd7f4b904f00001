"""What the commands of `grapheme-bench` do: choose, measure, show, save. Imported only when one runs."""

import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

from grapheme_numba import jit
from grapheme_numba.bench import cases as registry
from grapheme_numba.bench import challenge, peers, records, suite
from grapheme_numba.cli.output import aligned, answer, is_terminal, overwrite, show
from grapheme_numba.errors import GraphemeError, UsageError
from grapheme_numba.files.storage import refuse_overwriting


def show_kernels(
    cases: list[str] | None, batches: list[int] | None, threads: list[int] | None, repeat: int, target: str | None,
    compare: str | None, clock: str, quick: bool,
) -> None:  # fmt: skip
    """`grapheme-bench kernels`."""
    if cases == ["list"]:
        answer(*(f"{case.name}: {case.about}" for case in registry.CASES.values()))
        return
    before = earlier(compare, "kernels", target)
    names = cases or (suite.QUICK_CASES if quick else suite.KERNEL_CASES)
    batches = batches or ([1, 256] if quick else list(registry.BATCHES))
    record = suite.run_kernels(names, batches, counts(threads, clock), repeat, progress, clock)
    answer(records.headline(record["machine"]))
    answer("", *aligned(ceiling_cells(record["ceilings"])))
    answer("", *aligned([KERNEL_HEADER, *map(kernel_cells, record["rows"])]))
    answer("", *aligned([FUNCTION_HEADER, *map(function_cells, record["functions"])]))
    once = ", ".join(f"{name} {seconds * 1e6:.0f} us" for name, seconds in record["boundary_seconds"].items())
    answer("", f"a call on a network of one edge: {once}")
    finish(record, before, target)


def show_peers(
    baselines: list[str] | None, cases: list[str] | None, batch: int | None, threads: list[int] | None, repeat: int,
    target: str | None, compare: str | None, clock: str, quick: bool,
) -> None:  # fmt: skip
    """`grapheme-bench peers`."""
    if baselines == ["list"]:
        answer(*(f"{name}: {(one.__doc__ or name).splitlines()[0]}" for name, one in peers.BASELINES.items()))
        return
    before = earlier(compare, "peers", target)
    names = baselines or (["scipy-csr", "torch-csr"] if quick else list(peers.BASELINES))
    record = suite.run_peers(names, cases or (), batch, counts(threads, clock), repeat, progress, clock)
    answer(records.headline(record["machine"]))
    answer("", *aligned([PEER_HEADER, *map(peer_cells, record["rows"])]))
    for sentence in record["left_out"]:
        answer(f"left out: {sentence}")
    finish(record, before, target)


def show_challenge(
    neurons: list[int], layers: int, rows: int, graphblas: bool, threads: list[int] | None, repeat: int,
    target: str | None, clock: str,
) -> None:  # fmt: skip
    """`grapheme-bench challenge`."""
    if graphblas and not importlib.util.find_spec(challenge.PACKAGE):
        raise UsageError("--graphblas wants GraphBLAS; pip install python-graphblas suitesparse-graphblas")
    measured: list[challenge.Inference] = []
    numbers = counts(threads, clock)
    suite.one_thread(numbers, clock)
    for width in neurons:
        for row in challenge.measure(width, layers, rows, numbers, repeat, graphblas=graphblas, clock=clock):
            measured.append(row)
            progress(row)
    record = records.as_record("challenge", measured, clock=clock)
    answer(records.headline(record["machine"]))
    answer("", *aligned([CHALLENGE_HEADER, *map(challenge_cells, record["rows"])]))
    finish(record, None, target)


def show_data(repeat: int, target: str | None, quick: bool) -> None:
    """`grapheme-bench data`."""
    try:
        from grapheme_numba.bench import data
    except ImportError as error:
        raise GraphemeError(f"this installation cannot measure conversion: {error}") from None
    record = data.run_data(repeat, quick, progress)
    answer(records.headline(record["machine"]))
    answer("", *aligned(data.cells(record)))
    finish(record, None, target)


def earlier(compare: str | None, kind: str, target: str | None) -> dict[str, Any] | None:
    """The record to compare with. UsageError where the new one would replace it."""
    if not compare:
        return None
    refuse_overwriting([target] if target else [], [compare])
    return records.load(compare, kind)


def counts(threads: list[int] | None, clock: str = "wall") -> list[int]:
    """The numbers of threads asked for, or 1 and all; one by processor time."""
    return threads or ([1] if clock == "cpu" else sorted({1, jit.set_threads(None)}))


def progress(row: str | tuple[Any, ...]) -> None:
    """One line on a terminal while measuring; nothing in a pipe."""
    if is_terminal(sys.stderr):
        text = row if isinstance(row, str) else " ".join(str(value) for value in row[:5])
        overwrite(text[:100])


def finish(record: dict[str, Any], before: dict[str, Any] | None, target: str | None) -> None:
    """Show the changes against an earlier record and save this one."""
    if before:
        answer("", *aligned([CHANGE_HEADER, *change_cells(record, before)]))
    if target:
        records.save(target, record)
        show("", f"saved {target}")


KERNEL_HEADER = ("case", "batch", "threads", "pass", "ms", "G/s", "low", "high", "of L2", "of own", "lanes")
FUNCTION_HEADER = ("function", "G values/s", "scalar loop", "times", "low", "high", "differs")
PEER_HEADER = ("baseline", "case", "batch", "threads", "pass", "ours G/s", "theirs", "times", "low", "high", "differs")
CHALLENGE_HEADER = (
    "neurons",
    "layers",
    "rows",
    "inputs",
    "threads",
    "categories",
    "s",
    "nominal G/s",
    "differs",
    "GraphBLAS",
    "times",
)
CHANGE_HEADER = ("measurement", "G/s before", "now", "times")


def ceiling_cells(ceilings: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The ceilings: one line per level and number of threads, one column per width."""
    widths = sorted({one["width"] for one in ceilings})
    rows: list[tuple[str, ...]] = [("ceiling, G/s", "threads", *(f"{width} lanes" for width in widths))]
    for level, threads in dict.fromkeys((one["level"], one["threads"]) for one in ceilings):
        rates = {one["width"]: one["rate"] for one in ceilings if (one["level"], one["threads"]) == (level, threads)}
        rows.append((level, str(threads), *(f"{rates[width]:.1f}" for width in widths)))
    return rows


def kernel_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One pass of one case."""
    return (
        row["case"], str(row["batch"]), str(row["threads"]), row["step"], f"{row['seconds'] * 1e3:.3f}",
        f"{row['rate']:.3g}", f"{row['low']:.3g}", f"{row['high']:.3g}", f"{row['of_l2']:.0%}", f"{row['of_own']:.0%}",
        str(row["width"]),
    )  # fmt: skip


def function_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One activation function beside the scalar loop."""
    return (
        row["name"], f"{row['rate']:.3g}", f"{row['scalar_rate']:.2g}", f"{row['ratio']:.1f}", f"{row['low']:.1f}",
        f"{row['high']:.1f}", f"{row['error']:.0e}",
    )  # fmt: skip


def peer_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One pass beside a baseline's."""
    return (
        row["peer"], row["case"], str(row["batch"]), str(row["threads"]), row["step"], f"{row['rate']:.3g}",
        f"{row['peer_rate']:.3g}", f"{row['ratio']:.1f}", f"{row['low']:.1f}", f"{row['high']:.1f}",
        f"{row['error']:.0e}",
    )  # fmt: skip


def challenge_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One network and input set."""
    return (
        str(row["neurons"]), str(row["layers"]), str(row["rows"]), row["inputs"], str(row["threads"]),
        str(row["survivors"]), f"{row['seconds']:.3f}", f"{row['rate']:.3g}", f"{row['difference']:.0e}",
        f"{row['peer_rate']:.2g}" if row["ratio"] else "-", f"{row['ratio']:.1f}" if row["ratio"] else "-",
    )  # fmt: skip


def change_cells(record: dict[str, Any], before: dict[str, Any]) -> list[tuple[str, ...]]:
    """Each measurement beside its earlier one, and the geometric mean of those that have one."""
    keys, rows, ratios = records.KEYS[record["kind"]], [], []
    for row, other, ratio in records.changes(record, before):
        name = " ".join(str(row[key]) for key in keys)
        ratios.append(ratio)
        rows.append((
            name, f"{other['rate']:.3g}" if other else "-", f"{row['rate']:.3g}", f"{ratio:.2f}" if ratio else "-",
        ))  # fmt: skip
    mean = suite.summary(ratios)
    return [*rows, ("all, geometric mean", "", "", f"{mean:.2f}" if mean else "-")]
