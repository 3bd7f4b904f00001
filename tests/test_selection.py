"""The figure by which the best checkpoint is chosen."""

import pytest

from grapheme_numba.training.metrics import Score, selection


def scores(*pairs):
    return [*(score(str(i), mse, constant) for i, (mse, constant) in enumerate(pairs)), score("all", 9.0, 9.0)]


def score(domain, mse, constant, exact=1.0):
    return Score(domain=domain, n=1, mse=mse, mse_constant=constant, exact=exact, structural=0.0, n_unfit=0)


def test_every_domain_counts_in_shares_of_its_constant():
    assert selection(scores((0.04, 0.16), (0.09, 0.36))) == pytest.approx(0.5)
    numbers_better = selection(scores((0.20, 0.33), (0.0049, 0.064)))
    texts_better = selection(scores((0.21, 0.33), (0.0003, 0.064)))
    assert texts_better < numbers_better


def test_a_perfect_or_unknown_constant_leaves_the_error_itself():
    assert selection(scores((0.25, 0.0))) == 0.5
    assert selection(scores((0.25, None))) == 0.5


def test_right_answers_outweigh_probabilities_that_are_too_sure():
    """A domain of labels whose errors grow with its certainty, beside numbers that go on learning."""
    early = [score("text", 0.003, 0.02, 0.9), score("series", 0.02, 1.0, 0.25), score("all", 9.0, 9.0)]
    late = [score("text", 0.006, 0.02, 0.9), score("series", 0.005, 1.0, 0.60), score("all", 9.0, 9.0)]
    assert selection(late) < selection(early)
    assert selection(early) == pytest.approx((0.15**0.5 + 0.1 + 0.02**0.5 + 0.75) / 2)


def test_nothing_judged():
    assert selection(scores((None, 0.3))) is None
    assert selection(scores()) is None
