"""The parameters that classifier and regressor share, and what they may be."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from grapheme_numba.errors import UsageError
from grapheme_numba.sparsity.evolve import METHODS


class DagParameters(BaseEstimator):
    """The parameters of `DagClassifier` and `DagRegressor`, which say what they mean."""

    def __init__(
        self, topology: Any = "layered", *, hidden: int | Sequence[int] = (100,), fan_in: int = 16,
        skip: float = 0.0, activation: str = "silu", init: str = "dynamic_xavier", optimizer: str = "adamw",
        learning_rate: float = 0.01, lr_schedule: str = "cosine", max_iter: int = 200,
        batch_size: int | str = "auto", weight_decay: float | str = "auto", clip_grad_norm: float = 0.0,
        standardize: bool = True, early_stopping: bool = False, validation_fraction: float = 0.1,
        n_iter_no_change: int = 10, tol: float = 1e-4, warm_start: bool = False, density: float = 1.0,
        evolve: str | None = None, evolve_fraction: float = 0.3, evolve_every: int = 1,
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
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise UsageError(f"{name} is {value!r}; give a whole number of at least {least}")
        if not self.learning_rate > 0 or not 0 < self.validation_fraction < 1:
            raise UsageError(
                f"learning_rate is {self.learning_rate!r} and validation_fraction {self.validation_fraction!r}; "
                "give a rate above 0 and a share between 0 and 1"
            )
        if not 0.0 < self.density <= 1.0:
            raise UsageError(f"density is {self.density!r}; give the share of edges to keep, above 0 and at most 1")
        if self.evolve is not None and (self.evolve not in METHODS or not 0.0 < self.evolve_fraction < 1.0):
            raise UsageError(
                f"evolve is {self.evolve!r} with evolve_fraction {self.evolve_fraction!r}; choose None or one of "
                f"{', '.join(METHODS)} and a fraction between 0 and 1"
            )
        decay = self.weight_decay
        if decay != "auto" and not (isinstance(decay, int | float | np.number) and decay >= 0):
            raise UsageError(f"weight_decay is {decay!r}; give 'auto' or a number of at least 0")
        size = self.batch_size
        if size != "auto" and (isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1):
            raise UsageError(f"batch_size is {size!r}; give 'auto' or a whole number of at least 1")
