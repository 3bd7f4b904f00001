"""Brain slices: contiguous, disjoint, in request order; every bad request is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import grapheme_numba as gn
from grapheme_numba.models.slices import BrainSlice, check_disjoint, parse_brain_request

SIZES = st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=1, max_size=12)


def test_the_original_requests():
    requests = [("math", 32, 16), ("text", 64, 32), ("timeseries", 16, 8), ("vision", 48, 16)]
    slices = gn.allocate_brain_slices(requests)
    assert list(slices) == ["math", "text", "timeseries", "vision"]
    assert slices["math"] == gn.BrainSlice(range(32), range(16), "math")
    assert slices["vision"] == gn.BrainSlice(input_range=range(112, 160), output_range=range(56, 72), brain="vision")


@given(SIZES)
def test_ranges_are_contiguous_and_as_large_as_asked(sizes):
    slices = gn.allocate_brain_slices((f"brain{i}", *pair) for i, pair in enumerate(sizes))
    check_disjoint(slices.values())
    for side, column in (("input_range", 0), ("output_range", 1)):
        flat = [node for one in slices.values() for node in getattr(one, side)]
        assert flat == list(range(sum(pair[column] for pair in sizes)))
    assert [(one.n_input, one.n_output) for one in slices.values()] == sizes


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "no brain was requested"),
        ([("a", 1, 1), ("a", 2, 2)], "brain 'a' is requested twice"),
        ([("a", 0, 4)], "brain 'a' asks for 0 inputs and 4 outputs"),
        ([("a", 4, -1)], "at least one of both"),
        ([("", 4, 1)], "has no name"),
        ([("a", 4)], r"is not \(name, n_input, n_output\)"),
        ([("a", "many", 4)], "with whole numbers"),
    ],
)
def test_bad_requests(requests, message):
    with pytest.raises(gn.UsageError, match=message):
        gn.allocate_brain_slices(requests)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([(range(4), range(2), "a"), (range(3, 6), range(2, 4), "b")], "'a' and 'b' overlap: input nodes 0..4"),
        ([(range(4, 8), range(2), "a"), (range(4), range(1, 4), "b")], "overlap: output nodes 0..2 and 1..4"),
        ([(range(0), range(2), "a")], "brain 'a' has the input range 0..0; a brain needs at least one node"),
        ([(range(0, 8, 2), range(2), "a")], "one rising run"),
    ],
)
def test_slices_made_by_hand_are_checked(slices, message):
    with pytest.raises(gn.UsageError, match=message):
        check_disjoint([BrainSlice(*one) for one in slices])


def test_a_flag_becomes_a_request():
    assert parse_brain_request("vision=64,10") == ("vision", 64, 10)
    assert parse_brain_request(" my brain = 3 , 4 ") == ("my brain", 3, 4)


@pytest.mark.parametrize("text", ["vision", "vision=64", "=64,10", "vision=64,10,3", "vision=-1,10", "vision=a,b"])
def test_a_flag_of_another_form_is_refused(text):
    with pytest.raises(gn.UsageError, match="is not a brain request; write NAME=INPUTS,OUTPUTS"):
        parse_brain_request(text)


def test_a_flag_that_asks_for_nothing_is_refused():
    with pytest.raises(gn.UsageError, match="brain 'vision' asks for 0 inputs"):
        parse_brain_request("vision=0,10")
