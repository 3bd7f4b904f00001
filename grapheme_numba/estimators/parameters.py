"""The parameters that classifier and regressor share, and what they may be."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from sklearn.base import BaseEstimator

from grapheme_numba import arguments
from grapheme_numba.errors import UsageError
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.network.initializers import INITS
from grapheme_numba.optim.optimizers import BELOW_1, LARGEST, LEAST, OPTIMIZERS
from grapheme_numba.optim.schedules import SCHEDULES
from grapheme_numba.sparsity.evolve import METHODS
from grapheme_numba.training import input_selection

NAMES = {"activation": ACTIVATIONS, "init": INITS, "optimizer": OPTIMIZERS, "lr_schedule": SCHEDULES}


class DagParameters(BaseEstimator):
    """The parameters of `DagClassifier` and `DagRegressor`, which say what they mean."""

    def __init__(
        self, topology: Any = "layered", *, hidden: int | Sequence[int] = (100,), fan_in: int = 16,
        skip: float = 0.0, activation: str = "silu", init: str = "dynamic_xavier", optimizer: str = "adamw",
        learning_rate: float = 0.01, lr_schedule: str = "cosine", max_iter: int = 200,
        batch_size: int | str = "auto", weight_decay: float | str = "auto", clip_grad_norm: float = 0.0,
        standardize: bool = True, early_stopping: bool = False, validation_fraction: float = 0.1,
        n_iter_no_change: int = 10, tol: float = 1e-4, warm_start: bool = False, density: float = 1.0,
        select_inputs: int | str | None = None, evolve: str | None = None, evolve_fraction: float = 0.3,
        evolve_every: int = 1,
        callback: Callable[[Any], object] | None = None, n_jobs: int | None = None, verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:  # fmt: skip
        self.topology = topology
        self.hidden = hidden
        self.fan_in = fan_in
        self.skip = skip
        self.activation = activation
        self.init = init
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.clip_grad_norm = clip_grad_norm
        self.standardize = standardize
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.density = density
        self.select_inputs = select_inputs
        self.evolve = evolve
        self.evolve_fraction = evolve_fraction
        self.evolve_every = evolve_every
        self.callback = callback
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:  # scikit-learn has no types
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self) -> None:
        for name, least in (("max_iter", 1), ("fan_in", 1), ("n_iter_no_change", 1), ("evolve_every", 1)):
            arguments.whole(name, getattr(self, name), least)
        for name in ("standardize", "early_stopping", "warm_start"):
            arguments.flag(name, getattr(self, name))
        for name, known in NAMES.items():
            value = getattr(self, name)
            if not arguments.is_name(value, known):
                what = f"{name.replace('_', ' ')} {arguments.shown(value)}"
                raise UsageError(f"unknown {what}; choose one of {', '.join(known)}")
        if not arguments.is_number(self.learning_rate, LEAST, LARGEST) or not _is_share(self.validation_fraction):
            self._refuse("a rate above 0 and a share between 0 and 1", "learning_rate", "validation_fraction")
        if not arguments.is_number(self.density, LEAST, 1):
            self._refuse("the share of edges to keep, above 0 and at most 1", "density")
        input_selection.checked("select_inputs", self.select_inputs)
        if not arguments.is_number(self.skip, 0, 1):
            self._refuse("a share between 0 and 1", "skip")
        if self.evolve is not None and not (
            arguments.is_name(self.evolve, METHODS) and _is_share(self.evolve_fraction)
        ):
            wanted = f"choose None or one of {', '.join(METHODS)} and a fraction between 0 and 1"
            raise UsageError(
                f"evolve is {arguments.shown(self.evolve)} with evolve_fraction "
                f"{arguments.shown(self.evolve_fraction)}; {wanted}"
            )
        for name, value in (("weight_decay", self.weight_decay), ("batch_size", self.batch_size)):
            if isinstance(value, str) and value == "auto":
                continue
            if name == "weight_decay" and not arguments.is_number(value, 0, LARGEST):
                self._refuse("'auto' or a number of at least 0", name)
            if name == "batch_size" and not arguments.is_whole(value, 1):
                self._refuse("'auto' or a whole number of at least 1", name)
        if not arguments.is_number(self.clip_grad_norm, 0):
            self._refuse("a number of at least 0", "clip_grad_norm")
        if not arguments.is_number(self.tol):
            self._refuse("a number", "tol")
        if not (self.n_jobs is None or arguments.is_whole(self.n_jobs, -arguments.MOST)):
            self._refuse("None or a whole number", "n_jobs")
        if not isinstance(self.verbose, int | np.integer | np.bool_):
            self._refuse("True, False or a whole number", "verbose")
        if not (self.callback is None or callable(self.callback)):
            self._refuse("None or a callable, which takes the estimator", "callback")

    def _refuse(self, wanted: str, *names: str) -> NoReturn:
        """UsageError with what stands in the parameters `names`, and what should."""
        first, *others = names
        came = "".join(f" and {name} {arguments.shown(getattr(self, name))}" for name in others)
        raise UsageError(f"{first} is {arguments.shown(getattr(self, first))}{came}; give {wanted}")


def _is_share(value: object) -> bool:
    """Whether a value lies between 0 and 1, neither of them included."""
    return arguments.is_number(value, LEAST, BELOW_1)
