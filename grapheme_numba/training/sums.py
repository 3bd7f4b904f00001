"""Sums over the examples of a domain from which its figures follow, one kind of answer at a time.

Each kind keeps one flat array of sums: ranks exchange them, and batches add up in any grouping.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer
from grapheme_numba.data.codec.calibration import N_BIN, Calibration, calibration_error, reliability, score_counts
from grapheme_numba.data.codec.layout import DomainLayout
from grapheme_numba.kernels.codec.decode import edit_distance
from grapheme_numba.kernels.engine.elementary import log_each
from grapheme_numba.training.baseline import ConstantBaseline, to_number

MOST_SHOWN = 32  # classes of a confusion matrix; larger ones nobody reads
LEAST_PROBABILITY = 1e-15  # as scikit-learn's log loss takes the logarithm of


class Judged(NamedTuple):
    """Examples of one domain with what a model says, n of them, of which n_fit fit.

    loss, structural : (n_fit,) float64; right, fit : (n,) bool
    outputs, targets : (n, n_output) float32; those of examples that do not fit are not looked at
    answers, decoded : lists of n str
    """

    loss: npt.NDArray[np.float64]
    structural: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    fit: npt.NDArray[np.bool_]
    outputs: npt.NDArray[np.floating[Any]]
    targets: npt.NDArray[np.floating[Any]]
    answers: list[str]
    decoded: list[str]


class Sums:
    """What is summed for every kind: examples, those that fit, right answers, squared errors, structural losses."""

    n_extra = 0

    def __init__(self, domain: DomainLayout, constant: ConstantBaseline | None) -> None:
        self.domain, self.constant = domain, constant
        self.common, self.counts, self.extra = np.zeros(6), np.zeros((3, N_BIN)), np.zeros(self.n_extra)

    def add(self, judged: Judged) -> None:
        """Add examples."""
        targets, answer = judged.targets[judged.fit], self.domain.answer
        squared = brier(judged, answer) if isinstance(answer, LabelAnswer) else judged.loss
        mean_code = self.constant.mean_code if self.constant is not None else ()
        constant = np.square(targets - np.asarray(mean_code)).mean(axis=1).sum() if mean_code else 0.0
        n, n_fit = len(judged.answers), len(targets)
        self.common += n, n_fit, judged.right.sum(), squared.sum(), constant, judged.structural.sum()
        if is_calibrated(self.domain):
            score = answer.score(np.ascontiguousarray(judged.outputs[judged.fit], np.float32))
            self.counts += score_counts(score, judged.right[judged.fit], *answer.score_range)
        self.add_extra(judged)

    def add_extra(self, judged: Judged) -> None:
        """Add what only this kind has."""

    def figures(self) -> npt.NDArray[np.float64]:
        """Everything that was added up, one float64 array."""
        return np.concatenate([self.common, self.counts.ravel(), self.extra])

    def add_figures(self, figures: npt.NDArray[np.float64]) -> None:
        """Add the `figures` of other examples of the domain."""
        common, counts, extra = np.split(figures, [len(self.common), len(self.common) + self.counts.size])
        self.common += common
        self.counts += counts.reshape(self.counts.shape)
        self.extra += extra

    def variances(self) -> tuple[float, ...]:
        """What a code of numbers has to know of its residuals; nothing of other kinds."""
        return ()

    def facts(self, calibration: Calibration | None) -> dict[str, Any]:
        """The figures of `Score` that follow, confidences as `calibration` has them."""
        n, n_fit, n_right, squared, constant, structural = self.common.tolist()
        known = self.constant is not None and self.constant.mean_code
        return {
            "domain": self.domain.name,
            "kind": self.domain.answer.kind,
            "n": int(n),
            "mse": ratio(squared, n_fit),
            "mse_constant": ratio(constant, n_fit) if known else None,
            "exact": ratio(n_right, n),
            "structural": ratio(structural, n_fit),
            "n_unfit": int(n - n_fit),
            **self.confidence_facts(calibration),
            **(self.extra_facts() if n else {}),
        }

    def confidence_facts(self, calibration: Calibration | None) -> dict[str, Any]:
        """Reliability and expected calibration error of confidences that are calibrated."""
        if calibration is None or not self.counts[0].any():
            return {}
        bins = reliability(self.counts, calibration)
        return {"calibration": bins, "calibration_error": calibration_error(bins)}

    def extra_facts(self) -> dict[str, Any]:
        """The figures that only this kind has."""
        return {}


class NumberSums(Sums):
    """Absolute and squared errors of decoded numbers, and what the constant's are: those of median and mean.

    An answer that does not fit counts where it is a number; R² is 1 - (squared errors) / (squared deviations from
    the mean of these answers), as everywhere.
    """

    def __init__(self, domain: DomainLayout, constant: ConstantBaseline | None) -> None:
        self.n_code = domain.n_output if isinstance(domain.answer, NumberAnswer) else 0
        self.n_extra = 6 + self.n_code
        super().__init__(domain, constant)

    def variances(self) -> tuple[float, ...]:
        """Of an exact code the mean squares of what outputs are off: of the magnitude, and of each period."""
        answer, n_fit = self.domain.answer, self.common[1]
        if not isinstance(answer, NumberAnswer) or not n_fit:
            return ()
        of_code = self.extra[6:] / n_fit / np.square([answer.magnitude, *[answer.wave] * (self.n_code - 1)])
        waves = of_code[1:].reshape(-1, 2).mean(axis=1)
        return tuple(float(f"{variance:.6g}") for variance in [of_code[0], *waves])

    def add_extra(self, judged: Judged) -> None:
        """Add the errors of the answers that are numbers."""
        true = np.array([to_number(answer) for answer in judged.answers])
        guess = np.array([to_number(answer) for answer in judged.decoded])
        middle, centre = self._constants()
        guess[~np.isfinite(guess)] = middle  # a code of nothing counts as the constant's own guess
        finite = np.isfinite(true)
        true, guess = true[finite], guess[finite]
        error, deviation = guess - true, true - centre
        absolute, constant = np.abs(error).sum(), np.abs(middle - true).sum()
        squares = np.square(error).sum(), deviation.sum(), np.square(deviation).sum()
        self.extra[:6] += len(true), absolute, constant, *squares
        if self.n_code:
            residuals = judged.outputs[judged.fit] - judged.targets[judged.fit]
            self.extra[6:] += np.square(residuals.astype(np.float64)).sum(axis=0)

    def _constants(self) -> tuple[float, float]:
        """(median, mean) of the training answers."""
        if self.constant is None or self.constant.median is None:
            return 0.0, 0.0
        median, mean = self.constant.median, self.constant.mean
        return median, median if mean is None else mean

    def extra_facts(self) -> dict[str, Any]:
        """MAE, RMSE and R²; None of no numbers, R² also where all answers are the same."""
        n, absolute, constant, squared, deviation, squared_deviation = self.extra[:6].tolist()
        spread = squared_deviation - deviation**2 / n if n else 0.0
        known, varied = self.constant is not None, n > 1 and spread > 1e-12 * squared_deviation
        return {
            "mae": ratio(absolute, n),
            "mae_constant": ratio(constant, n) if known else None,
            "rmse": root(ratio(squared, n)),
            "rmse_constant": root(ratio(squared_deviation, n)) if known else None,
            "r2": 1.0 - squared / spread if varied else None,
            "r2_constant": 1.0 - squared_deviation / spread if varied and known else None,
        }


class LabelSums(Sums):
    """Log loss, and which class was taken for which.

    An answer that is none of the classes is a class of its own that is never found.
    """

    def __init__(self, domain: DomainLayout, constant: ConstantBaseline | None) -> None:
        self.n_class = domain.answer.n_output
        self.shown = self.n_class if self.n_class <= MOST_SHOWN else 0
        self.n_extra = 1 + 4 * self.n_class + self.shown**2
        super().__init__(domain, constant)

    def add_extra(self, judged: Judged) -> None:
        """Add the classes of the examples."""
        k, fit = self.n_class, judged.fit
        probabilities = cast(LabelAnswer, self.domain.answer).probabilities(judged.outputs)
        guess, true = probabilities.argmax(axis=1), judged.targets[fit].argmax(axis=1)
        of_true = probabilities[fit][np.arange(len(true)), true]
        self.extra[0] -= log_each(np.maximum(of_true, LEAST_PROBABILITY)).sum()
        counts = self.extra[1 : 1 + 4 * k].reshape(4, k)
        counts += np.stack(
            [
                np.bincount(true, minlength=k),
                np.bincount(guess, minlength=k),
                np.bincount(true[true == guess[fit]], minlength=k),
                np.bincount(guess[~fit], minlength=k),
            ]
        )
        if self.shown:
            self.extra[1 + 4 * k :] += np.bincount(true * k + guess[fit], minlength=k * k)

    def extra_facts(self) -> dict[str, Any]:
        """Accuracy, macro F1, log loss and the confusion matrix, rows of true classes."""
        k, (n, n_fit) = self.n_class, self.common[:2].tolist()
        true, guess, hit, _ = self.extra[1 : 1 + 4 * k].reshape(4, k)
        share = np.asarray(self.constant.mean_code if self.constant is not None else ())
        facts: dict[str, Any] = {
            "accuracy": ratio(hit.sum(), n),
            "macro_f1": macro_f1(true, guess, hit, n - n_fit),
            "log_loss": ratio(self.extra[0], n_fit),
        }
        if len(share):
            most = int(share.argmax())
            always = np.zeros(k)
            always[most] = n
            found = np.where(np.arange(k) == most, true, 0.0)
            log_share = np.log(np.maximum(share, LEAST_PROBABILITY))
            facts["accuracy_constant"] = ratio(true[most], n)
            facts["macro_f1_constant"] = macro_f1(true, always, found, n - n_fit)
            facts["log_loss_constant"] = ratio(-(true * log_share).sum(), n_fit)
        if self.shown:
            facts["confusion"] = self.extra[1 + 4 * k :].reshape(k, k).astype(int).tolist()
        return facts


class TextSums(Sums):
    """Characters that would have to be changed, and what the commonest training answer would give."""

    n_extra = 4

    def add_extra(self, judged: Judged) -> None:
        """Add the distances of the decoded texts."""
        mode = self.constant.mode if self.constant is not None else None
        for answer, decoded in zip(judged.answers, judged.decoded, strict=True):
            true = code_points(answer)
            constant = 0 if mode is None else edit_distance(true, code_points(mode))
            self.extra += edit_distance(true, code_points(decoded)), len(true), constant, answer == mode

    def extra_facts(self) -> dict[str, Any]:
        """Character error (Levenshtein distance by expected characters) and the constant's figures."""
        distance, length, constant, n_right = self.extra.tolist()
        known = self.constant is not None and self.constant.mode is not None
        return {
            "char_error": ratio(distance, length),
            "char_error_constant": ratio(constant, length) if known else None,
            "exact_constant": ratio(n_right, self.common[0]) if known else None,
        }


def brier(judged: Judged, answer: LabelAnswer) -> npt.NDArray[np.float64]:
    """(n_fit,): squared error of the probabilities, mean over classes."""
    probabilities = answer.probabilities(judged.outputs[judged.fit])
    return np.square(probabilities - judged.targets[judged.fit]).mean(axis=1)


def is_calibrated(domain: DomainLayout) -> bool:
    """Whether confidences of a domain say how many answers are right.

    A number in a table is an estimate, and next to never right to the last digit.
    """
    return domain.input_type != "tabular" or isinstance(domain.answer, LabelAnswer)


KINDS: dict[str, type[Sums]] = {"number": NumberSums, "label": LabelSums, "text": TextSums}


def sums_of(domain: DomainLayout, constant: ConstantBaseline | None) -> Sums:
    """Empty sums for the kind of answer of a domain."""
    return KINDS[domain.answer.kind](domain, constant)


def macro_f1(true: npt.NDArray[Any], guess: npt.NDArray[Any], hit: npt.NDArray[Any], n_stranger: float) -> float | None:
    """The mean over classes of `2 hit / (true + guess)`, of those that are true or guessed at least once.

    true, guess, hit : (n_class,) numbers of examples; n_stranger : examples of no known class, one class more
    """
    seen = true + guess > 0
    n = int(seen.sum()) + int(n_stranger > 0)
    return float((2.0 * hit[seen] / (true + guess)[seen]).sum()) / n if n else None


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """(n,) uint32: the characters of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def ratio(total_sum: float, n: float) -> float | None:
    """The mean, or None of nothing."""
    return float(total_sum) / n if n else None


def root(square: float | None) -> float | None:
    """The square root, of None None."""
    return None if square is None else float(np.sqrt(square))
