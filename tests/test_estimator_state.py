"""What an estimator remembers belongs to what made it: optimiser, network and edges; a failed fit leaves no trace."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris

from grapheme_numba.errors import GraphemeError, NonFiniteError, UsageError
from grapheme_numba.estimators import DagClassifier, DagRegressor
from grapheme_numba.optim.optimizers import OPTIMIZERS

X, Y = load_iris(return_X_y=True)
NAMES = list(OPTIMIZERS)


def moments(estimator):
    return {name: estimator.network_.to_caller_order(m) for name, m in estimator._state.moments.items()}


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("after", NAMES)
@pytest.mark.parametrize("before", NAMES)
def test_another_optimizer_begins_with_a_new_state(before, after, how):
    found = DagClassifier(warm_start=True, hidden=(20,), optimizer=before, max_iter=30, random_state=0).fit(X, Y)
    score = found.score(X, Y)
    found.set_params(optimizer=after, max_iter=5)
    getattr(found, how)(X, Y)
    assert found._state.made_by == after
    assert set(found._state.moments) == set(OPTIMIZERS[after].moments)
    assert found._state.count < 30 or before == after
    assert found.score(X, Y) > score - 0.1


@pytest.mark.parametrize("way", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), copy.copy])
@pytest.mark.parametrize("options", [{"evolve": "set"}, {"evolve": "rigl"}, {"density": 0.3}, {}])
def test_moments_stay_with_their_edges_in_copies(way, options):
    found = DagClassifier(
        hidden=(30, 20), fan_in=5, evolve_fraction=0.5, random_state=0, lr_schedule="constant", max_iter=12, **options
    ).fit(X, Y)
    other = way(found)
    for name, moment in moments(found).items():
        np.testing.assert_array_equal(moments(other)[name], moment)
    if way is not copy.copy:  # which shares the network
        for one in (found, other):
            one.partial_fit(X, Y)
        np.testing.assert_array_equal(other.network_.parameters, found.network_.parameters)
        assert other.loss_curve_ == found.loss_curve_


@pytest.mark.parametrize("options", [{"evolve": "set"}, {"density": 0.4}])
def test_early_stopping_keeps_the_moments_of_its_best_epoch(options):
    log = []
    found = DagClassifier(
        hidden=(30, 20), fan_in=5, random_state=0, max_iter=30, early_stopping=True, n_iter_no_change=40,
        callback=lambda one: log.append((np.array(one.network_.weights), moments(one))), **options,
    ).fit(X, Y)  # fmt: skip
    kept = next(nu for weights, nu in log if np.array_equal(weights, found.network_.weights))
    for name, moment in moments(found).items():
        np.testing.assert_array_equal(moment, kept[name])


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "change",
    [
        {"hidden": (30,)}, {"topology": "dense"}, {"fan_in": 3}, {"skip": 0.5}, {"activation": "relu"},
        {"standardize": False},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_another_network_would_need_is_refused(change, how):
    found = DagClassifier(hidden=(20,), warm_start=True, max_iter=3, random_state=0).fit(X, Y)
    before = found.predict_proba(X)
    name = next(iter(change))
    with pytest.raises(UsageError, match=rf"{name} is .* now, but the fitted network was made with"):
        getattr(found.set_params(**change), how)(X, Y)
    np.testing.assert_array_equal(found.predict_proba(X), before)
    found.set_params(hidden=[20], topology="layered", fan_in=16, skip=0.0, activation="silu", standardize=True)
    getattr(found, how)(X, Y)


def several(estimator, how):
    for _ in range(5):
        getattr(estimator, how)(X, Y)


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", [DagClassifier, DagRegressor])
def test_a_failed_fit_leaves_the_estimator_as_it_was(estimator, how):
    wild = {"optimizer": "sgd", "learning_rate": 1e200, "max_iter": 5}
    fresh = estimator(hidden=(20,), random_state=0, **wild)
    with pytest.raises(GraphemeError, match="lower learning_rate|must be a finite number"):
        several(fresh, how)
    if how == "fit":
        assert not fresh.__sklearn_is_fitted__()
    found = estimator(hidden=(20,), warm_start=True, max_iter=5, evolve="set", random_state=0).fit(X, Y)
    before, curve, state = found.predict(X), list(found.loss_curve_), moments(found)
    found.set_params(**wild)
    with pytest.raises(NonFiniteError, match="lower learning_rate or set clip_grad_norm"):
        several(found, how)
    assert np.isfinite(found.network_.parameters).all()
    if how == "fit":
        np.testing.assert_array_equal(found.predict(X), before)
        assert found.loss_curve_ == curve
        for name, moment in state.items():
            np.testing.assert_array_equal(moments(found)[name], moment)


def test_classes_of_weight_0_divide_nothing():
    for weights, size in (({0: 1.0, 1: 0.0, 2: 1.0}, 2), ({0: 0.0, 1: 0.0, 2: 1.0}, 4)):
        found = DagClassifier(class_weight=weights, batch_size=size, max_iter=3, random_state=0).fit(X, Y)
        assert np.isfinite(found.predict_proba(X)).all()
