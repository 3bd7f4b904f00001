"""What classifier and regressor share: the loop over epochs, and outputs in batches."""

import copy
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from grapheme_numba import arguments, float_mode, jit
from grapheme_numba.errors import NonFiniteError, UsageError
from grapheme_numba.estimators import scaling
from grapheme_numba.estimators.parameters import DagParameters
from grapheme_numba.estimators.scaling import Array, Rows
from grapheme_numba.estimators.topology import build_network, keep_inputs
from grapheme_numba.network.attribution import Attribution, attribute
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.optim.optimizers import OptimizerState
from grapheme_numba.sparsity import prune
from grapheme_numba.sparsity.evolve import drop_and_grow_edges
from grapheme_numba.training import step as one_step

PREDICT_ROWS = 4096


class Predicting:
    """The part of an estimator that needs its network, its columns and its scale, and changes none."""

    n_jobs: int | None
    network_: DagNN
    columns_: npt.NDArray[np.intp]
    selected_inputs_: npt.NDArray[np.object_]
    selection_scores_: dict[int, float]
    scale_: scaling.Scale

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """`n_jobs` kernel threads inside, the old number afterwards."""
        before = jit.n_threads()
        if self.n_jobs is not None:
            jit.set_threads(None if self.n_jobs < 0 else self.n_jobs)
        try:
            yield
        finally:
            jit.set_threads(before)

    @float_mode.standard()
    def _outputs(self, X: Any) -> Array:
        """The network's outputs (n_sample, n_output) for unscaled `X`."""
        X = self._known(X)
        with self._threads():
            return self._raw_outputs(X)

    def _known(self, X: Any) -> Rows:
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", reset=False)

    @float_mode.standard()
    def attribute(self, X: Any, output: npt.ArrayLike | None = None) -> Attribution:
        """What the answers to `X` come from: by feature, node and edge, with their names.

        Parameters
        ----------
        X : array or sparse array (n_sample, n_feature)
        output : optional
            As for `grapheme_numba.network.attribution.attribute`; by default each answer's own class.

        Returns
        -------
        Attribution
            For scaled features; `save(folder)` writes Parquet.
        """
        X = self._known(X)
        rows = scaling.rows_of(X, slice(None), self.columns_, self.scale_).astype(self.network_.dtype, copy=False)
        with self._threads():
            return attribute(self.network_, rows, output)

    def _raw_outputs(self, X: Rows) -> Array:
        dtype = self.network_.dtype
        y = np.empty((X.shape[0], self.network_.n_output), dtype)
        for start in range(0, X.shape[0], PREDICT_ROWS):
            rows = slice(start, start + PREDICT_ROWS)
            y[rows] = self.network_.forward(
                scaling.rows_of(X, rows, self.columns_, self.scale_).astype(dtype, copy=False)
            )
        return y


LARGEST_AUTO_BATCH = 200
LAST_GROWTH = 0.75  # of the epochs: no edge grows later
OF_NETWORK = ("topology", "hidden", "fan_in", "skip", "activation", "standardize", "select_inputs")
# Of 0.1, 0.3 and 1 on ten data sets of 60 to 1,000 examples and on handwritten digits: 1 costs the small ones 2 points,
# 0.1 costs pruned networks 0.2. Regression wants none: R^2 of Friedman's three functions, 200 to 1,000 examples, never
# rose with it and fell by up to 0.025 at 0.3.
ADAMW_DECAY = 0.3


class DagEstimator(Predicting, DagParameters):
    """The base of `DagClassifier` and `DagRegressor`; not for direct use."""

    _multi_output: bool
    _numeric_target: bool
    _state: OptimizerState
    n_iter_: int
    loss_curve_: list[float]
    validation_scores_: list[float]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    # --- fitting --------------------------------------------------------------------------------

    @float_mode.standard()
    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Train on `X` (n_sample, n_feature), dense or sparse.

        Parameters
        ----------
        X : array or sparse array of float
        y : array (n_sample,), or (n_sample, n_output) for a regressor
        sample_weight : array (n_sample,), optional

        Returns
        -------
        self
        """
        arguments.flag("warm_start", self.warm_start)
        again = self.warm_start and self.__sklearn_is_fitted__()
        with self._undone_on_failure(deep=True):
            X, y, weight = self._checked(X, y, sample_weight, reset=not again)
            target = self._encoded(y, first=not again)
            seed = self._seed()
            X, target, weight, held = self._split(X, target, weight, seed)
            self._start(X, target, weight, seed, again)
            target = self._scaled_target(target)
            with self._threads():
                self._train(X, target, weight, held, seed)
        return self

    @float_mode.standard()
    def partial_fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """One pass over `X` at the full learning rate; the first call fixes sizes and scales.

        Parameters are those of `fit`, which has to come first where inputs are to be selected.
        """
        again = self.__sklearn_is_fitted__()
        if not again and self.select_inputs is not None:
            raise UsageError(
                "select_inputs needs all examples at once, and partial_fit may see a part of them; "
                "call fit first, or give select_inputs=None"
            )
        with self._undone_on_failure(deep=False):
            X, y, weight = self._checked(X, y, sample_weight, reset=not again)
            target = self._encoded(y, first=not again)
            self._start(X, target, weight, 0 if again else self._seed(), again)
            target = self._scaled_target(target)
            with self._threads():
                batch = scaling.batches_of(X, self.columns_, self.scale_)
                self.loss_curve_.append(
                    self._epoch(batch, target, weight, self._seed(), lambda step: self.learning_rate)
                )
            self.n_iter_ += 1
        return self

    @contextmanager
    def _undone_on_failure(self, deep: bool) -> Iterator[None]:
        """After an error the estimator is as it was before, fitted or not. `deep`: edges may change meanwhile."""
        before, fitted = dict(self.__dict__), self.__sklearn_is_fitted__()
        if fitted:
            for name in ("loss_curve_", "validation_scores_"):
                before[name] = list(before[name])
            if deep:
                before["network_"], before["_state"] = copy.deepcopy((self.network_, self._state))
            else:
                parameters, before["_state"] = self.network_.parameters.copy(), copy.deepcopy(self._state)
        try:
            yield
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            if fitted and not deep:
                self.network_.parameters[:] = parameters
                self.network_.parameters_changed()
            raise

    def __getstate__(self) -> dict[str, Any]:
        """With the optimiser's moments per edge in the caller's order, which no internal order can part."""
        return self._with_moments(dict(super().__getstate__()), "to_caller_order")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(self._with_moments(dict(state), "from_caller_order"))

    @staticmethod
    def _with_moments(state: dict[str, Any], order: str) -> dict[str, Any]:
        if "network_" in state:
            change, old = getattr(state["network_"], order), state["_state"]
            state["_state"] = old._replace(moments={name: change(moment) for name, moment in old.moments.items()})
        return state

    def _checked(
        self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None, reset: bool
    ) -> tuple[Rows, Array, Array]:
        self._check_parameters()
        X, target = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", reset=reset,
            multi_output=self._multi_output, y_numeric=self._numeric_target,
        )  # fmt: skip
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        kept = np.flatnonzero(weight)
        # An example without weight must not count anywhere: not in batches, not in scales, not in classes.
        return (X, target, weight) if kept.size == len(weight) else (X[kept], target[kept], weight[kept])

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _split(
        self, X: Rows, target: Array, weight: Array, seed: int
    ) -> tuple[Rows, Array, Array, tuple[Rows, Array, Array] | None]:
        """Training part and, for early stopping, a held-out part (X, target, weight) or None."""
        if not self.early_stopping:
            return X, target, weight, None
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(weight))
        n_held = max(1, round(self.validation_fraction * len(weight)))
        if n_held == len(weight):
            raise ValueError(f"early stopping wants at least 2 examples, n_samples = {len(weight)}")
        held, kept = np.sort(order[:n_held]), np.sort(order[n_held:])
        return X[kept], target[kept], weight[kept], (X[held], target[held], weight[held])

    def _start(self, X: Rows, target: Array, weight: Array, seed: int, again: bool) -> None:
        """A new network and a new state, or (`again`) those there are, if they are what the parameters ask for."""
        if again:
            self._refuse_another_network()
            if self._state.made_by != self.optimizer:  # its moments mean nothing to this one
                self._state = optimizers.build(self.optimizer).init(self.network_.parameters)
            return
        n_feature = X.shape[1]
        names = list(getattr(self, "feature_names_in_", [f"x{column}" for column in range(n_feature)]))
        self.scale_ = scaling.measure(X, weight) if self.standardize else scaling.unscaled(n_feature, X.dtype)
        self._measure_target(target, weight, X.dtype)
        kept, self.selection_scores_, n_output = np.arange(n_feature), {}, self._n_output(target)
        if self.select_inputs is not None:
            scaled = self._scaled_target(target)

            def loss(y: Array, rows: npt.NDArray[np.intp]) -> tuple[float, Array]:
                return self._loss(y, scaled[rows], weight[rows])

            with self._threads():
                kept, self.selection_scores_ = keep_inputs(self, X, target, weight, loss, n_output, seed)
        self.network_, columns = build_network(
            self.get_params(deep=False), [names[column] for column in kept], n_output, seed, X.dtype
        )
        self.columns_ = kept[columns]
        self.selected_inputs_ = np.array([names[column] for column in self.columns_], object)
        self._built_with = {name: getattr(self, name) for name in OF_NETWORK}
        self._n_edge_full = self.network_.n_edge
        self._state = optimizers.build(self.optimizer).init(self.network_.parameters)
        self.loss_curve_, self.validation_scores_, self.n_iter_ = [], [], 0

    def _refuse_another_network(self) -> None:
        for name, was in self._built_with.items():
            value = getattr(self, name)
            plain = isinstance(value, str | int | float) and value == was
            same = value is was or (np.array_equal(value, was) if name == "hidden" else plain)
            if not same:
                raise UsageError(
                    f"{name} is {value!r} now, but the fitted network was made with {was!r}; "
                    "set it back, or fit with warm_start=False"
                )

    def _train(self, X: Rows, target: Array, weight: Array, held: tuple[Rows, Array, Array] | None, seed: int) -> None:
        size = self._batch_rows(len(weight))
        steps = self.max_iter * -(-len(weight) // size)
        rate = schedules.build(self.lr_schedule, self.learning_rate, steps, warmup_steps=0)
        first, batch = self._state.count, scaling.batches_of(X, self.columns_, self.scale_)
        best, best_state, waited = -np.inf, None, 0
        for epoch in range(self.max_iter):
            loss = self._epoch(batch, target, weight, (seed, epoch), lambda step: rate(step - first))
            self.n_iter_ += 1
            self.loss_curve_.append(loss)
            settled = self._change_edges(epoch, seed)
            score = None if held is None else self._held_score(*held)
            self._show_epoch(epoch, loss, score)
            if self.callback is not None and self.callback(self):
                break
            if score is None:
                continue
            self.validation_scores_.append(score)
            if not settled:
                continue
            waited = 0 if score > best + self.tol else waited + 1
            if score > best:
                # With the topology: edges may change after this epoch.
                best, best_state = score, copy.deepcopy((self.network_, self._state))
            if waited >= self.n_iter_no_change:
                break
        if best_state is not None:
            self.network_, self._state = best_state

    def _change_edges(self, epoch: int, seed: int) -> bool:
        """Prune, drop and grow as `density` and `evolve` want it; false while there are still edges to prune."""
        progress = (epoch + 1) / self.max_iter
        last = progress == 1.0
        # No edge grows in the last quarter, so that the last ones to grow are trained too.
        if self.evolve and (epoch + 1) % self.evolve_every == 0 and progress < LAST_GROWTH:
            # The share falls by half a cosine (Evci et al. 2020).
            fraction = self.evolve_fraction * schedules.half_cosine(epoch / (LAST_GROWTH * self.max_iter))
            drop_and_grow_edges(self.network_, self.evolve, fraction, (seed, epoch), self._moments())
        if self.density < 1.0:
            left = prune.edges_left(1.0 if last else progress, self._n_edge_full, self.density)
            self.network_, moments = prune.prune_to(self.network_, left, self._moments())
            names = self._state.moments
            self._state = self._state._replace(moments=dict(zip(names, moments, strict=True)))
        return self.density == 1.0 or last or progress >= prune.END

    def _epoch(
        self, batch: Callable[[Array], Array], target: Array, weight: Array, seed: int | tuple[int, int],
        rate: Callable[[int], float],
    ) -> float:  # fmt: skip
        """One pass in mini-batches, `batch` giving the inputs of some rows; the mean loss of an example."""
        n_row, dag = len(weight), self.network_
        dag.zero_grad()
        dag.keeps_deltas = self.evolve == "rigl"
        optimizer = optimizers.build(self.optimizer, self._decay())
        size = self._batch_rows(n_row)
        order = np.arange(n_row)
        if size < n_row:
            order = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed))).permutation(n_row)
        total = 0.0
        for start in range(0, n_row, size):
            rows = order[start : start + size]
            weights = weight[rows]
            n = float(weights.sum())
            if n == 0:  # classes of weight 0 alone: nothing to learn from
                continue

            def of_rows(y: Array, at: npt.NDArray[np.intp] = rows, w: Array = weights) -> tuple[float, Array]:
                return self._loss(y, target[at], w)

            loss = one_step.accumulate(dag, batch(rows), of_rows)
            done = self._state.count + 1
            if not math.isfinite(loss):
                raise NonFiniteError(f"the loss is {loss} in step {done}; lower learning_rate or set clip_grad_norm")
            update = one_step.apply(dag, n, optimizer, self._state, rate(self._state.count), self.clip_grad_norm)
            if not (update.applied and update.finite):
                what = "a weight" if update.applied else "the gradient"
                raise NonFiniteError(f"{what} is not finite in step {done}; lower learning_rate or set clip_grad_norm")
            dag.parameters_changed()
            self._state = update.state
            total += loss
        return total / weight.sum()

    def _moments(self) -> tuple[Array, ...]:
        return tuple(self._state.moments.values())

    def _decay(self) -> float:
        if isinstance(self.weight_decay, str):  # "auto"
            return ADAMW_DECAY if self.optimizer == "adamw" and not self._numeric_target else 0.0
        return self.weight_decay

    def _batch_rows(self, n_row: int) -> int:
        return min(LARGEST_AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), n_row)

    def _show_epoch(self, epoch: int, loss: float, score: float | None) -> None:
        if self.verbose:
            validated = "" if score is None else f", validation score {score:.6f}"
            sys.stdout.write(f"Iteration {epoch + 1}, loss = {loss:.8f}{validated}\n")
