"""Settings of the two trainers side by side, on validation examples that no test split holds: where defaults come from.

    python benchmarks/defaults.py measured/defaults.json              # everything that the file does not hold yet
    python benchmarks/defaults.py measured/defaults.json agi gelu     # settings of `agi` whose name has "gelu"

Each setting is trained on the shipped training split and judged on examples of the generator's val split that another
seed draws: 1,500 series, every unseen expression once, 500 pictures. Seconds are those of the processor, of all
threads together.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import grapheme_numba as gn
from grapheme_numba.bench import records
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.runs.journal import read_rows

SHIPPED = Path(__file__).parent.parent / "data" / "mixed_agi"
SEED = 77  # of the validation examples
WANTED = {"math": 1500, "timeseries": 1500, "vision": 500}
SEEDS = (0, 1, 2)

# What wins stands first, by the name of its trainer; each other changes one thing.
AGI: dict[str, dict[str, Any]] = {
    "default": {},
    "100 epochs": {"epochs": 100},
    "rate 0.005": {"lr": 0.005},
    "rate 0.02": {"lr": 0.02},
    "decay 0": {"weight_decay": 0.0},
    "decay 0.5": {"weight_decay": 0.5},
    "gelu": {"activation": "gelu"},
    "silu": {"activation": "silu"},
    "fan-in 32": {"fan_in": 32},
    "hidden 1024,512": {"hidden": [1024, 512]},
    "batches of 32": {"batch_size": 32},
    "no noise on inputs": {"input_noise": 0.0},
    "input noise 0.05": {"input_noise": 0.05},
}
UNIFIED: dict[str, dict[str, Any]] = {
    "default": {},
    "400 epochs": {"epochs": 400},
    "rate 0.02": {"lr": 0.02},
    "rate 0.02, decay 0.3": {"lr": 0.02, "weight_decay": 0.3},
    "decay 0": {"weight_decay": 0.0},
    "fan-in 128": {"fan_in": 128},
    "hidden 512,256": {"hidden": [512, 256]},
    "structural weight none": {"structural_weight": "none"},
    "a step every 1,024 examples": {"accumulate": "1024", "lr": 0.01, "epochs": 200},
    "a step every batch": {"accumulate": "batch", "lr": 0.01, "epochs": 100},
}
SETTINGS = {"agi": AGI, "unified": UNIFIED}


class Setting(NamedTuple):
    """One setting of a trainer: the share of exact answers of each domain and seconds, both one number a seed."""

    trainer: str
    name: str
    exact: dict[str, list[float]]
    seconds: list[float]


def held_out(split: str = "val", seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Examples to judge by. Expressions come once; series as they are drawn, texts as shipped."""
    seen, n = set(), dict.fromkeys(WANTED, 0)
    for record in generate(max(WANTED.values()), split, seed, tuple(WANTED)):
        name, given = record["domain"], json.dumps(record["input"])
        if n[name] < WANTED[name] and (name != "math" or given not in seen):
            seen.add(given)
            n[name] += 1
            yield record
    for line in (SHIPPED / f"{split}.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["domain"] == "text":
            yield record


def measured(trainer: str, name: str, folder: Path) -> Setting:
    """Train a setting once for each seed."""
    exact: dict[str, list[float]] = {}
    seconds = []
    for seed in SEEDS:
        output = folder / f"{trainer}-{len(list(folder.iterdir()))}"
        began = time.process_time()
        gn.train(trainer, data=str(folder), output=str(output), seed=seed, val_freq=10**6, **SETTINGS[trainer][name])
        seconds.append(round(time.process_time() - began, 2))
        rows = [row for row in read_rows(output / "metrics.jsonl") if row["kind"] == "validation"]
        for domain, score in rows[-1]["domains"].items():
            exact.setdefault(domain, []).append(round(score["exact"], 4))
    return Setting(trainer, name, exact, seconds)


def main(path: str, trainer: str = "", part: str = "") -> None:
    """Measure what the record at `path` lacks, and save after each setting."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "train.jsonl").write_bytes((SHIPPED / "train.jsonl").read_bytes())
        (folder / "val.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in held_out()))
        wanted = {
            (own, name): partial(measured, own, name, folder)
            for own, settings in SETTINGS.items()
            for name in settings
            if trainer in ("", own) and part in name
        }
        for row in records.completed(path, "defaults", Setting, wanted):
            seconds = np.median(row.seconds)
            print(f"{row.trainer}: {row.name}: {in_percent(row.exact)}, {seconds:.0f} s", flush=True)


def in_percent(exact: dict[str, list[float]]) -> dict[str, str]:
    """The median over the seeds of each domain."""
    return {domain: f"{100 * np.median(found):.1f}" for domain, found in exact.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
