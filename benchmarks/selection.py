"""Tables of noise and small data: what input selection gains, beside trees and dense networks.

    python benchmarks/selection.py                       # every task, five seeds; an hour on two cores
    python benchmarks/selection.py --seeds 1 "600 columns"

Seeds from 0 on; the constants of `training/input_selection.py` were chosen on seeds from 100 on, and how many inputs
stay on parts of each training fold. Nothing is chosen on the rows that are scored.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from accuracy import MADELON, shuffled
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from grapheme_numba.estimators import DagClassifier

NETWORK = {"topology": "dense", "hidden": (100, 100)}
# The recipe of Madelon: 5 columns make the classes, 15 are mixed from them.
RECIPE = {**MADELON, "n_samples": 2600, "n_features": 600, "n_informative": 5, "class_sep": 1.0}


class Task(NamedTuple):
    """What is drawn by a seed, its folds, and the model that ours is compared with."""

    data: Callable[[int], Any]
    folds: Callable[[int], Any]
    against: str


TASKS = {
    "600 columns": Task(lambda seed: make_classification(random_state=seed, **RECIPE), shuffled, "LightGBM"),
    "500 features, 5 informative": Task(
        lambda seed: make_classification(2600, 500, n_informative=5, random_state=seed),
        lambda seed: ShuffleSplit(1, test_size=600, random_state=seed),
        "gradient-boosted trees",
    ),
}


def models(seed: int) -> Iterator[tuple[str, Any]]:
    """Ours, and those beside it, as they come."""
    from lightgbm import LGBMClassifier  # of the extra `peers`

    yield "inputs selected", DagClassifier(**NETWORK, select_inputs="auto", random_state=seed)
    yield "the same network, all inputs", DagClassifier(**NETWORK, random_state=seed)
    yield "MLPClassifier", make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
    yield "random forest", RandomForestClassifier(random_state=seed)
    yield "gradient-boosted trees", HistGradientBoostingClassifier(random_state=seed)
    yield "LightGBM", LGBMClassifier(verbose=-1, n_jobs=1, random_state=seed)


def scores(task: Task, seed: int) -> dict[str, float]:
    """Accuracy in per cent of every model, the mean over the folds of a seed."""
    X, y = task.data(seed)
    X = X.astype(np.float32)
    found: dict[str, list[float]] = {}
    for fold, (train, test) in enumerate(task.folds(seed).split(X, y)):
        for name, model in models(seed):
            fitted = clone(model).fit(X[train], y[train])
            found.setdefault(name, []).append(100 * fitted.score(X[test], y[test]))
            kept = f", {len(fitted.selected_inputs_)} inputs" if name == "inputs selected" else ""
            sys.stderr.write(f"seed {seed}, fold {fold}: {name} {found[name][-1]:.1f} %{kept}\n")
    return {name: float(np.mean(of_folds)) for name, of_folds in found.items()}


def main() -> None:
    """Measure, and print a table for each task: means over the seeds, and differences paired by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", choices=[[], *TASKS], help="Which tasks; all without.")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # networks that have not converged, as they come
    for name in given.tasks or TASKS:
        task = TASKS[name]
        found = [scores(task, seed) for seed in range(given.seeds)]
        sys.stdout.write(
            f"\n{name}, {given.seeds} seeds\n| model | accuracy, % | ours is better by, points |\n|---|---|---|\n"
        )
        for model in found[0]:
            values = np.array([one[model] for one in found])
            apart = np.array([one["inputs selected"] for one in found]) - values
            mark = " (the figure)" if model == task.against else ""
            sys.stdout.write(f"| {model} | {values.mean():.2f} ± {values.std():.2f} | {apart.mean():+.2f}{mark} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
