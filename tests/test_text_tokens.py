"""Texts as tokens: numbers with a value, words in buckets, against regular expressions in plain Python."""

import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.data.codec.answers import TextAnswer
from grapheme_numba.data.codec.inputs import text_scaling, token_ends, words_of
from grapheme_numba.data.codec.layout import BUCKETS, DomainNeeds, Layout
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.stream.batches import encode_examples
from grapheme_numba.data.summary import Spread, TextSummary
from grapheme_numba.kernels.codec.text_tokens import NUMBER, read_token, small

TEXTS = st.text(st.sampled_from("0123456789.-+ ()abzAé€,"), max_size=24) | st.text(max_size=24)


def pieces(text):
    """The tokens of a text as the package cuts it: [(bytes, value)]."""
    data, start = text.encode(), 0
    found = []
    for end in token_ends(text).tolist():
        _, is_number, value = read_token(np.frombuffer(data, np.uint8), start, 0, len(data))
        found.append((data[start:end], value if is_number else None))
        start = end
    assert start == len(data)
    return found


@given(TEXTS)
def test_texts_are_cut_as_by_a_regular_expression(text):
    found, wanted = pieces(text), naive.text_tokens(text.encode())
    assert [piece for piece, _ in found] == [piece for piece, _ in wanted]
    for (_, value), (_, expected) in zip(found, wanted):
        assert (value is None) == (expected is None)
        assert value is None or value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("12 - 19", [12, 19]),
        ("12-19", [12, 19]),
        ("-5 + -3.25", [-5, -3.25]),
        ("(4)-2 = 2", [4, 2, 2]),
        ("(-2)", [-2]),
        ("it is -4 outside", [-4]),
        ("covid-19, 2024-01-05", [19, 2024, 1, 5]),
        ("v1.2.3, 7. and .5", [1.2, 3, 7, 5]),
        ("--8", [8]),
        ("0.000001 of 123456789012", [1e-6, 123456789012]),
    ],
)
def test_signs_and_decimals(text, numbers):
    assert [value for _, value in pieces(text) if value is not None] == pytest.approx(numbers, rel=1e-14)


def test_no_number_is_too_long_for_a_float():
    ((_, value),) = pieces("9" * 400)
    assert value == 1e300
    assert math.isfinite(small(value, 2.0))


@given(TEXTS)
def test_words_fall_into_the_buckets_of_the_twin(text):
    found = words_of(text, BUCKETS)
    assert [(b, *span) for b, span in zip(found.buckets.tolist(), found.spans.tolist())] == [
        (bucket, first, end) for bucket, first, end in naive.text_words(text.encode(), BUCKETS)
    ]


def encoded(text, n_token, n_bag=0, scaling=(0.0, 1.0, 1.0), n_word=0, spelled=True):
    """One encoded text, alone in its layout."""
    shift, scale, knee = scaling
    need = DomainNeeds(
        "d", "text", (n_token + n_bag) * 2, 8, TextAnswer(1), shift, scale, n_token=n_token, n_bag=n_bag, knee=knee,
        n_word=n_word, spelled=spelled,
    )  # fmt: skip
    example = MixedExample(id="a", domain="d", input_type="text", text=text, expected_output="x")
    return encode_examples([example], Layout.of([need.at(0, 0)], 2))


@given(TEXTS)
def test_encoded_texts_are_the_twins(text):
    data, scaling = text.encode(), (3.0, 0.25, 40.0)
    tokens, words = naive.text_tokens(data), naive.text_words(data, BUCKETS)
    batch = encoded(text, 24, 2, scaling, n_word=20)
    fits = len(tokens) <= 24 and len(words) <= 20
    assert bool(batch.n_active[0]) == fits
    if not fits:
        return
    wanted = [NUMBER if value is not None else piece[0] + 1 for piece, value in tokens]
    assert batch.tokens[0, :24].tolist() == wanted + [0] * (24 - len(wanted))
    assert batch.tokens[0, 24:].tolist() == [b + 1 for b, _, _ in words] + [0] * (20 - len(words))
    values = [0.0 if value is None else naive.text_number(value, *scaling) for _, value in tokens]
    assert batch.values[0] == pytest.approx(values + [0.0] * (24 - len(values)), rel=1e-6)


def test_a_text_fits_by_its_tokens_and_not_by_its_bytes():
    assert encoded("123456 + 654321", 5).n_active[0]
    assert not encoded("123456 + 654321", 4).n_active[0]


@given(TEXTS)
def test_a_text_that_is_not_spelled_is_its_words(text):
    words = naive.text_words(text.encode(), BUCKETS)
    batch = encoded(text, 0, 2, n_word=9, spelled=False)
    assert bool(batch.n_active[0]) == (len(words) <= 9)
    if len(words) <= 9:
        assert batch.tokens[0].tolist() == [b + 1 for b, _, _ in words] + [0] * (9 - len(words))


def spread(values):
    values = np.asarray(values, float)
    return Spread(len(values), float(values.min()), float(values.max()), float(values.mean()), float(values.std()))


def scaling_of(values):
    return text_scaling(TextSummary(numbers=spread(values), logs=spread(np.log1p(np.abs(values)))))


def test_numbers_are_standardised_and_huge_ones_do_not_hide_the_others(rng):
    few = rng.integers(0, 21, 500)
    shift, scale, knee = scaling_of(few)
    assert knee > 20
    entered = [naive.text_number(value, shift, scale, knee) for value in few]
    assert (np.mean(entered), np.std(entered)) == pytest.approx((0, 1.7), abs=1e-9)
    wide = 10.0 ** rng.uniform(0, 9, 500)
    shift, scale, knee = scaling_of(wide)
    assert np.median(wide) < knee < wide.max() / 100
    entered = [naive.text_number(value, shift, scale, knee) for value in (1e4, 1e6, 1e9)]
    assert np.diff(entered).min() > 0.3
    assert scaling_of([0.0])[1] > 0


def test_layouts_of_old_read_texts_byte_by_byte():
    need = DomainNeeds("d", "text", 6 * 2, 8, TextAnswer(1))
    layout = Layout.of([need.at(0, 0)], 2)
    plain = layout.to_dict()
    for name in ("n_token", "n_bag", "n_word", "spelled", "knee", "calibration"):
        del plain["domains"][0][name]
    del plain["n_bucket"]
    again = Layout.from_dict(plain)
    assert (again, again.vocab_size, again.text_length) == (layout, 257, 6)
    example = MixedExample(id="a", domain="d", input_type="text", text="a 12é", expected_output="x")
    batch = encode_examples([example], again)
    assert batch.tokens[0].tolist() == [byte + 1 for byte in "a 12é".encode()]
    assert not batch.values.any()
