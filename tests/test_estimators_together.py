"""Estimators among others: worker processes, threads, grids, and what is saved of a network that changed."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from grapheme_numba import jit
from grapheme_numba.estimators import DagClassifier

WINE = load_wine(return_X_y=True)
THIN = {"topology": "dense", "hidden": (30,), "density": 0.2, "evolve": "set", "max_iter": 12, "random_state": 3}


def fitted(options):
    """Probabilities of a fit; what a worker of `joblib` does."""
    return DagClassifier(**options).fit(*WINE).predict_proba(WINE[0])


def test_workers_share_the_cores_and_not_the_bits():
    """Each of joblib's workers takes its part of the cores, so two of them do not run twice as many threads."""
    model = DagClassifier(**THIN)
    alone = cross_val_predict(model, *WINE, method="predict_proba", cv=2)
    np.testing.assert_array_equal(cross_val_predict(model, *WINE, method="predict_proba", cv=2, n_jobs=2), alone)
    threads = joblib.Parallel(n_jobs=2)(joblib.delayed(jit.n_threads)() for _ in range(4))
    assert max(threads) <= max(1, len(os.sched_getaffinity(0)) // 2)
    wanted = joblib.Parallel(n_jobs=2)(joblib.delayed(fitted)({**THIN, "n_jobs": 2}) for _ in range(2))
    assert np.array_equal(*wanted)


def test_threads_of_one_process_do_not_disturb_each_other():
    before = jit.n_threads()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fitted, [{**THIN, "n_jobs": 1 + number % 2} for number in range(8)]))
    assert all(np.array_equal(found[0], one) for one in found)
    assert jit.n_threads() == before


def test_a_grid_searches_densities_and_moves():
    steps = make_pipeline(StandardScaler(), DagClassifier("dense", hidden=(20,), max_iter=30, random_state=0))
    grid = {"dagclassifier__density": [0.3, 1.0], "dagclassifier__evolve": [None, "rigl"]}
    found = GridSearchCV(steps, grid, cv=2).fit(*WINE)
    assert found.best_score_ > 0.9
    assert clone(found.best_estimator_).get_params()["dagclassifier__density"] in (0.3, 1.0)


def test_a_thinned_network_is_saved_as_it_is(tmp_path):
    found = DagClassifier(**THIN).fit(*WINE)
    joblib.dump(found, tmp_path / "model.joblib")
    for copied in (pickle.loads(pickle.dumps(found)), joblib.load(tmp_path / "model.joblib")):
        assert copied.network_.n_edge == found.network_.n_edge
        # A copy numbers its nodes anew after drop-and-grow, and so adds in another order.
        np.testing.assert_allclose(copied.predict_proba(WINE[0]), found.predict_proba(WINE[0]), rtol=1e-9)
        copied.partial_fit(*WINE)
        assert copied.network_.n_edge == found.network_.n_edge
    with pytest.raises(ValueError, match="y holds the class .*7.*, which is none of"):
        found.partial_fit(WINE[0][:2], [0, 7])


def test_attributions_carry_the_features_names():
    import pandas

    X, y = load_wine(return_X_y=True, as_frame=True)
    found = DagClassifier(max_iter=60, random_state=0).fit(X, y)
    attribution = found.attribute(X)
    assert [attribution.graph.names[node] for node in attribution.graph.inputs] == list(X.columns)
    size = pandas.Series(np.abs(attribution.inputs).mean(axis=0), index=X.columns)
    assert {"proline", "flavanoids"} <= set(size.nlargest(6).index)
    assert found.attribute(X, output=1).inputs.shape == X.shape
