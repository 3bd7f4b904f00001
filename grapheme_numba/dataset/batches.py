"""Batches: the arrays of one training step, streamed from Parquet in a seeded order."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """B examples, encoded. Arrays are C-contiguous; do not write into them.

    domain : (B,) int32, index into `layout.domains`
    tokens : (B, text_length) int32, byte + 1, 0 is padding; all 0 where the input is not text
    values : (B, value_width) float32, a sequence (right-aligned) or an image (row-major) in the first
        n_input columns of its domain, scaled; 0 elsewhere
    targets : (B, n_target) float32, the answer's code from column 0; 0 elsewhere
    n_active : (B,) int32, target columns that count: n_output of the domain, or 0 when the input or the
        answer does not fit
    answer_length : (B,) int32, code points of the expected answer
    rows : (B,) int64, row numbers in the dataset
    ids, answers : sequences of B str, made when looked at
    """

    domain: np.ndarray
    tokens: np.ndarray
    values: np.ndarray
    targets: np.ndarray
    n_active: np.ndarray
    answer_length: np.ndarray
    rows: np.ndarray
    ids: Sequence[str]
    answers: Sequence[str]
