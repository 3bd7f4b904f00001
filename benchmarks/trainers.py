"""How right the two trainers are on data that nothing was chosen on, beside estimators that are told what inputs mean.

    python benchmarks/trainers.py benchmarks/measured/trainers.json          # what the file does not hold yet
    python benchmarks/trainers.py benchmarks/measured/trainers.json unified  # rows whose name has "unified"
    python benchmarks/tables.py                                              # the table of docs/benchmarks.md

Trained on the shipped data, or on 64,000 examples of the same generator, and judged by draws of its test split that
are in neither: each unseen expression once, 1,500 series, 500 pictures, the shipped test questions. The checkpoint that
is best on the validation split answers. The estimators see an expression as its two numbers and its sign, a question as
TF-IDF of its words; LightGBM takes part where it is installed.
"""

import json
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from defaults import SHIPPED, held_out, in_percent
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import grapheme_numba as gn
from grapheme_numba.bench import records
from grapheme_numba.data.sources.generator import write_splits

TEST_SEED = 4242
N_LARGE = 80_000  # of all splits; four fifths are trained on
SEEDS = range(5)
Table = dict[str, tuple[list[Any], list[str]]]  # domain -> inputs, answers


class Result(NamedTuple):
    """One way to answer: a number a seed of each domain, and seconds of training by the clock (none of estimators)."""

    name: str
    exact: dict[str, list[float]]
    calibration_error: dict[str, list[float]]
    seconds: list[float]


def trained(trainer: str, large: bool, **options: Any) -> Callable[[int, Path], tuple[dict[str, Any], float]]:
    """A run of a trainer as a function of seed and folder."""

    def one(seed: int, folder: Path) -> tuple[dict[str, Any], float]:
        data = SHIPPED
        if large:
            data = folder / "large"
            if not data.exists():
                data.mkdir()
                write_splits(data, N_LARGE // 4, seed=1)
        output = folder / f"{trainer}-{large}-{seed}"
        began = time.perf_counter()
        gn.train(trainer, data=str(data), output=str(output), seed=seed, **options)
        seconds = time.perf_counter() - began
        return gn.load(str(output)).evaluate(str(folder / "held_out.jsonl")), seconds

    return one


def inputs(domain: str, given: dict[str, Any]) -> Any:
    """What an estimator is given of an example's input."""
    if domain == "math":
        left, sign, right = re.fullmatch(r"(\d+) ([-+*]) (\d+)", given["text"]).groups()  # type: ignore[union-attr]
        return [float(left), float(right), *(float(sign == one) for one in "+-*")]
    if domain == "timeseries":
        return [0.0] * (8 - len(given["values"])) + given["values"]
    return given["pixels"] if domain == "vision" else given["text"]


def table(rows: Iterator[dict[str, Any]]) -> Table:
    """Examples by domain."""
    found: Table = {}
    for row in rows:
        given, answers = found.setdefault(row["domain"], ([], []))
        given.append(inputs(row["domain"], row["input"]))
        answers.append(row["expected_output"])
    return found


def estimators(seed: int) -> dict[str, tuple[Any, Any]]:
    """Of each baseline one for numbers and one for classes."""
    with_scaler = [
        make_pipeline(StandardScaler(), one(max_iter=1000, random_state=seed)) for one in (MLPRegressor, MLPClassifier)
    ]
    found = {
        "MLP of scikit-learn": (with_scaler[0], with_scaler[1]),
        "random forest": (RandomForestRegressor(random_state=seed), RandomForestClassifier(random_state=seed)),
    }
    try:
        import lightgbm
    except ImportError:
        return found
    kinds = (one(verbose=-1, random_state=seed) for one in (lightgbm.LGBMRegressor, lightgbm.LGBMClassifier))
    return {**found, "LightGBM": (next(kinds), next(kinds))}


def estimated(name: str) -> Callable[[int, Path], tuple[dict[str, Any], float]]:
    """An estimator for each domain, as a function of seed and folder; answers to numbers are rounded."""

    def one(seed: int, folder: Path) -> tuple[dict[str, Any], float]:
        lines = (json.loads(line) for line in (SHIPPED / "train.jsonl").read_text().splitlines())
        train, test = table(lines), table(json.loads(line) for line in (folder / "held_out.jsonl").open())
        scores: dict[str, Any] = {}
        for domain, (x, answers) in train.items():
            number, kind = estimators(seed)[name]
            given, wanted = test[domain]
            if domain in ("math", "timeseries"):
                model = number.fit(np.array(x), np.array(answers, float))
                guess = [str(int(value)) for value in np.round(model.predict(np.array(given)))]
            elif domain == "text":
                model = make_pipeline(TfidfVectorizer(token_pattern=r"\w+"), LogisticRegression(max_iter=1000))
                guess = list(model.fit(x, answers).predict(given))
            else:
                guess = list(kind.fit(np.array(x), answers).predict(np.array(given)))
            scores[domain] = {"exact": float(np.mean([a == b for a, b in zip(guess, wanted, strict=True)]))}
        return scores, 0.0

    return one


WAYS = {
    "agi": trained("agi", False),
    "unified": trained("unified", False),
    "agi, 64,000 examples, 40 epochs, batches of 128": trained("agi", True, epochs=40, batch_size=128, val_freq=10),
    **{name: estimated(name) for name in estimators(0)},
}


def measured(name: str, folder: Path) -> Result:
    """Answer once for each seed."""
    result = Result(name, {}, {}, [])
    for seed in SEEDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks that have not converged, as they come
            scores, seconds = WAYS[name](seed, folder)
        for domain, score in scores.items():
            if domain == "all":
                continue
            result.exact.setdefault(domain, []).append(round(score["exact"], 4))
            if "calibration_error" in score:
                result.calibration_error.setdefault(domain, []).append(round(score["calibration_error"], 4))
        if seconds:
            result.seconds.append(round(seconds, 1))
    return result


def main(path: str, part: str = "") -> None:
    """Measure what the record at `path` lacks, and save after each row."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "held_out.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in held_out("test", TEST_SEED)))
        wanted = {(name,): partial(measured, name, folder) for name in WAYS if part in name}
        for row in records.completed(path, "trainers", Result, wanted):
            print(f"{row.name}: {in_percent(row.exact)}, {row.calibration_error}, {row.seconds} s", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
