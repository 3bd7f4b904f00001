"""How long a pruned network and scikit-learn's `MLPClassifier` train until they read 93.8 % of the digits.

    python benchmarks/time_to_accuracy.py seconds.json
    python benchmarks/time_to_accuracy.py seconds.json 40 120 120    # with epochs that are known: a minute

For both, the fewest epochs of `EPOCHS` are found with which the mean five-fold accuracy over `ROUNDS` seeds is 0.938,
each schedule run to its end. Then fits with those are timed in turn, on all cores that each takes by itself;
kernels are compiled before.
"""

import sys
import time
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from grapheme_numba.bench import records
from grapheme_numba.estimators import DagClassifier

WANTED = 0.938
EPOCHS = (10, 20, 30, 40, 50, 60, 80, 100, 120, 140, 160, 180, 200)
ROUNDS = 5
MODELS = {
    "pruned to a tenth": lambda **options: DagClassifier("dense", density=0.1, **options),
    "MLPClassifier, pixels / 16": lambda **options: MLPClassifier(**options),
    "the same with one BLAS thread": lambda **options: MLPClassifier(**options),
}
# Its products are small: a second BLAS thread costs more than it brings.
BLAS_THREADS = {"the same with one BLAS thread": 1}


class Time(NamedTuple):
    """What a model needs: `accuracy` is the mean over rounds, `seconds` the median of their means of five fits."""

    model: str
    edges: int
    epochs: int
    accuracy: float
    seconds: float
    rounds: list[float]


def data():
    """Pixels from 0 to 1, float32, and digits."""
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def five_fold(name, epochs, seed):
    """Mean accuracy, seconds of a fit, and edges of one of `MODELS`."""
    with threadpool_limits(limits=BLAS_THREADS.get(name), user_api="blas"):
        return _five_fold(MODELS[name], epochs, seed)


def _five_fold(make, epochs, seed):
    X, y = data()
    scores, seconds = [], 0.0
    for train, test in KFold(5).split(X):
        start = time.perf_counter()
        model = make(max_iter=epochs, random_state=seed).fit(X[train], y[train])
        seconds += time.perf_counter() - start
        scores.append(model.score(X[test], y[test]))
    edges = model.network_.n_edge if hasattr(model, "network_") else sum(layer.size for layer in model.coefs_)
    return float(np.mean(scores)), seconds / 5, edges


def fewest_epochs(name):
    """The first of `EPOCHS` with which the mean over the rounds' seeds is at least `WANTED`."""
    for epochs in EPOCHS:
        accuracy = np.mean([five_fold(name, epochs, seed)[0] for seed in range(ROUNDS)])
        sys.stdout.write(f"{epochs} epochs: {accuracy:.4f}\n")
        sys.stdout.flush()
        if accuracy >= WANTED:
            break
    return epochs


def main(path, epochs):
    """Find the epochs, time the fits in turn, save."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    epochs = [int(text) for text in epochs] or [fewest_epochs(name) for name in MODELS]
    runs = {name: [] for name in MODELS}
    for name in MODELS:
        five_fold(name, 2, 0)  # whatever has to be compiled or loaded
    for seed in range(ROUNDS):
        for name, n_epoch in zip(MODELS, epochs, strict=True):
            runs[name].append(five_fold(name, n_epoch, seed))
    rows = []
    for (name, of), n_epoch in zip(runs.items(), epochs, strict=True):
        accuracy, seconds = np.mean([run[0] for run in of]), [run[1] for run in of]
        rows.append(Time(name, of[0][2], n_epoch, float(accuracy), float(np.median(seconds)), seconds))
        sys.stdout.write(f"{name}: {n_epoch} epochs, {accuracy:.4f}, {rows[-1].seconds:.2f} s\n")
    records.save(path, records.as_record("seconds", rows))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
