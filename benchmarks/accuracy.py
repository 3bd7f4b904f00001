"""How accurate the estimators are beside dense networks and trees, with edges counted.

    python benchmarks/accuracy.py accuracy.json            # everything that the file does not hold yet; half an hour
    python benchmarks/accuracy.py accuracy.json digits     # one task
    python benchmarks/tables.py                            # the tables of docs/benchmarks.md

No configuration was chosen on these data. The defaults come from UCI's 3,823 training digits (of other writers
than scikit-learn's 1,797, which are UCI's test digits) and ten other sets of the KEEL repository; the setting of
drop-and-grow from other seeds of the generator.
"""

import sys
import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from grapheme_numba.bench import records
from grapheme_numba.estimators import DagClassifier

THIN = {"topology": "dense", "density": 0.1}


class Accuracy(NamedTuple):
    """One model on one task: a score per seed, each the mean over its folds."""

    task: str
    model: str
    edges: float
    scores: list[float]


def divided(X):
    """Pixels from 0 to 1."""
    return X / 16


def trees():
    """The two baselines that are no networks, as scikit-learn sets them up."""
    return {"random forest": RandomForestClassifier(), "gradient-boosted trees": HistGradientBoostingClassifier()}


def digits(folds):
    """Task on scikit-learn's digits: data of a seed, folds of a seed, models."""
    few = {"hidden": (36,), "fan_in": 16}
    models = {
        "pruned to a tenth": DagClassifier(**THIN),
        "MLPClassifier, pixels / 16": make_pipeline(FunctionTransformer(divided), MLPClassifier()),
        "MLPClassifier, raw pixels": MLPClassifier(),
        "MLPClassifier, StandardScaler": make_pipeline(StandardScaler(), MLPClassifier()),
        "dense": DagClassifier("dense"),
        "738 edges at random": DagClassifier(**few),
        "738 edges, drop-and-grow (SET)": DagClassifier(evolve="set", **few),
        "738 edges, drop-and-grow (RigL)": DagClassifier(evolve="rigl", **few),
        "pruned to a twentieth": DagClassifier("dense", density=0.05),
        **trees(),
    }
    return lambda seed: load_digits(return_X_y=True), folds, models


def small(load):
    """Task on a small set, stratified folds shuffled by the seed."""
    models = {
        "defaults": DagClassifier(),
        "pruned to a tenth": DagClassifier(**THIN),
        "MLPClassifier, StandardScaler": make_pipeline(StandardScaler(), MLPClassifier(max_iter=1000)),
        **trees(),
    }
    return lambda seed: load(return_X_y=True), shuffled, models


def needles(**options):
    """Task of 500 features, 5 of them informative, drawn by the seed; 2,000 examples to learn from."""

    def data(seed):
        return make_classification(n_samples=2600, n_features=500, n_informative=5, random_state=seed, **options)

    models = {
        "edges at random": DagClassifier(),
        "drop-and-grow, SET": DagClassifier(evolve="set"),
        "drop-and-grow, RigL": DagClassifier(evolve="rigl"),
        "pruned to a fortieth": DagClassifier("dense", density=0.025),
        "dense": DagClassifier("dense"),
        "MLPClassifier, StandardScaler": make_pipeline(StandardScaler(), MLPClassifier()),
        **trees(),
    }
    return data, lambda seed: ShuffleSplit(1, test_size=600, random_state=seed), models


def in_order(seed):
    """Five blocks in the order of the file, so that few writers are in two: where 0.938 comes from."""
    return KFold(5)


def shuffled(seed):
    """Five stratified folds."""
    return StratifiedKFold(5, shuffle=True, random_state=seed)


MADELON = {"n_redundant": 15, "n_clusters_per_class": 16, "class_sep": 2.0}
TASKS = {
    "digits, folds in order": digits(in_order),
    "digits, folds shuffled": digits(shuffled),
    "wine": small(load_wine),
    "breast cancer": small(load_breast_cancer),
    "make_classification": needles(),
    "make_classification as Madelon": needles(**MADELON),
}
SEEDS = {"wine": 20, "breast cancer": 10}
FEWEST_SEEDS = 5


def measured(task, name):
    """The `Accuracy` of one model."""
    data, folds, models = TASKS[task]
    scores, edges = [], []
    for seed in range(SEEDS.get(task, FEWEST_SEEDS)):
        X, y = data(seed)
        X, of_seed = X.astype(np.float32), []
        for train, test in folds(seed).split(X, y):
            model = clone(models[name])
            last = model.steps[-1][1] if hasattr(model, "steps") else model
            last.set_params(random_state=seed)
            model.fit(X[train], y[train])
            of_seed.append(model.score(X[test], y[test]))
            edges.append(n_edge(last))
        scores.append(float(np.mean(of_seed)))
    return Accuracy(task, name, float(np.mean(edges)), scores)


def n_edge(model):
    """Weights between nodes of a network, 0 for a model that is none."""
    if isinstance(model, DagClassifier):
        return model.network_.n_edge
    return sum(layer.size for layer in model.coefs_) if isinstance(model, MLPClassifier) else 0


def main(path, tasks):
    """Measure what the record at `path` lacks, and save after each model."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    wanted = {(task, name): partial(measured, task, name) for task in tasks or TASKS for name in TASKS[task][2]}
    for row in records.completed(path, "accuracy", Accuracy, wanted):
        scores = f"{np.mean(row.scores):.4f} +- {np.std(row.scores):.4f}"
        print(f"{row.task}: {row.model}: {scores}, {row.edges:.0f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
