"""Write every generated table of README.md and docs/ from saved measurements and from the command line itself.

    python benchmarks/tables.py            # write
    python benchmarks/tables.py --check    # write nothing; exit code 1 names each page that is stale

A page says where a table stands by two comments, `<!-- NAME: begin -->` and `<!-- NAME: end -->`; `BLOCKS` says which
page holds which, and the measurements are those of benchmarks/measured:

    grapheme-bench kernels|peers|challenge|data --json benchmarks/measured/KIND.json
    python benchmarks/ranks.py --json benchmarks/measured/ranks.json
    python benchmarks/accuracy.py benchmarks/measured/accuracy.json
    python benchmarks/trainers.py benchmarks/measured/trainers.json
    python benchmarks/time_to_accuracy.py benchmarks/measured/seconds.json
    bin/test -m long --figures benchmarks/measured/reliability.json
"""

import argparse
import itertools
import json
import math
import sys
from pathlib import Path

import cli_reference
import numpy as np

import grapheme_numba as gn
from grapheme_numba.bench import records
from grapheme_numba.errors import RecordError

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "benchmarks" / "measured"
BATCH = 256
# Beyond this many standard errors two accuracies differ.
CLEAR = 2.0
BASELINES = {
    "scipy-csr": "SciPy CSR product",
    "scipy-dots": "SciPy products, one dot product per edge",
    "torch-csr": "torch `sparse.mm`, CSR",
    "torch-masked": "torch, dense with a mask",
    "torch-levels": "torch, gather and `index_add_`",
    "neat-python": "neat-python",
}
TASKS = {
    "digits, folds in order": "scikit-learn's digits, five folds in the order of the file, 5 seeds",
    "digits, folds shuffled": "the same, five stratified folds shuffled, 5 seeds",
    "wine": "wine, five stratified folds shuffled, 20 seeds",
    "breast cancer": "breast cancer, five stratified folds shuffled, 10 seeds",
    "make_classification": "`make_classification`, 500 features, 5 informative, 2,000 examples, 5 seeds",
    "make_classification as Madelon": "as in Madelon: 15 redundant, 16 clusters a class, `class_sep=2`, 5 seeds",
}
CLOCKS = {"wall": "Wall clock, medians.", "cpu": "Processor time of one thread, medians."}


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


def accuracy_tables(record):
    """A table per task: one row per model, each compared with the first."""
    by_task = {task: list(of) for task, of in itertools.groupby(record["rows"], key=lambda row: row["task"])}
    parts = []
    for task, text in TASKS.items():
        if task in by_task:
            parts += [f"**{text[0].upper()}{text[1:]}.**", task_table(by_task[task])]
    return "\n\n".join(parts)


def task_table(rows):
    """One row per model of a task; the first is the one that the others are compared with."""
    lines = []
    for row in rows:
        apart = ("", "") if row is rows[0] else difference(row["scores"], rows[0]["scores"])
        lines.append((row["model"], f"{row['edges']:,.0f}" if row["edges"] else "", spread(row["scores"]), *apart))
    return markdown(("model", "edges", "accuracy, %", "against the first, points", "so it is"), lines)


def spread(scores):
    """Mean and standard deviation of accuracies over seeds, in percent."""
    return f"{100 * np.mean(scores):.2f} ± {100 * np.std(scores, ddof=1):.2f}"


def difference(scores, reference):
    """Mean difference to the first model's scores of the same seeds, its standard error, and what follows from them."""
    apart = np.subtract(scores, reference)
    mean, error = apart.mean(), apart.std(ddof=1) / np.sqrt(len(apart))
    judged = "equal within noise" if abs(mean) <= CLEAR * error else "better" if mean > 0 else "worse"
    return f"{100 * mean:+.2f} ± {100 * error:.2f}", judged


def trainers_table(record):
    """One row per way to answer: medians of exact answers, their range over the seeds, calibration, time."""
    domains = list(record["rows"][0]["exact"])
    lines = []
    for row in record["rows"]:
        found = [100 * np.array(row["exact"][name]) for name in domains]
        cells = [f"{np.median(one):.1f} ({one.min():.1f} to {one.max():.1f})" for one in found]
        errors = [np.median(one) for one in row["calibration_error"].values()]
        seconds = f"{np.median(row['seconds']):.0f} s" if row["seconds"] else ""
        lines.append((row["name"], *cells, f"{max(errors):.3f}" if errors else "", seconds))
    return markdown(("answers by", *domains, "largest calibration error", "training"), lines)


def seconds_table(record):
    """One row per model: how long until 0.938."""
    lines = [
        (row["model"], f"{row['edges']:,.0f}", row["epochs"], f"{100 * row['accuracy']:.2f}", f"{row['seconds']:.2f}")
        for row in record["rows"]
    ]
    return markdown(("model", "edges", "epochs", "accuracy, %", "seconds a fit"), lines)


def reliability_table(figures):
    """A row per figure: what was done, what came of it, and how long that took."""
    rows = [(what, one["result"], f"{one['seconds']:,} s") for what, one in figures.items()]
    return markdown(("what was done", "what came of it", "took"), rows)


def efficiency_table():
    """The model of docs/several-machines.md, evaluated: a row per network and number of edges."""
    hosts = (2, 4, 8, 64, 1024)
    rows = []
    for network, *wire in (("100 Gbit/s (11 GB/s), 2 µs", 11e9, 2e-6), ("10 Gbit/s (1.1 GB/s), 25 µs", 1.1e9, 25e-6)):
        for n_edge in (1e6, 1e7, 1e8):
            alone = step_seconds(1, n_edge, *wire)
            shares = [f"{alone / step_seconds(n, n_edge, *wire):.0%}" for n in hosts]
            rows.append((f"{network}, {n_edge / 1e6:.0f} M edges", *shares))
    return markdown(("efficiency", "2 hosts", *hosts[1:]), rows)


def step_seconds(n_host, n_edge, bytes_per_second, latency, batch=256, rate=48e9, threads=4):
    """Seconds of a step with one rank a host, as the model of docs/several-machines.md has it; P = E."""
    n_latency = 2 if n_host == 2 and n_edge <= 1 << 18 else 7 * math.ceil(math.log2(n_host))
    passes = n_edge * batch / rate + 2.7e-9 * n_edge / threads + 60e-6
    traffic = 8 * n_edge * (n_host - 1) / (n_host * bytes_per_second)
    calls = (n_host - 1) * 1.5e-6 * (math.ceil(n_edge / (n_host * 2**20)) + 1)
    return passes + traffic + calls + 1e3 * n_host / bytes_per_second + n_latency * latency


def comparison_table():
    """README's table: one row per question, ours beside another program, also where that one is ahead."""
    peers = {(r["peer"], r["case"], r["step"], r["threads"]): r for r in saved("peers")["rows"]}
    rows = []
    for what, key in {
        "training step, layered 24 x 1,024, fan-in 32": ("torch-csr", "layered-24x1024x32", "step", 2),
        "training step, layered 8 x 1,024, fan-in 32": ("torch-masked", "layered-8x1024x32", "step", 2),
        "forward, irregular, 400,000 edges": ("torch-levels", "irregular-20k-400k", "forward", 2),
        "forward, layered 10 x 1,000, one thread": ("scipy-csr", "layered-10x1000x32", "forward", 1),
    }.items():
        row = peers[key]
        rates = f"{row['rate']:.3g} G", f"{row['peer_rate']:.2g} G"
        rows.append((what, rates[0], f"{BASELINES[key[0]]}: {rates[1]}", ahead(row["ratio"])))
    data = {row["task"]: row for row in saved("data")["rows"]}
    for name in ("polars", "duckdb"):
        ours, theirs = data["convert"], data[name]
        cells = f"{ours['rate']:.3g} MB/s", f"{name}: {theirs['rate']:.3g} MB/s"
        rows.append((f"JSONL to Parquet, {ours['size_mb']:,.0f} MB", *cells, ahead(theirs["times"])))
    scores = {(row["task"], row["model"]): row["scores"] for row in saved("accuracy")["rows"]}
    for task, what, model, other in (
        ("digits, folds shuffled", "digits", "pruned to a tenth", "MLPClassifier, StandardScaler"),
        ("breast cancer", "breast cancer", "defaults", "random forest"),
        ("wine", "wine", "defaults", "random forest"),
        ("make_classification", "500 features, 5 informative", "drop-and-grow, SET", "gradient-boosted trees"),
    ):
        mine, theirs = scores[task, model], scores[task, other]
        judged = {"better": "ours", "worse": f"**{other}**"}.get(found := difference(mine, theirs)[1], found)
        rows.append((f"accuracy, {what} ({model})", f"{spread(mine)} %", f"{other}: {spread(theirs)} %", judged))
    return markdown(("question", "grapheme_numba", "the other", "ahead"), rows)


def ahead(ratio):
    """Who is faster, and how many times."""
    return f"ours, {ratio:.3g} times" if ratio >= 1 else f"**the other**, {1 / ratio:.3g} times"


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


def section(loaded):
    """Machine, text and table of records of different kinds, in the order of `PARTS`."""
    by_kind = {record["kind"]: record for record in loaded}
    newest = next(iter(by_kind.values()))
    parts = [measured_on(newest)]
    for kind, (table, text) in PARTS.items():
        if kind in by_kind:
            parts += [f"{text} {CLOCKS[by_kind[kind].get('clock', 'wall')]}", table(by_kind[kind])]
    return "\n\n".join(parts)


def measured_on(record):
    """The machine and the versions of a record, in one line."""
    return f"Measured on: {records.headline(record['machine'])}".replace("\n", "; ")


def saved(kind):
    """The committed record of a kind."""
    return records.load(MEASURED / f"{kind}.json", kind)


def of_kinds(*kinds):
    """The block that `section` makes of committed records."""
    return lambda: section([saved(kind) for kind in kinds])


def on_its_machine(kind, table):
    """The block that says where a committed record was measured, and its table."""
    return lambda: f"{measured_on(saved(kind))}\n\n{table(saved(kind))}"


def api_reference():
    """Where the documentation of each public name is to stand; mkdocstrings writes it from the docstring."""
    return "\n\n".join(f"::: grapheme_numba.{name}" for name in gn.__all__ if name != "__version__")


BLOCKS = {
    "comparison": ("README.md", comparison_table),
    "speed": ("docs/benchmarks.md", of_kinds("kernels", "peers", "challenge")),
    "data": ("docs/benchmarks.md", of_kinds("data")),
    "accuracy": ("docs/benchmarks.md", lambda: accuracy_tables(saved("accuracy"))),
    "trainers": (
        "docs/benchmarks.md",
        lambda: f"{measured_on(saved('trainers'))}\n\n{trainers_table(saved('trainers'))}",
    ),
    "seconds": ("docs/benchmarks.md", lambda: f"{measured_on(saved('seconds'))}\n\n{seconds_table(saved('seconds'))}"),
    "ranks": ("docs/several-machines.md", of_kinds("ranks")),
    "efficiency": ("docs/several-machines.md", efficiency_table),
    "reliability": (
        "docs/reliability.md",
        lambda: reliability_table(json.loads((MEASURED / "reliability.json").read_text())),
    ),
    "options": ("docs/command-line.md", cli_reference.reference),
    "reference": ("docs/python-api.md", api_reference),
}


def markdown(header, rows):
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def replaced(name, text, inside, page="the page"):
    """`text` with `inside` between the markers of block `name`. Raises RecordError where it has none, or several."""
    begin, end = (f"<!-- {name}: {edge} -->" for edge in ("begin", "end"))
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise RecordError(f"{page} must hold {begin} and then {end}, once each; put them where the table belongs")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{inside}\n{end}{rest.split(end)[1]}"


def main(arguments=None):
    """Write the blocks of all pages, or with --check say which pages are stale. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated tables of README.md and docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a page is stale")
    check = parser.parse_args(arguments).check
    pages = {}
    for name, (page, block) in BLOCKS.items():
        before = pages.get(page, (ROOT / page).read_text())
        pages[page] = replaced(name, before, block(), page)
    stale = [page for page, text in pages.items() if text != (ROOT / page).read_text()]
    for page in stale:
        if check:
            print(f"error: {page} is stale; write it with: python benchmarks/tables.py", file=sys.stderr)
        else:
            (ROOT / page).write_text(pages[page])
            print(f"wrote {page}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
