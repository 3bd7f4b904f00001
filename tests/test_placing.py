"""Brains from the data's needs and the user's requests: defaults, changes, additions, every refusal."""

import brain_cases
import msgspec
import pytest

import grapheme_numba as gn
from grapheme_numba.data.codec.answers import TextAnswer
from grapheme_numba.data.codec.layout import DomainNeeds
from grapheme_numba.models.router import place_brains

NEEDS = brain_cases.NEEDS
LOGIC = DomainNeeds("logic", "text", 12, 24, TextAnswer(3))


def place(needs=NEEDS, requests=None, unknown_domain="error"):
    return place_brains(needs, requests or {}, brain_cases.DIM, unknown_domain)


def test_every_domain_gets_slices_of_its_own():
    layout = place()
    assert layout.names == ("math", "text", "timeseries", "vision")
    for side, size in (("input_start", "n_input"), ("output_start", "n_output")):
        starts = [getattr(domain, side) for domain in layout.domains]
        sizes = [getattr(need, size) for need in NEEDS]
        assert starts == [sum(sizes[:i]) for i in range(4)]
    assert layout.text_length == 16  # 8 tokens, and as many words and pairs of words
    assert layout.value_width == 9


def test_a_request_changes_a_brain():
    layout = place(requests={"text": (12, 8), "vision": (20, 3)})
    text, vision = layout.domains[1], layout.domains[3]
    assert (text.n_token, text.n_bag) == (2, 2)
    assert (text.n_input, text.n_output, text.answer) == (12, 8, TextAnswer(1))
    assert (vision.n_input, vision.n_output) == (20, 3)
    assert vision.output_start == text.output_start + 8 + NEEDS[2].n_output


def test_a_request_adds_a_brain():
    assert place([LOGIC, *NEEDS], {"logic": (12, 24)}).names == ("logic", "math", "text", "timeseries", "vision")


def test_a_domain_without_a_brain_is_refused_or_skipped():
    with pytest.raises(
        gn.RecordError,
        match="no brain for domain logic: the data holds the domains logic, math, text, timeseries, vision, the brains "
        "are math, text, timeseries, vision; add --brain logic=12,24, or leave such examples out with --unknown-domain",
    ):
        place([LOGIC, *NEEDS])
    assert place([LOGIC, *NEEDS], unknown_domain="skip").names == ("math", "text", "timeseries", "vision")


def test_nothing_but_strangers_is_refused_even_when_skipping():
    with pytest.raises(gn.RecordError, match="the brains are none of them; add --brain logic=12,24$"):
        place([LOGIC], unknown_domain="skip")


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ({"music": (3, 3)}, "brain 'music' is requested, but the data holds only the domains math, text"),
        (
            {"text": (13, 8)},
            "brain 'text' asks for 13 inputs; a token takes 3 and its words 6, so ask for a multiple of 3",
        ),
        ({"text": (6, 8)}, "brain 'text' asks for 6 inputs; a token takes 3 and its words 6"),
        ({"text": (12, 9)}, "brain 'text' asks for 9 outputs; a byte of its answers takes 8"),
        ({"vision": (9, 4)}, "brain 'vision' asks for 4 outputs, but the code of its answers has 3; ask for 9,3"),
        ({"vision": (0, 3)}, r"brain 'vision' asks for \[0, 3\]; give two sizes of at least 1"),
        ({"vision": (9,)}, r"brain 'vision' asks for \[9\]; give two sizes"),
    ],
)
def test_bad_requests(requests, message):
    with pytest.raises(gn.UsageError, match=message):
        place(requests=requests)


def test_a_layout_survives_its_own_plain_form():
    layout = place(requests={"text": (12, 8)})
    plain = msgspec.json.decode(msgspec.json.encode(layout.to_dict()))
    assert type(layout).from_dict(plain) == layout
