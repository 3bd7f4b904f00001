"""`DagClassifier`: classes by softmax over the outputs of a DAG."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from grapheme_numba.arguments import shown
from grapheme_numba.errors import UsageError
from grapheme_numba.estimators.dag_estimator import DagEstimator
from grapheme_numba.estimators.scaling import Array, Rows
from grapheme_numba.kernels.engine.losses import softmax
from grapheme_numba.network.losses import cross_entropy


class DagClassifier(ClassifierMixin, DagEstimator):
    """A classifier on any directed acyclic graph, trained on softmax cross-entropy.

    Parameters
    ----------
    topology : str or graph
        "layered", "dense", "random", "small_world", "scale_free", "block_modular", or whatever
        `load_graph` reads. The inputs of a graph are matched with features by name where all are, else
        by position; its outputs feed one new output per class unless it has as many.
    hidden : sequence of int
        Widths of hidden layers; other topologies take their sum as the number of hidden nodes.
    fan_in, skip
        Incoming edges of a node, and the share of them that skip layers (or leave a block).
    activation, init
        As for `DagNN.from_edges`; outputs are linear.
    optimizer, learning_rate, lr_schedule, weight_decay, clip_grad_norm
        sgd, momentum, adam or adamw; the highest rate; constant, cosine or step; the decay "auto" is 0.3
        with adamw and 0 with the others, which would take it for a penalty on the squared weights.
    max_iter, batch_size
        Epochs, and examples per step ("auto": 200 at most).
    standardize : bool
        Scale features to mean 0 and deviation 1 first.
    early_stopping, validation_fraction, n_iter_no_change, tol
        Stop when the score on held-out examples stands still; the best epoch's network stays. With a
        `density` below 1, epochs count from when the edges are gone.
    warm_start : bool
        `fit` resumes where it stood, with the network it has: what decides about that must be as it was.
        Another optimizer begins with a new state.
    density : float
        Below 1: training begins with all edges of the topology and gradually loses the smallest weights,
        until this share of the edges is left. `"dense"` with `density=0.1` is more accurate than as many
        edges at random. Not in `partial_fit`, which does not know how long training lasts.
    select_inputs : int, "auto" or None
        Features that the network reads: so many, or ("auto") as many as answer best on rows held out of the
        training data. A first network with a strong decay learns from all features and loses the weakest, by the
        L2 norm of their outgoing weights; the network that answers is a fresh one on those that stay. For tables
        of many columns of which few inform. Not in `partial_fit` before a `fit`; with `warm_start` they stay.
    evolve, evolve_fraction, evolve_every
        None, "set" or "rigl": drop that share of the edges and grow others every so many epochs.
    class_weight : dict, "balanced" or None
    callback : callable, optional
        Called with the estimator after each epoch; a true result stops.
    n_jobs, verbose, random_state
        As in scikit-learn; results do not depend on `n_jobs`.

    Attributes
    ----------
    classes_ : ndarray (n_class,)
    network_ : DagNN
    columns_ : ndarray (n_input,)
        Feature of each input of the network.
    selected_inputs_ : ndarray (n_input,) of str
        Their names; "x0", "x1" and so on where `X` came without.
    selection_scores_ : dict of int to float
        With `select_inputs="auto"` the mean held-out score of each number of features that was tried.
    n_iter_ : int
    loss_curve_, validation_scores_ : list of float
    n_features_in_, feature_names_in_
    """

    _multi_output = _numeric_target = False
    classes_: Array

    def __init__(
        self, topology: Any = "layered", *, hidden: int | Sequence[int] = (100,), fan_in: int = 16,
        skip: float = 0.0, activation: str = "silu", init: str = "dynamic_xavier", optimizer: str = "adamw",
        learning_rate: float = 0.01, lr_schedule: str = "cosine", max_iter: int = 200,
        batch_size: int | str = "auto", weight_decay: float | str = "auto", clip_grad_norm: float = 0.0,
        standardize: bool = True, early_stopping: bool = False, validation_fraction: float = 0.1,
        n_iter_no_change: int = 10, tol: float = 1e-4, warm_start: bool = False, density: float = 1.0,
        select_inputs: int | str | None = None, evolve: str | None = None, evolve_fraction: float = 0.3,
        evolve_every: int = 1,
        class_weight: Mapping[Any, float] | str | None = None, callback: Callable[[Any], object] | None = None,
        n_jobs: int | None = None, verbose: int = 0, random_state: int | np.random.RandomState | None = None,
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
        self.class_weight = class_weight

    def partial_fit(  # type: ignore[override]  # scikit-learn has `classes` in the place of `sample_weight`
        self, X: Any, y: npt.ArrayLike, classes: npt.ArrayLike | None = None, sample_weight: npt.ArrayLike | None = None
    ) -> Self:
        """One pass over `X` at the full learning rate.

        Parameters
        ----------
        X : array or sparse array (n_sample, n_feature)
        y : array (n_sample,)
        classes : array, optional
            All classes that will come; those of the first `y` without it.
        sample_weight : array (n_sample,), optional

        Returns
        -------
        self
        """
        if not self.__sklearn_is_fitted__() and classes is not None:
            self._announced = unique_labels(classes)
        try:
            return super().partial_fit(X, y, sample_weight)
        finally:
            self.__dict__.pop("_announced", None)

    def predict(self, X: Any) -> Array:
        """The most probable class (n_sample,) of each row of `X`."""
        y = self._outputs(X)
        return self.classes_[y.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n_sample, n_class), in the order of `classes_`."""
        y = self._outputs(X)
        probabilities = np.empty_like(y)
        softmax(y, probabilities)
        return probabilities

    def _checked(
        self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None, reset: bool
    ) -> tuple[Rows, Array, Array]:
        X, y, weight = super()._checked(X, y, sample_weight, reset)
        check_classification_targets(y)
        if self.class_weight is not None:
            weight = weight * compute_sample_weight(self.class_weight, y)
            if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
                raise UsageError(
                    f"class_weight is {shown(self.class_weight)}; give finite weights of at least 0, and one above 0 "
                    "to a class that is there"
                )
        return X, y, weight

    def _encoded(self, y: Array, first: bool) -> npt.NDArray[np.intp]:
        if first:
            self.classes_ = getattr(self, "_announced", unique_labels(y))
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(f"y holds the class {unknown[0]!r}, which is none of {self.classes_}; announce it first")
        return np.searchsorted(self.classes_, y)

    def _n_output(self, target: Array) -> int:
        return len(self.classes_)

    def _measure_target(self, target: Array, weight: Array, dtype: npt.DTypeLike) -> None:
        return None

    def _scaled_target(self, target: Array) -> Array:
        return target

    def _loss(self, y: Array, target: Array, weight: Array) -> tuple[float, Array]:
        return cross_entropy(y, target, weight)

    def _held_score(self, X: Rows, target: Array, weight: Array) -> float:
        return float(np.average(self._raw_outputs(X).argmax(axis=1) == target, weights=weight))
