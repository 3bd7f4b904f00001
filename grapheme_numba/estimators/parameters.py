"""The parameters of both estimators, and what is wrong with them."""

import numpy as np
from sklearn.base import BaseEstimator

from grapheme_numba.errors import UsageError
from grapheme_numba.sparsity.evolve import METHODS


class DagParameters(BaseEstimator):
    """What `DagClassifier` and `DagRegressor` are told; they say what it means."""

    def __init__(
        self, topology="layered", *, hidden=(100,), fan_in=16, skip=0.0, activation="silu",
        init="dynamic_xavier", optimizer="adamw", learning_rate=0.01, lr_schedule="cosine", max_iter=200,
        batch_size="auto", weight_decay="auto", clip_grad_norm=0.0, standardize=True, early_stopping=False,
        validation_fraction=0.1, n_iter_no_change=10, tol=1e-4, warm_start=False, density=1.0, evolve=None,
        evolve_fraction=0.3, evolve_every=1, callback=None, n_jobs=None, verbose=0, random_state=None,
    ):  # fmt: skip
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

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_parameters(self):
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
