"""Codecs: what fits comes back, also when every output is off by almost a quarter."""

import math
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, RealAnswer, TextAnswer, answer_tables
from grapheme_numba.kernels.codec.decode import decoded_lengths

LABELS = ("a", "ab", "é", "disc", "a longer label", "")
NUMBERS = [NumberAnswer(0, 1), NumberAnswer(0, 102), NumberAnswer(2, 12_345), NumberAnswer(3, 10**12)]
FIXED = [NumberAnswer(1, 500, fixed=True), NumberAnswer(2, 10**6, fixed=True)]
REALS = [
    RealAnswer(mean=3.25, std=2.0, decimals=2, reach=8e4, low=-5.0, high=9.0),
    RealAnswer(mean=-1e9, std=10.0, decimals=0, reach=4e6, low=-1e9, high=-1e9),
    RealAnswer(mean=2e7, std=3e6, decimals=-2, reach=8e8, low=0.0, high=9e7),
    RealAnswer(mean=0.0, std=1e-9, decimals=14, reach=8e-8, low=0.0, high=1e-8, fixed=True),
]
TEXTS = ["", "a", "Paris", "Brasília", "photosynthesis", "é" * 8, "0123456789abcdef", "😀😀😀😀", "-7", "\x01\x7f"]


def numbers_of(codec, rng, n=2000):
    """Texts of numbers over the whole range of a codec, its ends and zero among them."""
    drawn = rng.integers(-codec.limit, codec.limit, n, endpoint=True)
    return [codec.format(int(number)) for number in [*drawn, 0, 1, -1, codec.limit, -codec.limit]]


def reals_of(codec, rng, n=2000):
    """Texts of numbers on the grid of a codec, over all of its reach."""
    unit = 10.0**-codec.decimals
    middle, most = codec.mean / unit, codec.reach / unit
    return [codec.format(round(middle + float(share) * 0.999 * most)) for share in rng.uniform(-1, 1, n)]


def cases(rng):
    yield TextAnswer(16), TEXTS
    yield LabelAnswer(LABELS), list(LABELS)
    for codec in NUMBERS + FIXED:
        yield codec, numbers_of(codec, rng)


def outputs_of(codec, targets):
    """Outputs of a network that has learned these targets: of labels the logits, else the targets themselves."""
    return 20.0 * targets if isinstance(codec, LabelAnswer) else targets


def test_codes_are_what_the_documentation_says(rng):
    """Independent of the kernels: bits of bytes, one of the labels, magnitude with sines and cosines."""
    text = TextAnswer(4).encode(["aé"]).targets[0]
    assert text.astype(int).tolist() == [byte >> bit & 1 for byte in b"a\xc3\xa9\0" for bit in range(8)]
    assert LabelAnswer(LABELS).encode(["é"]).targets.tolist() == [[0, 0, 1, 0, 0, 0]]
    for codec in NUMBERS + FIXED:
        coarsest, finest = codec.periods[0], codec.periods[-1]
        assert coarsest > 2.26 * codec.limit
        assert finest <= 8.5 or len(codec.periods) == 1
        assert all(coarse / fine <= 6.0 + 1e-9 for coarse, fine in pairwise(codec.periods))
        for scaled in rng.integers(-codec.limit, codec.limit, 20).tolist():
            code = [scaled / codec.limit]
            for period in codec.periods:
                angle = 2 * math.pi * math.fmod(scaled, period) / period
                code += [math.sin(angle), math.cos(angle)]
            assert np.allclose(codec.encode([codec.format(scaled)]).targets[0], code, atol=1e-4)


def test_what_fits_comes_back(rng):
    for codec, answers in cases(rng):
        targets, fits = codec.encode(answers)
        assert fits.all(), codec
        assert targets.shape == (len(answers), codec.n_output)
        assert targets.dtype == np.float32
        decoded = codec.decode(outputs_of(codec, targets))
        assert decoded.answers == answers
        assert decoded.confidence.min() > 0.99


def test_what_fits_a_real_number_comes_back(rng):
    for codec in REALS:
        answers = reals_of(codec, rng)
        targets, fits = codec.encode(answers)
        assert fits.all(), codec
        assert targets.shape == (len(answers), 1)
        decoded = codec.decode(targets)
        assert decoded.answers == answers, codec
        assert ((decoded.confidence > 0) & (decoded.confidence <= 1)).all()


@given(st.decimals(-(10**7), 10**7, allow_nan=False, places=4), st.integers(-6, 6), st.integers(0, 7))
def test_any_decimal_comes_back_on_the_grid_of_its_codec(number, power, decimals):
    codec = RealAnswer(mean=1.5, std=2.0, decimals=decimals, reach=10.0 ** (6 - decimals), low=0.0, high=3.0)
    text = f"{number}e{power}"
    value = Decimal(text)
    encoded = codec.encode([text])
    # at the very border of the reach the rounding of a float64 decides
    assert encoded.fits[0] == (abs(float(value) - codec.mean) <= codec.reach)
    if encoded.fits[0]:
        (answer,), _ = codec.decode(encoded.targets)
        assert abs(Decimal(answer) - value) <= Decimal("0.6") * Decimal(10) ** -decimals
        assert codec.decode(codec.encode([answer]).targets).answers == [answer]


def test_standardised_codes_are_what_the_documentation_says():
    codec = RealAnswer(mean=10.0, std=4.0, decimals=1, reach=100.0, low=2.0, high=20.0)
    answers = ["10", "14", " +1.2e1", "-2,0.0", "1,0", "0.000"]
    targets, fits = codec.encode(answers)
    assert fits.tolist() == [True, True, True, False, False, True]
    assert targets[:, 0].tolist() == pytest.approx([0, 1, 0.5, 0, 0, -2.5])
    decoded = codec.decode(np.array([[0.26], [np.nan], [2.5], [3.5], [1e30], [-1e30]], np.float32))
    assert decoded.answers == ["11", "10", "20", "24", "110", "-90"]
    assert decoded.confidence[:4].tolist() == [1, 1, 1, 0.5]  # a standard deviation above the highest


def test_labels_are_a_softmax():
    codec = LabelAnswer(("a", "b", "c"))
    logits = np.array([[0.0, 1.0, 2.0], [3.0, 3.0, -np.inf], [np.nan, 0.0, -1.0]], np.float32)
    powers = [[1, math.e, math.e**2], [1, 1, 0], [0, math.e, 1]]
    expected = [[one / sum(row) for one in row] for row in powers]
    assert np.allclose(codec.probabilities(logits), expected)
    assert codec.decode(logits).answers == ["c", "a", "b"]
    assert codec.decode(logits).confidence.tolist() == pytest.approx([max(row) for row in expected])


@given(st.lists(st.text(max_size=6), min_size=1, max_size=60, unique=True), st.text(max_size=6))
def test_labels_are_found_by_halving_as_by_looking_at_each(labels, text):
    targets, fits = LabelAnswer(tuple(labels)).encode([*labels, text])
    assert fits[:-1].all()
    assert targets[:-1].argmax(axis=1).tolist() == list(range(len(labels)))
    assert fits[-1] == (text in labels)
    assert targets.sum() == fits.sum()


@pytest.mark.parametrize("draw", ["corners", "inside"])
def test_codes_survive_noise(rng, draw):
    for codec, answers in cases(rng):
        targets = codec.encode(answers).targets
        for _ in range(5):
            if draw == "corners":
                noise = 0.2499 * rng.choice([-1.0, 1.0], targets.shape)
            else:
                noise = rng.uniform(-0.2499, 0.2499, targets.shape)
            assert codec.decode((targets + noise).astype(np.float32)).answers == answers, codec


@given(st.text(max_size=24))
def test_any_text_comes_back_or_does_not_fit(text):
    codec = TextAnswer(16)
    targets, fits = codec.encode([text])
    assert fits[0] == (len(text.encode()) <= 16 and "\0" not in text)
    assert codec.decode(targets).answers == [text if fits[0] else ""]


@given(st.integers(-120, 120), st.integers(0, 3), st.booleans())
def test_only_the_one_way_to_write_a_number_fits(scaled, zeros, fixed):
    codec = NumberAnswer(1, 100, fixed)
    text = f"{scaled / 10:.1f}" + "0" * zeros
    encoded = codec.encode([text])
    wanted = abs(scaled) <= 100 and codec.format(scaled) == text
    assert encoded.fits[0] == wanted
    assert not wanted or codec.decode(encoded.targets).answers == [text]


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1.", ".5", "-0", "-0.0", "007", "1e3", "+1", " 1", "1 ", "0x1", "1.2.3", "--1", "one", "٣"]
)
def test_what_is_no_canonical_number_does_not_fit(text):
    targets, fits = NumberAnswer(1, 1000).encode([text])
    assert not fits[0]
    assert not targets.any()


def test_misfits_are_zero_and_named():
    assert TextAnswer(4).encode(["five5", "four", "a\0b"]).fits.tolist() == [False, True, False]
    targets, fits = LabelAnswer(("a", "b")).encode(["c", "b", "ab", ""])
    assert fits.tolist() == [False, True, False, False]
    assert targets.sum() == 1
    assert NumberAnswer(0, 100).encode(["101", "-100", "9" * 30]).fits.tolist() == [False, True, False]


def test_an_unsure_network_keeps_its_smooth_estimate():
    codec = NumberAnswer(0, 100)
    outputs = np.zeros((1, codec.n_output), np.float32)
    outputs[0, 0] = 0.37
    assert codec.decode(outputs).answers == ["37"]
    assert codec.decode(outputs).confidence[0] == 0
    sure = codec.encode(["40"]).targets
    sure[0, 3:] = 0.0  # the finer angles say nothing
    assert abs(int(codec.decode(sure).answers[0]) - 40) <= 1


def test_nothing_finite_is_no_reason_to_fail():
    for codec in (TextAnswer(2), LabelAnswer(("a", "b")), NumberAnswer(0, 10), *REALS):
        for value in (np.nan, np.inf, -np.inf, 1e30):
            answers, confidence = codec.decode(np.full((2, codec.n_output), value, np.float32))
            assert len(answers) == 2
            assert ((confidence >= 0) & (confidence <= 1)).all()


def test_decoded_lengths_are_those_of_the_decoded_answers(rng):
    codecs = [TextAnswer(6), LabelAnswer(LABELS), *NUMBERS, *FIXED, *REALS]
    width = max(codec.n_output for codec in codecs)
    domain = rng.integers(len(codecs), size=600).astype(np.int32)
    outputs = rng.normal(0.3, 0.6, (600, width)).astype(np.float32)
    for row in range(0, 600, 2):  # every other row a real answer, in ASCII where bytes are drawn
        codec = codecs[domain[row]]
        answer = {"TextAnswer": "añb", "LabelAnswer": "disc"}.get(type(codec).__name__) or codec.format(-1)
        outputs[row, : codec.n_output] = codec.encode([answer]).targets[0]
    lengths = np.zeros(600, np.int32)
    decoded_lengths(domain, outputs, answer_tables(codecs), lengths)
    for row in range(600):
        codec = codecs[domain[row]]
        answer = codec.decode(outputs[row : row + 1, : codec.n_output]).answers[0]
        if "�" not in answer:  # a broken sequence of bytes may be shown as more or fewer signs
            assert lengths[row] == len(answer)
