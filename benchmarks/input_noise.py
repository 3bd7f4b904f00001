"""Whether noise on inputs helps series that its default was not chosen on: next values, with and without it.

    python benchmarks/input_noise.py              # three kinds of series, three seeds
    python benchmarks/input_noise.py --seeds 5

Each kind has 800 series to learn from and 2,000 to judge by, of whole numbers, as the shipped ones; the generator of
the data and the run have the same seed. The settings are the defaults of `agi`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import grapheme_numba as gn

LENGTH = 8
WIDTHS = (0.0, 0.025)
N = {"train": 800, "val": 100, "test": 2000}


def autoregressive(rng: np.random.Generator) -> list[float]:
    """A damped oscillation that each step kicks a little: x = a x' + b x'' + noise."""
    radius, angle = rng.uniform(0.85, 1.0), rng.uniform(0.2, 1.4)
    series = list(rng.normal(0, 20, 2))
    for _ in range(LENGTH - 1):
        series.append(2 * radius * np.cos(angle) * series[-1] - radius**2 * series[-2] + rng.normal(0, 0.5))
    return series


def growth(rng: np.random.Generator) -> list[float]:
    """A logistic curve towards a capacity."""
    steps = np.arange(LENGTH + 1)
    return list(rng.uniform(20, 100) / (1 + np.exp(rng.uniform(-1, 4) - rng.uniform(0.3, 1.2) * steps)))


def seasonal(rng: np.random.Generator) -> list[float]:
    """A trend with a season of three."""
    steps = np.arange(LENGTH + 1)
    return list(rng.uniform(-20, 20) + rng.uniform(-4, 4) * steps + rng.normal(0, 10, 3)[steps % 3])


KINDS: dict[str, Callable[[np.random.Generator], list[float]]] = {
    "kicked oscillation": autoregressive,
    "logistic growth": growth,
    "trend with a season": seasonal,
}


def examples(kind: str, split: str, seed: int) -> Iterator[dict[str, Any]]:
    """Records of one split."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind), list(N).index(split)])
    for index in range(N[split]):
        *given, answer = np.round(KINDS[kind](rng)).astype(int).tolist()
        yield {
            "id": f"{split}-{index}", "domain": "series", "input_type": "sequence", "input": {"values": given},
            "expected_output": str(answer), "metadata": {},
        }  # fmt: skip


def exact(kind: str, width: float, seed: int) -> float:
    """Share of the test series whose next value is right."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split in N:
            (folder / f"{split}.jsonl").write_text(
                "".join(f"{json.dumps(one)}\n" for one in examples(kind, split, seed))
            )
        output = folder / "run"
        gn.train("agi", data=str(folder), output=str(output), seed=seed, input_noise=width, val_freq=10)
        return float(gn.load(str(output)).evaluate(str(folder / "test.jsonl"))["series"]["exact"])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    sys.stdout.write(f"| series | {' | '.join(f'noise {width}: exact, %' for width in WIDTHS)} |\n|---|---|---|\n")
    for kind in KINDS:
        cells = [" ".join(f"{100 * exact(kind, width, seed):.1f}" for seed in range(given.seeds)) for width in WIDTHS]
        sys.stdout.write(f"| {kind} | {' | '.join(cells)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
