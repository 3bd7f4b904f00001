"""Figures of each kind of answer against scikit-learn and plain Python, and that they add up."""

import naive
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, RealAnswer, TextAnswer
from grapheme_numba.data.codec.layout import DomainLayout
from grapheme_numba.kernels.codec.decode import edit_distance
from grapheme_numba.training.baseline import ConstantBaseline, NumberSample, to_number
from grapheme_numba.training.sums import Judged, code_points, sums_of

LABELS = ("ant", "bee", "cat", "dog")
SHARES = (0.1, 0.6, 0.3, 0.0)


def domain_of(codec):
    return DomainLayout("d", "tabular", 0, 1, 0, codec.n_output, codec)


def judged(codec, answers, outputs):
    targets, fit = codec.encode(answers)
    decoded = codec.decode(outputs).answers
    right = fit & np.array([a == b for a, b in zip(answers, decoded, strict=True)])
    loss = np.square(outputs - targets).mean(axis=1)[fit].astype(np.float64)
    return Judged(loss, np.zeros(int(fit.sum())), right, fit, outputs, targets, list(answers), decoded)


def facts_of(codec, constant, *parts):
    """The figures of all parts, each summed by itself as ranks do it."""
    total = sums_of(domain_of(codec), constant)
    for answers, outputs in parts:
        one = sums_of(domain_of(codec), constant)
        one.add(judged(codec, answers, outputs))
        total.add_figures(one.figures())
    return total.facts(None)


@pytest.mark.parametrize(
    "codec", [RealAnswer(50.0, 20.0, 1, 8e3, 0.0, 100.0), NumberAnswer(0, 125)], ids=["real", "whole"]
)
def test_figures_of_numbers_are_scikit_learns(rng, codec):
    train = rng.integers(0, 100, 500)
    constant = ConstantBaseline(500, (0.0,) * codec.n_output, float(np.median(train)), float(train.mean()))
    true = rng.integers(0, 100, 90).astype(float)
    answers = [f"{value:g}" for value in true]
    outputs = codec.encode(answers).targets + rng.normal(size=(90, codec.n_output)).astype(np.float32) * 0.3
    guess = np.array([float(text) for text in codec.decode(outputs).answers])
    facts = facts_of(codec, constant, (answers[:30], outputs[:30]), (answers[30:], outputs[30:]))
    middle, mean = np.full(90, constant.median), np.full(90, constant.mean)
    assert facts["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(true, guess))
    assert facts["mae_constant"] == pytest.approx(sklearn.metrics.mean_absolute_error(true, middle))
    assert facts["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(true, guess))
    assert facts["rmse_constant"] == pytest.approx(sklearn.metrics.root_mean_squared_error(true, mean))
    assert facts["r2"] == pytest.approx(sklearn.metrics.r2_score(true, guess))
    assert facts["r2_constant"] == pytest.approx(sklearn.metrics.r2_score(true, mean))
    assert facts["exact"] == pytest.approx(np.mean(true == guess))
    assert (facts["n"], facts["n_unfit"], facts["kind"]) == (90, 0, "number")


def test_figures_of_labels_are_scikit_learns(rng):
    codec, constant = LabelAnswer(LABELS), ConstantBaseline(100, SHARES, None)
    true = rng.choice(LABELS[:3], 120)  # one class is only ever guessed
    outputs = rng.normal(size=(120, 4)).astype(np.float32) * 2
    guess = np.array(codec.decode(outputs).answers)
    facts = facts_of(codec, constant, (true[:50], outputs[:50]), (true[50:], outputs[50:]))
    p = codec.probabilities(outputs)
    one_hot = codec.encode(true).targets
    assert facts["accuracy"] == facts["exact"] == pytest.approx(sklearn.metrics.accuracy_score(true, guess))
    assert facts["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(true, guess, average="macro"))
    assert facts["log_loss"] == pytest.approx(sklearn.metrics.log_loss(true, p, labels=LABELS))
    assert facts["mse"] == pytest.approx(np.square(p - one_hot).mean())
    assert facts["mse_constant"] == pytest.approx(np.square(np.array(SHARES) - one_hot).mean())
    assert facts["confusion"] == sklearn.metrics.confusion_matrix(true, guess, labels=LABELS).tolist()
    always = np.full(120, "bee")
    assert facts["accuracy_constant"] == pytest.approx(sklearn.metrics.accuracy_score(true, always))
    assert facts["macro_f1_constant"] == pytest.approx(
        sklearn.metrics.f1_score(true, always, average="macro", zero_division=0)
    )
    shares = np.tile(SHARES, (120, 1))
    assert facts["log_loss_constant"] == pytest.approx(sklearn.metrics.log_loss(true, shares, labels=LABELS))


def test_an_answer_of_no_class_is_wrong_and_a_class_of_its_own():
    codec = LabelAnswer(("a", "b"))
    outputs = np.array([[9, 0], [0, 9], [9, 0]], np.float32)
    facts = facts_of(codec, ConstantBaseline(2, (0.5, 0.5), None), (["a", "b", "c"], outputs))
    assert (facts["accuracy"], facts["n_unfit"]) == (pytest.approx(2 / 3), 1)
    expected = sklearn.metrics.f1_score(["a", "b", "c"], ["a", "b", "a"], average="macro", zero_division=0)
    assert facts["macro_f1"] == pytest.approx(expected)
    assert facts["confusion"] == [[1, 0], [0, 1]]


def test_many_classes_have_figures_but_no_matrix(rng):
    labels = tuple(f"c{i:03}" for i in range(100))
    codec = LabelAnswer(labels)
    true, outputs = rng.choice(labels, 300), rng.normal(size=(300, 100)).astype(np.float32)
    facts = facts_of(codec, None, (true, outputs))
    guess = codec.decode(outputs).answers
    assert facts["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(true, guess, average="macro", zero_division=0))
    assert "confusion" not in facts
    assert "accuracy_constant" not in facts


def test_figures_of_texts_are_counted_by_hand():
    codec, constant = TextAnswer(4), ConstantBaseline(9, (0.5,) * 32, None, None, "cab")
    answers = ["cat", "cab", "é", "longer"]
    outputs = codec.encode(["cat", "cub", "", "long"]).targets
    facts = facts_of(codec, constant, (answers[:2], outputs[:2]), (answers[2:], outputs[2:]))
    assert facts["exact"] == 0.25
    assert facts["exact_constant"] == 0.25
    assert facts["char_error"] == pytest.approx((0 + 1 + 1 + 2) / 13)
    assert facts["char_error_constant"] == pytest.approx((1 + 0 + 3 + 6) / 13)
    assert facts["n_unfit"] == 1


@given(st.text(max_size=8), st.text(max_size=8))
def test_distances_against_the_twin(first, second):
    assert edit_distance(code_points(first), code_points(second)) == naive.edit_distance(first, second)


def test_nothing_gives_no_figures():
    for codec in (TextAnswer(2), LabelAnswer(("a",)), NumberAnswer(0, 5)):
        facts = facts_of(codec, None)
        assert (facts["n"], facts["exact"], facts["mse"]) == (0, None, None)
    facts = facts_of(NumberAnswer(0, 5), None, (["3", "3"], NumberAnswer(0, 5).encode(["3", "2"]).targets))
    assert (facts["mae"], facts["mae_constant"], facts["r2"]) == (0.5, None, None)


def test_numbers_are_read_in_every_form():
    forms = ["1,234.5", " 7 ", "1e3", "x", "", "1_000"]
    assert [to_number(text) for text in forms] == pytest.approx([1234.5, 7, 1000, np.nan, np.nan, 1000], nan_ok=True)
    numbers = NumberSample()
    numbers.add([1.0, 2.0, np.nan, 6.0])
    assert (numbers.median(), numbers.mean()) == (2.0, 3.0)
