"""Handwritten digits with a twentieth of the edges, beside a dense network.

pip install '.[sklearn]'
python examples/digits.py [--short]
"""

import sys
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

from grapheme_numba.estimators import DagClassifier


def main(short=False):
    """Five-fold accuracy and edges of three networks."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    epochs = 40 if short else 200
    # Training begins with 14,800 edges (or 7,400) and ends with the most useful 740 (or 370).
    models = {
        "5 % of a dense DAG, 200 hidden": DagClassifier("dense", hidden=(200,), density=0.05, max_iter=epochs),
        "5 % of a dense DAG, 100 hidden": DagClassifier("dense", hidden=(100,), density=0.05, max_iter=epochs),
        "MLPClassifier, 100 hidden": MLPClassifier(max_iter=epochs),
    }
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, model in models.items():
        scores = []
        for train, test in KFold(5).split(X):
            model.set_params(random_state=0).fit(X[train], y[train])
            scores.append(model.score(X[test], y[test]))
        is_dag = isinstance(model, DagClassifier)
        edges = model.network_.n_edge if is_dag else sum(layer.size for layer in model.coefs_)
        print(f"{name}: {np.mean(scores):.1%} right, {edges:,} edges")


if __name__ == "__main__":
    main(short="--short" in sys.argv)
