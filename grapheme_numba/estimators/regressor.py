"""`DagRegressor`: one linear output of a DAG per target."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from grapheme_numba import float_mode
from grapheme_numba.arguments import is_name, is_number, shown
from grapheme_numba.errors import UsageError
from grapheme_numba.estimators import scaling
from grapheme_numba.estimators.dag_estimator import DagEstimator
from grapheme_numba.estimators.scaling import Array, Rows, Scale
from grapheme_numba.network.losses import huber
from grapheme_numba.optim.optimizers import LEAST

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
    n_iter_no_change, tol, warm_start, density, select_inputs, evolve, evolve_fraction, evolve_every
    callback, n_jobs, verbose, random_state
        As for `DagClassifier`; `standardize` scales the targets too, and the decay "auto" is 0.

    Attributes
    ----------
    network_, columns_, selected_inputs_, selection_scores_, n_iter_, loss_curve_, validation_scores_
    n_features_in_, feature_names_in_
        As for `DagClassifier`; the validation score is R^2.
    """

    _multi_output = _numeric_target = True
    target_scale_: Scale

    def __init__(
        self, topology: Any = "layered", *, hidden: int | Sequence[int] = (100,), fan_in: int = 16,
        skip: float = 0.0, activation: str = "silu", init: str = "dynamic_xavier", loss: str = "squared_error",
        delta: float = 1.0, optimizer: str = "adamw", learning_rate: float = 0.01, lr_schedule: str = "cosine",
        max_iter: int = 200, batch_size: int | str = "auto", weight_decay: float | str = "auto",
        clip_grad_norm: float = 0.0, standardize: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, n_iter_no_change: int = 10, tol: float = 1e-4, warm_start: bool = False,
        density: float = 1.0, select_inputs: int | str | None = None, evolve: str | None = None,
        evolve_fraction: float = 0.3, evolve_every: int = 1,
        callback: Callable[[Any], object] | None = None, n_jobs: int | None = None, verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            topology, hidden=hidden, fan_in=fan_in, skip=skip, activation=activation, init=init,
            optimizer=optimizer, learning_rate=learning_rate, lr_schedule=lr_schedule, max_iter=max_iter,
            batch_size=batch_size, weight_decay=weight_decay, clip_grad_norm=clip_grad_norm,
            standardize=standardize, early_stopping=early_stopping, validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change, tol=tol, warm_start=warm_start, density=density,
            select_inputs=select_inputs, evolve=evolve, evolve_fraction=evolve_fraction, evolve_every=evolve_every,
            callback=callback, n_jobs=n_jobs, verbose=verbose, random_state=random_state,
        )  # fmt: skip
        self.loss = loss
        self.delta = delta

    def __sklearn_tags__(self) -> Any:  # scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @float_mode.standard()
    def predict(self, X: Any) -> Array:
        """Predicted targets, of the shape of the `y` that was fitted."""
        y = self._outputs(X)
        y = self.target_scale_.backward(y)
        return y[:, 0] if self._one_target else y

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not is_name(self.loss, LOSSES) or not is_number(self.delta, LEAST):
            raise UsageError(
                f"loss is {shown(self.loss)} and delta {shown(self.delta)}; choose one of {', '.join(LOSSES)} and a "
                "delta above 0"
            )

    def _encoded(self, y: Array, first: bool) -> npt.NDArray[np.float64]:
        if first:
            self._one_target = y.ndim == 1
        return y.reshape(len(y), -1).astype(np.float64)

    def _n_output(self, target: Array) -> int:
        return target.shape[1]

    def _measure_target(self, target: Array, weight: Array, dtype: npt.DTypeLike) -> None:
        scale = scaling.measure(target, weight) if self.standardize else scaling.unscaled(target.shape[1], dtype)
        self.target_scale_ = scale

    def _scaled_target(self, target: Array) -> Array:
        return self.target_scale_.forward(target)

    def _loss(self, y: Array, target: Array, weight: Array) -> tuple[float, Array]:
        return huber(y, target, weight, np.inf if self.loss == "squared_error" else self.delta)

    def _held_score(self, X: Rows, target: Array, weight: Array) -> float:
        y = self.target_scale_.backward(self._raw_outputs(X))
        return float(r2_score(target, y, sample_weight=weight)) if len(target) > 1 else 0.0
