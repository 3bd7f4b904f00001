"""Confidences that mean what they say: of the answers given with 0.9, nine in ten are right.

Every codec has a score of how clear its outputs are. What share of answers with that score is right is found on the
validation examples, as a logistic function of the score (Platt, "Probabilistic outputs for support vector machines",
1999), and stored with the model.
"""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from grapheme_numba.kernels.engine.elementary import exp_each

N_BIN = 64  # of scores; 10 of confidences are shown
SHOWN = 10
STEPS = 50  # of Newton's method; ten are enough where it converges at all
RIDGE = 1e-3  # keeps the slope finite where one score separates right from wrong


class Calibration(msgspec.Struct, frozen=True):
    """A confidence of `1 / (1 + exp(-(slope * score + offset)))`, slope at least 0."""

    slope: float
    offset: float

    def of(self, score: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """The confidences of scores."""
        odds = np.clip(self.slope * np.asarray(score, np.float64) + self.offset, -30.0, 30.0)
        return 1.0 / (1.0 + exp_each(-odds[None])[0])


def score_counts(
    score: npt.NDArray[np.floating], right: npt.NDArray[np.bool_], low: float, high: float
) -> npt.NDArray[np.float64]:
    """(3, N_BIN): of each bin of scores from `low` to `high` how many there are, how many right, and their sum."""
    clipped = np.clip(score.astype(np.float64), low, high)
    place = np.minimum(((clipped - low) / (high - low) * N_BIN).astype(np.intp), N_BIN - 1)
    return np.stack([np.bincount(place, weights, N_BIN) for weights in (np.ones(len(place)), right, clipped)])


def fit(counts: npt.NDArray[np.float64]) -> Calibration | None:
    """The calibration of counted scores (`score_counts`); None of none.

    Of each example the target is not 1 or 0 but the posterior mean of Platt (1999), so that a hundred right answers
    out of a hundred give a confidence of 0.99 and not of 1. A slope below 0 is taken for chance: then all answers
    have one confidence.
    """
    n, right, total = counts[:, counts[0] > 0]
    if not len(n):
        return None
    score, n_right, n_all = total / n, float(right.sum()), float(n.sum())
    high, low = (n_right + 1.0) / (n_right + 2.0), 1.0 / (n_all - n_right + 2.0)
    target = right * high + (n - right) * low
    flat = Calibration(0.0, math.log((n_right + 1.0) / (n_all - n_right + 1.0)))
    design, found = np.stack([score, np.ones_like(score)]), np.array([0.0, flat.offset])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(found @ design, -30.0, 30.0)))
        gradient = design @ (n * p - target) + RIDGE * found
        curvature = (design * (n * p * (1.0 - p))) @ design.T + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found = found - step * min(1.0, 4.0 / (np.abs(step).max() + 1e-12))
    if not np.isfinite(found).all() or found[0] <= 0.0:
        return flat
    return Calibration(float(f"{found[0]:.6g}"), float(f"{found[1]:.6g}"))


def reliability(counts: npt.NDArray[np.float64], calibration: Calibration) -> list[list[float]]:
    """[confidence, share of right answers, how many] of the answers in each tenth of confidences that has any."""
    n, right, total = counts[:, counts[0] > 0]
    confidence = calibration.of(total / n)
    place = np.minimum((confidence * SHOWN).astype(np.intp), SHOWN - 1)
    in_bin, sure, hit = (np.bincount(place, weights, SHOWN) for weights in (n, n * confidence, right))
    return [[float(sure[i] / in_bin[i]), float(hit[i] / in_bin[i]), int(in_bin[i])] for i in np.flatnonzero(in_bin)]


def calibration_error(bins: list[list[float]]) -> float | None:
    """The expected calibration error: mean |confidence - share of right answers|, each answer counting once."""
    n_all = sum(n for _, _, n in bins)
    return sum(n * abs(confidence - right) for confidence, right, n in bins) / n_all if n_all else None
