"""Write the tables of README.md's sections "Speed", "Data" and "Many hosts" from saved measurements.

    grapheme-bench kernels --json kernels.json
    grapheme-bench peers --json peers.json
    grapheme-bench challenge --json challenge.json
    grapheme-bench data --json data.json
    python benchmarks/ranks.py --json ranks.json
    python benchmarks/readme_tables.py kernels.json peers.json challenge.json data.json ranks.json

Every file may be left out; its table is then left out too, and so is a section without any. What stands between the
markers is replaced, the rest of README.md stays as it is.
"""

import functools
import sys
from pathlib import Path

from grapheme_numba.bench import machine, records
from grapheme_numba.errors import RecordError

README = Path(__file__).parent.parent / "README.md"
MARKERS = "<!-- {}: begin -->", "<!-- {}: end -->"
BEGIN, END = (marker.format("speed") for marker in MARKERS)
SECTIONS = {"speed": ("kernels", "peers", "challenge"), "data": ("data",), "ranks": ("ranks",)}
BATCH = 256
BASELINES = {
    "scipy-csr": "SciPy CSR product",
    "scipy-dots": "SciPy products, one dot product per edge",
    "torch-csr": "torch `sparse.mm`, CSR",
    "torch-masked": "torch, dense with a mask",
    "torch-levels": "torch, gather and `index_add_`",
    "neat-python": "neat-python",
}


def kernel_table(record):
    """One row per case and number of threads, at one batch size."""
    found = {(r["case"], r["threads"], r["step"]): r for r in record["rows"] if r["batch"] == BATCH}
    rows = []
    for case, threads in dict.fromkeys((case, threads) for case, threads, _ in found):
        forward, step = (found[case, threads, name] for name in ("forward", "step"))
        rows.append((
            case, threads, f"{forward['rate']:.3g}", f"{forward['of_l2']:.0%}", f"{forward['of_own']:.0%}",
            f"{step['rate']:.3g}", f"{step['of_l2']:.0%}", f"{step['of_own']:.0%}",
        ))  # fmt: skip
    header = ("graph", "threads", "forward", "of L2", "of own", "step", "of L2 / 3", "of own / 3")
    return markdown(header, rows)


def peer_table(record):
    """One row per baseline, case, pass and number of threads."""
    rows = [
        (
            BASELINES.get(r["peer"], r["peer"]), r["case"], r["step"], r["threads"], f"{r['rate']:.3g}",
            f"{r['peer_rate']:.2g}", f"**{r['ratio']:.3g}** ({r['low']:.3g} to {r['high']:.3g})",
        )
        for r in record["rows"]
    ]  # fmt: skip
    return markdown(("baseline", "graph", "pass", "threads", "ours", "theirs", "times faster"), rows)


def challenge_table(record):
    """One row per network, input set and number of threads."""
    rows = [
        (
            f"{r['neurons']} x {r['layers']}", f"{r['rows']:,}", r["inputs"], f"{r['survivors']:,}", r["threads"],
            f"{r['seconds']:.2f}", f"{r['rate']:.3g}", f"{r['ratio']:.3g}" if r["ratio"] else "",
        )
        for r in record["rows"]
    ]  # fmt: skip
    return markdown(
        ("network", "rows", "inputs", "categories", "threads", "seconds", "nominal rate", "times GraphBLAS"), rows
    )


def data_table(record):
    """One row per task."""
    rows = [
        (r["task"], f"{r['rate']:.3g} {r['unit']}", f"{r['times']:.2f}" if r["times"] else "", f"{r['peak_mb']:.0f} MB")
        for r in record["rows"]
    ]
    return markdown((f"{record['rows'][0]['size_mb']:.0f} MB", "rate", "ours is faster, times", "most memory"), rows)


def ranks_table(record):
    """One row per case and contender."""
    rows = [
        (
            f"{r['case']}, {r['n_edge']:,} edges", r["contender"], f"{r['examples_per_s']:,.0f}",
            f"**{r['ratio']:.2f}** ({r['low']:.2f} to {r['high']:.2f}), {r['rounds']} rounds", f"{r['fastest']:,.0f}",
            f"{r['fastest_ratio']:.2f}",
        )
        for r in record["rows"]
        if r["ratio"] != 1 or r["contender"] != "1 rank"
    ]  # fmt: skip
    header = "run", "contender", "examples/s", "of 1 rank, 2 threads", "fastest epoch", "of its fastest"
    return markdown(header, rows)


CLOCKS = {"wall": "Wall clock, medians.", "cpu": "Processor time of one thread, medians."}
PARTS = {
    "kernels": (
        kernel_table,
        f"Rates in 10^9 edges x examples per second, float32, batch {BATCH}. *of L2* is the share of what a bare load "
        "and multiply-add over random rows reaches in the level-2 cache, measured in turn with the pass; *of own* the "
        "same for rows that take as much room as this graph's live nodes. A step is zero, forward, backward and SGD, "
        "and is held against a third of the ceiling. Graphs whose neighbours share senders read less than the "
        "bare loop and can exceed it.",
    ),
    "peers": (
        peer_table,
        "The same network, weights and batch in other programs, outputs and gradients compared first.",
    ),
    "challenge": (
        challenge_table,
        "Inference of the Sparse DNN Graph Challenge on RadiX-Net; the categories equal those of SciPy in float64. The "
        "inputs are synthetic images. The nominal rate counts all rows, also those that have died.",
    ),
    "data": (
        data_table,
        "JSONL to Parquet with zstd, the same columns by all, each in a process of its own, in turn; only ours judges "
        "every line and keeps rejects. Then batches of 64 out of that Parquet: read, checked, shuffled and encoded.",
    ),
    "ranks": (
        ranks_table,
        "Whole runs of `grapheme-train agi`, batches of 64, started in turn: 1 rank with 2 threads, and on the same 2 "
        "cores ranks with a thread each. Examples per second in the median epoch, and its ratio within a round.",
    ),
}


def markdown(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def section(loaded):
    """The text between the markers for records of different kinds, in the order of `PARTS`."""
    by_kind = {record["kind"]: record for record in loaded}
    newest = next(iter(by_kind.values()))
    parts = [f"Measured on: {machine.headline(newest['machine'])}".replace("\n", "; ")]
    for kind, (table, text) in PARTS.items():
        if kind in by_kind:
            parts += [f"{text} {CLOCKS[by_kind[kind].get('clock', 'wall')]}", table(by_kind[kind])]
    return "\n\n".join(parts)


def between(begin, end, text, inside):
    """`text` with `inside` between two markers. Raises RecordError where README has none."""
    if text.count(begin) != 1 or text.count(end) != 1:
        raise RecordError(f"README.md must hold {begin} and {end} once each; put them where the tables belong")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{inside}\n{end}{rest.split(end)[1]}"


replaced = functools.partial(between, BEGIN, END)


def main(paths):
    """Rewrite README.md from the records at `paths`."""
    loaded, text = [records.load(path) for path in paths], README.read_text()
    for name, kinds in SECTIONS.items():
        own = [record for record in loaded if record["kind"] in kinds]
        if own:
            text = between(*(marker.format(name) for marker in MARKERS), text, section(own))
    README.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
