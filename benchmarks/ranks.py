"""Measure ranks against threads: examples per second of whole training runs, interleaved.

    python benchmarks/ranks.py --rounds 5 --json benchmarks/measured/ranks.json

Every contender trains the same model on the same batches (`grapheme-train agi` on the shipped data), started
anew, by `mpiexec` where it has several ranks; one run of each makes a round. A run's figure is the median
over its epochs, the first left out, of examples over the seconds between the first batch and the last step:
reading and encoding count, start, validation and checkpoints do not. A ratio is taken within its round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from grapheme_numba.bench import machine

CASES = {
    "default": ["--epochs", "40"],
    "million": ["--epochs", "4", "--hidden", "4096,4096,4096", "--fan-in", "96"],
}
# name: (ranks, options); without --threads the host's cores are divided among the ranks
CONTENDERS = {
    "1 rank": (1, []),
    "2 ranks": (2, []),
    "4 ranks": (4, []),
    "1 rank, 2 shards": (1, ["--shards", "2"]),
}


def rate(case: str, contender: str, folder: Path) -> tuple[float, int]:
    """(examples per second, edges) of one run."""
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
    return statistics.median(rates), int(said.split(" edges in ")[0].split()[-1].replace(",", ""))


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", action="append", choices=list(CASES))
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = list(dict.fromkeys(["1 rank", *(given.contender or CONTENDERS)]))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in given.case or CASES:
            found = {name: [] for name in names}
            for _ in range(given.rounds):
                for name in names:
                    speed, n_edge = rate(case, name, Path(folder))
                    found[name].append(speed)
            for name in names:
                ratios = [a / b for a, b in zip(found[name], found["1 rank"], strict=True)]
                rows.append({
                    "case": case, "n_edge": n_edge, "contender": name, "rounds": given.rounds,
                    "examples_per_s": statistics.median(found[name]), "ratio": statistics.median(ratios),
                    "low": min(ratios), "high": max(ratios),
                })  # fmt: skip
                one = rows[-1]
                sys.stdout.write(
                    f"{case} ({n_edge:,} edges)  {name:18s} {one['examples_per_s']:9,.0f} examples/s  "
                    f"{one['ratio']:.2f} of 1 rank ({one['low']:.2f} to {one['high']:.2f})\n"
                )
                sys.stdout.flush()
    if given.json:
        record = {"machine": machine.facts(), "cores": len(os.sched_getaffinity(0)), "rows": rows}
        given.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
