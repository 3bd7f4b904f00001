"""Measure ranks against threads: examples per second of whole training runs, interleaved.

    python benchmarks/ranks.py --rounds 5 --json benchmarks/measured/ranks.json

Every contender trains the same model on the same batches (`grapheme-train agi` on the shipped data), started
anew, by `mpiexec` where it has several ranks; one run of each makes a round. A run's figure is the median
over its epochs, the first left out, of examples over the seconds between the first batch and the last step:
reading and encoding count, start, validation and checkpoints do not. A ratio is taken within its round. On a
machine that does other things as well, the fastest epoch says more than the median one: both are given.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from grapheme_numba.bench import records

CASES = {
    "default": ["--epochs", "40"],
    "million": ["--epochs", "4", "--hidden", "4096,4096,4096", "--fan-in", "96"],
}
# name: (ranks, options); without --threads the host's cores are divided among the ranks
CONTENDERS = {
    "1 rank": (1, []),
    "2 ranks": (2, []),
    "4 ranks": (4, []),
    "1 rank, 2 shards": (1, ["--gradient-shards", "2"]),
}


def rate(case: str, contender: str, folder: Path) -> tuple[float, float, int]:
    """(examples per second in the median epoch, in the fastest, edges) of one run."""
    n_rank, options = CONTENDERS[contender]
    output = folder / "run"
    program = [
        sys.executable,
        "-m",
        "grapheme_numba.cli.train",
        "agi",
        "--output",
        str(output),
        "--log-format",
        "plain",
    ]
    launcher = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(n_rank)] if n_rank > 1 else []
    words = [*launcher, *program, "--val-freq", "1000", "--keep-last", "1", *CASES[case], *options]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    rates = [row["n"] / row["seconds"] for row in rows if row["kind"] == "epoch"][1:]
    subprocess.run(["rm", "-r", str(output)], check=True)
    said = next(line for line in done.stdout.splitlines() + done.stderr.splitlines() if " edges in " in line)
    return statistics.median(rates), max(rates), int(said.split(" edges in ")[0].split()[-1].replace(",", ""))


class Row(NamedTuple):
    """One contender in one case: medians over the rounds, `ratio` to 1 rank of the same round with its range.

    fastest, fastest_ratio : the fastest epoch of all rounds, and how it compares to that of 1 rank
    """

    case: str
    n_edge: int
    contender: str
    rounds: int
    examples_per_s: float
    ratio: float
    low: float
    high: float
    fastest: float
    fastest_ratio: float


def measure(case: str, names: list[str], rounds: int) -> list[Row]:
    """One row per contender."""
    found, fastest = {name: [] for name in names}, dict.fromkeys(names, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                speed, best, n_edge = rate(case, name, Path(folder))
                found[name].append(speed)
                fastest[name] = max(fastest[name], best)
    rows = []
    for name in names:
        ratios = [a / b for a, b in zip(found[name], found["1 rank"], strict=True)]
        middle = statistics.median(found[name]), statistics.median(ratios)
        best = fastest[name], fastest[name] / fastest["1 rank"]
        rows.append(Row(case, n_edge, name, rounds, *middle, min(ratios), max(ratios), *best))
    return rows


def main() -> None:
    """Measure, print and save; rows of other cases and contenders stay in the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS)[1:])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for case in given.case or CASES:
        for row in measure(case, ["1 rank", *(given.contender or list(CONTENDERS)[1:])], given.rounds):
            rows.append(row)
            sys.stdout.write(
                f"{case} ({row.n_edge:,} edges)  {row.contender:18s} {row.examples_per_s:9,.0f} examples/s  "
                f"{row.ratio:.2f} of 1 rank ({row.low:.2f} to {row.high:.2f}); "
                f"fastest epoch {row.fastest:9,.0f}, {row.fastest_ratio:.2f}\n"
            )
            sys.stdout.flush()
    if given.json:
        record = records.as_record("ranks", rows)
        new = {(row.case, row.contender) for row in rows}
        if given.json.exists():
            old = records.load(given.json, "ranks")["rows"]
            record["rows"] = [row for row in old if (row["case"], row["contender"]) not in new] + record["rows"]
        records.save(given.json, record)


if __name__ == "__main__":
    main()
