"""Confidences that say how many answers are right, and numbers that fuse what they know."""

import math

import msgspec
import numpy as np
import pytest
from runs import cli, small_data, train

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, RealAnswer, TextAnswer
from grapheme_numba.data.codec.calibration import Calibration, calibration_error, fit, reliability, score_counts
from grapheme_numba.data.codec.layout import DomainLayout, Layout
from grapheme_numba.runs import checkpoint, run_folder
from grapheme_numba.runs.journal import read_rows


def drawn(rng, n, slope, offset):
    """Scores, and whether the answers are right, which they are as often as the logistic function of the score says."""
    score = rng.uniform(0.0, 1.0, n)
    return score, rng.random(n) < 1.0 / (1.0 + np.exp(-(slope * score + offset)))


def test_what_is_fitted_is_what_was_drawn(rng):
    found = fit(score_counts(*drawn(rng, 200_000, 3.0, -1.0), 0.0, 1.0))
    assert (found.slope, found.offset) == pytest.approx((3.0, -1.0), abs=0.1)


def test_confidences_are_as_often_right_as_they_say(rng):
    """On examples that were not used to fit, and counted here one by one."""
    found = fit(score_counts(*drawn(rng, 2000, 5.0, -2.0), 0.0, 1.0))
    score, right = drawn(rng, 50_000, 5.0, -2.0)
    confidence = found.of(score)
    for low in np.arange(0.0, 1.0, 0.1):
        inside = (confidence >= low) & (confidence < low + 0.1)
        if inside.sum() > 500:
            assert right[inside].mean() == pytest.approx(confidence[inside].mean(), abs=0.05)
    bins = reliability(score_counts(score, right, 0.0, 1.0), found)
    assert sum(n for _, _, n in bins) == 50_000
    assert calibration_error(bins) < 0.03


def test_a_score_that_misleads_gives_one_confidence(rng):
    score, right = drawn(rng, 1000, -4.0, 2.0)
    found = fit(score_counts(score, right, 0.0, 1.0))
    assert found.slope == 0.0
    assert found.of(np.array([0.1]))[0] == pytest.approx(right.mean(), abs=0.01)


@pytest.mark.parametrize("n", [1, 100])
def test_few_examples_make_nobody_sure(n):
    counts = score_counts(np.full(n, 0.9), np.ones(n, bool), 0.0, 1.0)
    assert fit(counts).of(np.array([0.9]))[0] == pytest.approx((n + 1) / (n + 2), abs=0.02)
    assert fit(np.zeros((3, 64))) is None


def test_the_error_by_hand():
    assert calibration_error([[0.9, 0.8, 30], [0.5, 0.6, 10]]) == pytest.approx(0.1)
    assert calibration_error([]) is None


def test_scores_of_each_kind_grow_with_how_clear_the_outputs_are():
    real = RealAnswer(mean=10.0, std=4.0, decimals=0, reach=100.0, low=0.0, high=20.0)
    assert real.score(np.array([[0.25], [0.3125], [0.375]], np.float32)).tolist() == pytest.approx([1, 0.5, 0])
    label = LabelAnswer(("a", "b", "c"))
    p = label.probabilities(np.array([[0.0, 2.0, 1.0], [3.0, 3.0, 3.0]]))
    odds = np.log(p.max(axis=1) / (1 - p.max(axis=1)))
    assert label.score(np.array([[0.0, 2.0, 1.0], [3.0, 3.0, 3.0]])) == pytest.approx(odds)
    assert np.isfinite(label.score(np.array([[np.nan, np.inf, -np.inf]]))).all()
    text = TextAnswer(1)
    assert text.score(text.encode(["x"]).targets).tolist() == [1.0]


def test_a_layout_gives_calibrated_confidences_and_keeps_them():
    answer = RealAnswer(mean=10.0, std=4.0, decimals=0, reach=100.0, low=0.0, high=20.0)
    layout = Layout.of([DomainLayout("d", "sequence", 0, 1, 0, 1, answer)], 2)
    outputs = np.array([[0.25], [0.375]], np.float32)
    assert layout.decode(0, outputs).confidence.tolist() == [1.0, 1.0]
    layout = layout.calibrated([Calibration(2.0, -1.0)], [()])
    assert layout.decode(0, outputs).confidence == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))])
    assert Layout.from_dict(msgspec.json.decode(msgspec.json.encode(layout.to_dict()))) == layout


def exact(variances=()):
    return NumberAnswer(0, 5_000_000, magnitude=10.0, wave=0.1, variances=variances)


def noisy(codec, rng, deviations, n=400):
    """Numbers, and their codes with noise of these deviations on the magnitude and on each period."""
    numbers = rng.integers(-codec.limit, codec.limit, n)
    targets = codec.encode([str(number) for number in numbers]).targets
    scale = [deviations[0] * codec.magnitude]
    for deviation in deviations[1:]:
        scale += [deviation * codec.wave] * 2
    return numbers, (targets + rng.normal(size=targets.shape) * scale).astype(np.float32)


def test_codes_that_are_fused_come_back_exactly():
    for variances in ((), tuple([0.04] * (1 + len(exact().periods)))):
        codec = exact(variances)
        answers = [str(number) for number in (0, 1, -1, 4_999_999, -5_000_000, 123_456)]
        assert codec.decode(codec.encode(answers).targets).answers == answers


def test_periods_that_were_not_learned_do_not_spoil_the_magnitude(rng):
    n = len(exact().periods)
    deviations = [1e-3, *[1.0] * n]  # all periods are noise
    numbers, outputs = noisy(exact(), rng, deviations)
    blind = exact()
    wise = exact(tuple(deviation**2 for deviation in deviations))
    errors = [
        np.abs(np.array(codec.decode(outputs).answers, float) - numbers).mean() / codec.limit for codec in (blind, wise)
    ]
    assert errors[1] == pytest.approx(1e-3 * math.sqrt(2 / math.pi), rel=0.15)
    assert errors[1] < 0.5 * errors[0]


def test_periods_that_were_learned_refine_the_magnitude(rng):
    n = len(exact().periods)
    deviations = [0.02, 0.02, 0.02, *[1.0] * (n - 2)]
    numbers, outputs = noisy(exact(), rng, deviations)
    wise = exact(tuple(deviation**2 for deviation in deviations))
    errors = np.abs(np.array(wise.decode(outputs).answers, float) - numbers) / wise.limit
    assert np.median(errors) < 0.25 * np.median(np.abs(outputs[:, 0] / 10 - numbers / wise.limit))


def test_a_run_keeps_what_validation_says(tmp_path):
    data = small_data(tmp_path / "data", 60)
    train(data, tmp_path / "run", epochs=4, val_freq=2)
    validations = [row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "validation"]
    for name, score in validations[-1]["domains"].items():
        assert score["calibration_error"] == pytest.approx(calibration_error(score["calibration"])), name
        assert sum(n for _, _, n in score["calibration"]) == score["n"] - score["n_unfit"]
    model = checkpoint.restore_model(run_folder.find(tmp_path / "run")[0])
    assert all(domain.calibration is not None for domain in model.layout.domains)
    printed = cli("evaluate", tmp_path / "run", "--data", data / "test.jsonl")
    assert "calibration" in printed.output
