"""scikit-learn estimators on any directed acyclic graph. Only this package imports scikit-learn."""

from grapheme_numba.estimators.classifier import DagClassifier
from grapheme_numba.estimators.regressor import DagRegressor

__all__ = ["DagClassifier", "DagRegressor"]
