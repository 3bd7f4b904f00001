"""What a fitted estimator is asked: outputs in batches, and what they come from."""

from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from grapheme_numba import jit
from grapheme_numba.estimators import scaling
from grapheme_numba.network.attribution import attribute

PREDICT_ROWS = 4096


class Predicting:
    """The part of an estimator that needs its network, its columns and its scale, and changes none."""

    @contextmanager
    def _threads(self):
        """`n_jobs` kernel threads inside, the old number afterwards."""
        before = jit.n_threads()
        if self.n_jobs is not None:
            jit.set_threads(None if self.n_jobs < 0 else self.n_jobs)
        try:
            yield
        finally:
            jit.set_threads(before)

    def _outputs(self, X):
        """The network's outputs (n_sample, n_output) for unscaled `X`."""
        X = self._known(X)
        with self._threads():
            return self._raw_outputs(X)

    def _known(self, X):
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], order="C", reset=False)

    def attribute(self, X, output=None):
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

    def _raw_outputs(self, X):
        dtype = self.network_.dtype
        y = np.empty((X.shape[0], self.network_.n_output), dtype)
        for start in range(0, X.shape[0], PREDICT_ROWS):
            rows = slice(start, start + PREDICT_ROWS)
            y[rows] = self.network_.forward(
                scaling.rows_of(X, rows, self.columns_, self.scale_).astype(dtype, copy=False)
            )
        return y
