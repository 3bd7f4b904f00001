"""Which features an estimator's network reads, where `select_inputs` leaves that to be found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone

from grapheme_numba.errors import UsageError
from grapheme_numba.estimators import scaling
from grapheme_numba.estimators.scaling import Array, Rows
from grapheme_numba.estimators.topology import NAMES
from grapheme_numba.training import input_selection
from grapheme_numba.training.input_selection import Indices, Selection


def keep(
    estimator: Any,
    X: Rows,
    target: Array,
    weight: npt.NDArray[np.float64],
    loss: Callable[[Array, Indices], tuple[float, Array]],
    n_output: int,
    seed: int,
) -> Selection:
    """The features of `X` that the network of `estimator` is to read. Its scales are those of all features.

    "auto" judges numbers of features by estimators like this one, each fitted to some rows and asked about others.

    Parameters
    ----------
    estimator : DagEstimator
    X : (n_sample, n_feature)
    target : (n_sample, ...)
        As encoded, unscaled.
    weight : (n_sample,)
    loss : callable
        Outputs and row numbers -> loss summed over these rows, dL/dy.
    n_output : int
        Of the network.
    seed : int
    """
    if not isinstance(estimator.topology, str) or estimator.topology not in NAMES:
        raise UsageError(
            "select_inputs needs a network that fits any number of inputs; "
            f"give topology as one of {', '.join(NAMES)}, or select_inputs=None with a graph of your own"
        )
    columns = np.arange(X.shape[1])
    examples = input_selection.Examples(
        rows=scaling.batches_of(X, columns, estimator.scale_),
        loss=loss,
        key=target.reshape(len(target), -1)[:, 0],
        weight=weight,
        column=columns,
        n_output=n_output,
        dtype=X.dtype,
    )
    like = clone(estimator).set_params(
        select_inputs=None, warm_start=False, callback=None, verbose=0, n_jobs=None, random_state=seed
    )
    if hasattr(like, "class_weight"):
        like.set_params(class_weight=None)  # it is in `weight` already

    def score(chosen: Indices, learn: Indices, held: Indices) -> float:
        if len(held) < 2:  # R^2 of one number is none
            return 0.0
        fitted = clone(like).fit(X[learn][:, chosen], target[learn], weight[learn])
        return float(fitted.score(X[held][:, chosen], target[held], weight[held]))

    return input_selection.select(examples, estimator.select_inputs, score, seed)
