"""scikit-learn's own checks, and what users of its estimators expect besides."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from grapheme_numba.errors import GraphError, UsageError
from grapheme_numba.estimators import DagClassifier, DagRegressor, scaling
from grapheme_numba.estimators.topology import NAMES
from grapheme_numba.graph.formats.pathways import from_pathways


@parametrize_with_checks([DagClassifier(), DagRegressor()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


WINE = load_wine(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)


@pytest.mark.parametrize("topology", NAMES)
def test_every_topology_learns(topology):
    found = DagClassifier(topology, hidden=(24, 12), fan_in=6, max_iter=150, random_state=0).fit(*WINE)
    assert found.score(*WINE) > 0.95
    found = DagRegressor(topology, hidden=(24, 12), fan_in=6, max_iter=100, random_state=0).fit(*DIABETES)
    assert found.score(*DIABETES) > 0.45


def test_dense_and_sparse_give_the_same(rng):
    X = rng.random((80, 12)) * (rng.random((80, 12)) < 0.4)
    y = X[:, 0] > X[:, 1]
    found = [
        DagClassifier(max_iter=10, random_state=1).fit(form(X), y) for form in (np.asarray, scipy.sparse.csr_array)
    ]
    np.testing.assert_allclose(found[0].predict_proba(X), found[1].predict_proba(scipy.sparse.csc_array(X)), rtol=1e-6)


def test_float32_stays_float32():
    X, y = WINE
    found = DagClassifier(max_iter=5, random_state=0).fit(X.astype(np.float32), y)
    assert found.network_.dtype == np.float32
    assert found.predict_proba(X).dtype == np.float32


def test_class_weight_moves_the_boundary():
    X, y = load_breast_cancer(return_X_y=True)
    shares = [
        DagClassifier(max_iter=6, class_weight=weight, random_state=0).fit(X, y).predict(X).mean()
        for weight in ({0: 50.0, 1: 1.0}, None, {0: 1.0, 1: 50.0})
    ]
    assert shares[0] < shares[1] < shares[2]


def test_warm_start_goes_on_and_partial_fit_adds_up():
    warm = DagClassifier(max_iter=3, warm_start=True, random_state=0).fit(*WINE)
    first = warm.loss_curve_[-1]
    warm.fit(*WINE)
    assert warm.n_iter_ == len(warm.loss_curve_) == 6
    assert warm.loss_curve_[-1] < first
    online = DagClassifier(random_state=0)
    for _ in range(8):
        online.partial_fit(*WINE, classes=[0, 1, 2, 3])
    assert online.n_iter_ == 8
    assert online.predict_proba(WINE[0]).shape == (len(WINE[0]), 4)
    with pytest.raises(ValueError, match="y holds the class .*7.*, which is none of"):
        online.partial_fit(WINE[0][:2], [0, 7])


def test_early_stopping_keeps_the_best():
    found = DagRegressor(max_iter=300, early_stopping=True, n_iter_no_change=4, random_state=0).fit(*DIABETES)
    assert found.n_iter_ < 300
    assert max(found.validation_scores_) == found.validation_scores_[-5]


def test_huber_resists_outliers(rng):
    X = rng.normal(size=(300, 3))
    clean = X @ [1.0, -2.0, 0.5]
    y = clean.copy()
    y[:15] += 200
    errors = [
        np.abs(DagRegressor(loss=loss, delta=0.05, max_iter=60, random_state=0).fit(X, y).predict(X) - clean).mean()
        for loss in ("squared_error", "huber")
    ]
    assert errors[1] < 0.7 * errors[0]


def test_pipelines_grids_clones_and_pickles():
    steps = make_pipeline(StandardScaler(), DagClassifier(max_iter=8, random_state=0))
    grid = GridSearchCV(steps, {"dagclassifier__fan_in": [2, 8], "dagclassifier__topology": ["layered", "scale_free"]})
    grid.fit(*WINE)
    best = grid.best_estimator_.named_steps["dagclassifier"]
    assert grid.best_score_ > 0.9
    for copied in (pickle.loads(pickle.dumps(best)), copy.deepcopy(best)):
        X = StandardScaler().fit_transform(WINE[0])
        np.testing.assert_array_equal(copied.predict_proba(X), best.predict_proba(X))
        copied.partial_fit(X, WINE[1])
    assert clone(best).get_params() == best.get_params()


def test_jobs_do_not_change_the_bits():
    found = [
        DagClassifier(max_iter=4, n_jobs=jobs, random_state=0).fit(*WINE).predict_proba(WINE[0]) for jobs in (1, 2, -1)
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_verbose_and_callback(capsys):
    seen = []

    def stop_at_three(estimator):
        seen.append(estimator.n_iter_)
        return len(seen) == 3

    DagClassifier(max_iter=9, verbose=1, callback=stop_at_three, random_state=0).fit(*WINE)
    assert seen == [1, 2, 3]
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


def test_a_pathway_graph_picks_its_genes_by_name(rng):
    """Features come in another order, one is no gene, and the root feeds one output per class."""
    import pandas

    graph = from_pathways({"p1": ("", ["g1", "g2"]), "p2": ("", ["g2", "g3"])}, [("top", "p1"), ("top", "p2")])
    X = pandas.DataFrame(rng.normal(size=(200, 4)), columns=["g3", "age", "g1", "g2"])
    y = (X["g1"] + X["g2"] > 0).map({True: "ill", False: "well"})
    found = DagClassifier(graph, activation="tanh", max_iter=200, random_state=0).fit(X, y)
    assert found.score(X, y) > 0.9
    assert found.columns_.tolist() == [2, 3, 0]
    assert found.network_.names[:3] == ("g1", "g2", "g3")
    assert found.network_.names[-2:] == ("output 0", "output 1")
    with pytest.raises(GraphError, match="3 inputs and the data 2 features, but no feature is called 'g2'"):
        DagClassifier(graph).fit(X[["g1", "g3"]], y)


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_edges_move_while_training(method):
    still = DagClassifier(fan_in=4, max_iter=60, random_state=0).fit(*WINE)
    moving = DagClassifier(fan_in=4, max_iter=60, random_state=0, evolve=method).fit(*WINE)
    assert moving.network_.n_edge == still.network_.n_edge
    assert not np.array_equal(moving.network_.topology()["senders"], still.network_.topology()["senders"])
    assert moving.score(*WINE) > 0.95


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"topology": "ring"}, "unknown topology 'ring'; choose one of layered"),
        ({"hidden": ()}, r"hidden is \(\); give the widths"),
        ({"max_iter": 0}, "max_iter is 0; give a whole number of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0 and validation_fraction 0.1"),
        ({"weight_decay": -1}, "weight_decay is -1; give 'auto' or a number of at least 0"),
        ({"batch_size": 0}, "batch_size is 0; give 'auto'"),
        ({"evolve": "grow"}, "evolve is 'grow' with evolve_fraction 0.3"),
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'"),
        ({"lr_schedule": "ramp"}, "unknown lr schedule 'ramp'"),
    ],
)
def test_wrong_parameters(parameters, message):
    with pytest.raises(UsageError, match=message):
        DagClassifier(**parameters).fit(*WINE)


def test_a_wrong_loss():
    with pytest.raises(UsageError, match="loss is 'absolute' and delta 1.0; choose one of squared_error, huber"):
        DagRegressor(loss="absolute").fit(*DIABETES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_features_may_be_in_any_unit(dtype, kind):
    """Powers of two change no digit, so that the answers have the same bits; of ten, about the same score."""
    X, y = load_iris(return_X_y=True)
    form = scipy.sparse.csr_array if kind == "sparse" else np.asarray
    given = dict(max_iter=3, hidden=(8,), random_state=0)
    X = X.astype(dtype)
    right = DagClassifier(**given).fit(form(X), y).predict_proba(form(X))
    low, high = (-100, 100) if dtype is np.float32 else (-900, 900)
    for exponent in (low, high):
        scaled = form(np.ldexp(X, exponent))
        assert np.array_equal(DagClassifier(**given).fit(scaled, y).predict_proba(scaled), right), exponent
    score = (right.argmax(axis=1) == y).mean()
    for factor in (1e-30, 1e-7):
        scaled = form((X * factor).astype(dtype))
        assert abs(DagClassifier(**given).fit(scaled, y).score(scaled, y) - score) < 0.05, factor


def test_targets_may_be_in_any_unit():
    X, y = load_diabetes(return_X_y=True)
    given = dict(max_iter=3, hidden=(8,), random_state=0)
    right = DagRegressor(**given).fit(X, y).predict(X)
    for exponent in (-400, 400):
        found = DagRegressor(**given).fit(X, np.ldexp(y, exponent)).predict(X)
        assert np.array_equal(found, np.ldexp(right, exponent)), exponent
    for factor in (1e-16, 1e60):
        model = DagRegressor(**given).fit(X, y * factor)
        assert abs(model.score(X, y * factor) - DagRegressor(**given).fit(X, y).score(X, y)) < 0.01, factor


@pytest.mark.parametrize("value", [0.1, 1e-9, -3e7, 0.0])
def test_a_column_that_does_not_vary_says_nothing(value):
    """However its mean is rounded."""
    X, y = load_iris(return_X_y=True)
    for dtype in (np.float32, np.float64):
        scale = scaling.measure(np.full((999, 1), value, dtype), np.random.default_rng(1).random(999))
        assert scale.deviation == 1


@pytest.mark.parametrize("size", [2, 150])
def test_classes_of_weight_zero_are_left_out(size):
    """Whole batches may have no weight. As in scikit-learn, what has none changes nothing."""
    X, y = load_iris(return_X_y=True)
    for weights in ({0: 1.0, 1: 0.0, 2: 1.0}, {0: 0.0, 1: 0.0, 2: 1.0}):
        model = DagClassifier(class_weight=weights, batch_size=size, max_iter=2, hidden=(8,), random_state=0).fit(X, y)
        assert np.isfinite(model.predict_proba(X)).all()
        assert not np.isin(model.predict(X), [label for label, weight in weights.items() if not weight]).all()
