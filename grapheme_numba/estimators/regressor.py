"""`DagRegressor`: one linear output of a DAG per target."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from grapheme_numba.errors import UsageError
from grapheme_numba.estimators import scaling
from grapheme_numba.estimators.dag_estimator import DagEstimator
from grapheme_numba.network.losses import huber

LOSSES = ("squared_error", "huber")


class DagRegressor(RegressorMixin, DagEstimator):
    """A regressor on any directed acyclic graph, for one target or several.

    Parameters
    ----------
    loss : "squared_error" or "huber"
        Huber's loss is linear beyond `delta` standard deviations of the target.
    delta : float
    topology, hidden, fan_in, skip, activation, init, optimizer, learning_rate, lr_schedule, max_iter
    batch_size, weight_decay, clip_grad_norm, standardize, early_stopping, validation_fraction
    n_iter_no_change, tol, warm_start, evolve, evolve_fraction, evolve_every, callback, n_jobs, verbose
    random_state
        As for `DagClassifier`; `standardize` scales the targets too, and the decay "auto" is 0.

    Attributes
    ----------
    network_, columns_, n_iter_, loss_curve_, validation_scores_, n_features_in_, feature_names_in_
        As for `DagClassifier`; the validation score is R^2.
    """

    _multi_output = _numeric_target = True

    def __init__(
        self, topology="layered", *, hidden=(100,), fan_in=16, skip=0.0, activation="silu",
        init="dynamic_xavier", loss="squared_error", delta=1.0, optimizer="adamw", learning_rate=0.01,
        lr_schedule="cosine", max_iter=200, batch_size="auto", weight_decay="auto", clip_grad_norm=0.0,
        standardize=True, early_stopping=False, validation_fraction=0.1, n_iter_no_change=10, tol=1e-4,
        warm_start=False, density=1.0, evolve=None, evolve_fraction=0.3, evolve_every=1, callback=None, n_jobs=None,
        verbose=0, random_state=None,
    ):  # fmt: skip
        super().__init__(
            topology, hidden=hidden, fan_in=fan_in, skip=skip, activation=activation, init=init,
            optimizer=optimizer, learning_rate=learning_rate, lr_schedule=lr_schedule, max_iter=max_iter,
            batch_size=batch_size, weight_decay=weight_decay, clip_grad_norm=clip_grad_norm,
            standardize=standardize, early_stopping=early_stopping, validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change, tol=tol, warm_start=warm_start, density=density, evolve=evolve,
            evolve_fraction=evolve_fraction, evolve_every=evolve_every, callback=callback, n_jobs=n_jobs,
            verbose=verbose, random_state=random_state,
        )  # fmt: skip
        self.loss = loss
        self.delta = delta

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X):
        """Predicted targets, of the shape of the `y` that was fitted."""
        y = self._outputs(X)
        y = self.target_scale_.backward(y)
        return y[:, 0] if self._one_target else y

    def _check_parameters(self):
        super()._check_parameters()
        if self.loss not in LOSSES or not self.delta > 0:
            raise UsageError(
                f"loss is {self.loss!r} and delta {self.delta!r}; choose one of {', '.join(LOSSES)} and a delta above 0"
            )

    def _encoded(self, y, first):
        if first:
            self._one_target = y.ndim == 1
        return y.reshape(len(y), -1).astype(np.float64)

    def _n_output(self, target):
        return target.shape[1]

    def _measure_target(self, target, weight):
        dtype = self.network_.dtype
        scale = scaling.measure(target, weight) if self.standardize else scaling.unscaled(target.shape[1], dtype)
        self.target_scale_ = scale

    def _scaled_target(self, target):
        return self.target_scale_.forward(target)

    def _loss(self, y, target, weight):
        return huber(y, target, weight, np.inf if self.loss == "squared_error" else self.delta)

    def _held_score(self, X, target, weight):
        y = self.target_scale_.backward(self._raw_outputs(X))
        return float(r2_score(target, y, sample_weight=weight)) if len(target) > 1 else 0.0
