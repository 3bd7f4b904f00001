"""The summary of a dataset, and the codecs and sizes that follow from it."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, RealAnswer, TextAnswer
from grapheme_numba.data.codec.layout import domain_needs, shared_layout
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.summary import summarize
from grapheme_numba.errors import RecordError, UsageError


def summary_of(records, group=7):
    table = pa.Table.from_batches([to_arrow([parse_example(json.dumps(one).encode()) for one in records])])
    return summarize(table.slice(i, group) for i in range(0, table.num_rows, group))


def sequence(answer, values=(1, 2, 3), domain="s"):
    given = {"values": list(values)}
    return {"id": "a", "domain": domain, "input_type": "sequence", "input": given, "expected_output": answer}


def codec(answers, kind="sequence", forced=None):
    """The codec that training chooses for these answers."""
    return chosen(answers, kind, forced).answer


def chosen(answers, kind="sequence", forced=None):
    """The codec with the reason."""
    records = [sequence(answer) for answer in answers]
    if kind == "image":
        records = [{**one, "input_type": "image", "input": {"width": 1, "height": 1, "pixels": [0]}} for one in records]
    if kind == "text":
        records = [{**one, "input_type": "text", "input": {"text": "q"}} for one in records]
    return domain_needs(summary_of(records), 1, answer={} if forced is None else {"s": forced})[0]


def test_the_summary_counts_what_is_there():
    records = list(generate(40, "train"))
    summary = summary_of(records)
    assert summary.n == 160
    assert [domain.name for domain in summary.domains] == ["math", "text", "timeseries", "vision"]
    math, text, series, vision = summary.domains
    mine = [one for one in records if one["domain"] == "math"]
    assert math.n == 40
    assert math.longest_input == max(len(one["input"]["text"]) for one in mine)
    assert set(math.labels) == {one["expected_output"] for one in mine}
    assert (math.numbers, math.decimals, math.fixed) == (True, 0, False)
    assert math.largest == max(abs(int(one["expected_output"])) for one in mine)
    assert text.longest_answer == max(
        len(one["expected_output"].encode()) for one in records if one["domain"] == "text"
    )
    numbers = [v for one in records if one["domain"] == "timeseries" for v in one["input"]["values"]]
    assert (series.value_low, series.value_high, series.longest_input) == (min(numbers), max(numbers), 8)
    assert series.value_rms == pytest.approx((sum(v * v for v in numbers) / len(numbers)) ** 0.5)
    assert vision.longest_input == 64
    assert not vision.numbers


def test_codecs_follow_from_the_answers():
    assert codec(["1", "-20", "3"]) == RealAnswer(
        -5.33333333333, 10.4029910229, 0, 8 * (20 - 5.33333333333), -20.0, 3.0
    )
    assert codec(["0", "0"]) == RealAnswer(0.0, 1.0, 0, 8.0, 0.0, 0.0)
    assert codec(["up", "down", "up", "down"]) == LabelAnswer(("down", "up"))
    assert codec(["up", "down", "up"]) == TextAnswer(16)  # one comes once
    assert codec(["1", "2"], "image") == LabelAnswer(("1", "2"))
    assert codec(["yes", "no"] * 2, "text") == LabelAnswer(("no", "yes"))
    assert codec(["yes", "no"], "text") == TextAnswer(16)
    assert codec(["1", "no"], "text") == TextAnswer(16)
    assert codec(["x" * 17], "text") == TextAnswer(24)
    assert codec(["x" * 1000], "text") == TextAnswer(64)
    assert codec(["up", "up", "down", "left", "up", "up"], "image") == LabelAnswer(("down", "left", "up"))
    assert codec(["up", "up", "down", "left", "right"], "image") == TextAnswer(16)
    assert codec([str(i) for i in range(300)], "image").describe().startswith("number from 0 to 299")
    assert codec([f"n{i}" for i in range(300)], "image") == TextAnswer(16)
    assert codec([f"n{i % 1000}" for i in range(2000)]) == LabelAnswer(tuple(sorted(f"n{i}" for i in range(1000))))
    assert codec([f"n{i % 1001}" for i in range(2002)]) == TextAnswer(16)


def test_few_whole_numbers_that_come_often_are_labels():
    classes = [str(i - 3) for i in range(20)]
    assert codec(classes * 20) == LabelAnswer(tuple(sorted(classes)))
    for answers in (classes * 19, [*classes, "17"] * 20):
        assert isinstance(codec(answers), RealAnswer)
        assert codec(answers).decimals == 0
    assert isinstance(codec([*classes[:-1], "0.5"] * 20), RealAnswer)


def test_whole_numbers_that_no_float32_holds_to_the_last_digit_have_the_exact_code():
    assert codec(["0", "2000000"]) == RealAnswer(1e6, 1e6, 0, 8e6, 0.0, 2e6)
    assert codec(["0", "2000002"]) == NumberAnswer(0, 2500003, magnitude=10.0, wave=0.1)
    found = codec(["-123456789012", "5"])
    assert found.decode(found.encode(["123456789012", "-98765432101"]).targets).answers == [
        "123456789012",
        "-98765432101",
    ]


def test_numbers_are_standardised_on_the_grid_of_the_data():
    answers = ["1", "2.5", "-0.25"]
    found = codec(answers)
    assert (found.mean, found.std) == pytest.approx((np.mean([1, 2.5, -0.25]), np.std([1, 2.5, -0.25])), rel=1e-11)
    assert (found.decimals, found.fixed, found.low, found.high) == (2, False, -0.25, 2.5)
    assert codec(["1.0", "2.5", "-0.3"]).fixed
    assert codec(["1.50", "2.25"]).format(150) == "1.50"
    assert codec(["1.50", "2.5"]).format(15) == "1.5"  # no one way to write a number
    constant = codec(["7.5"] * 5)
    assert (constant.mean, constant.std, constant.decode(np.zeros((1, 1), np.float32)).answers) == (7.5, 1.0, ["7.5"])


@pytest.mark.parametrize(
    ("answers", "decimals"),
    [
        (["0.1234567890123", "0.9", "0.5"], 6),  # six digits of what spreads over 0.4
        (["1500.5", "-300000.25", "12"], 0),
        ([str(10**14), "1"], -8),
        ([str(10**14), "0.0001"], -8),
        (["1e-05", "3", "2"], 5),
        (["1,250.5", " +3", "\u22127", "1e3", "2 000", ".5", "5."], 1),
        (["1e-30", "3e-30"], 30),
    ],
)
def test_what_is_a_number_of_any_form_has_the_standardised_code(answers, decimals):
    found = codec(answers)
    assert isinstance(found, RealAnswer)
    assert found.decimals == decimals


@pytest.mark.parametrize("answers", [["007", "8"], ["1", "nan"], ["1", "inf"], ["1", "1e39"], ["1", ""], ["1,23", "4"]])
def test_what_is_no_number_makes_no_numbers(answers):
    assert codec(answers, "text") == TextAnswer(16)


def test_a_forced_kind_is_taken():
    assert codec(["1", "2", "x"], forced="label") == LabelAnswer(("1", "2", "x"))
    assert codec(["1", "2", "x"], forced="number").mean == 1.5
    assert codec(["1", "2", "2"], forced="text") == TextAnswer(16)
    assert codec(["1", "2", "2"] * 30, forced="number").decimals == 0
    assert chosen(["a"], forced="text").reason == "as --answer s=text says"
    with pytest.raises(
        UsageError, match="none of its 2 answers is a number \\(the first is 'a'\\); choose label or text"
    ):
        codec(["a", "b"], forced="number")
    with pytest.raises(UsageError, match="more than 1000 distinct values"):
        codec([str(i) for i in range(1001)], forced="label")
    with pytest.raises(UsageError, match="an answer is one of number, label, text"):
        codec(["a", "b"], forced="numbers")
    with pytest.raises(UsageError, match="no domain is called 'home'; the nearest name is 's'"):
        domain_needs(summary_of([sequence("1")]), 1, answer={"home": "text"})


def test_the_reason_is_said():
    assert chosen(["1", "2", "3"]).reason == "all are whole numbers"
    assert chosen(["1", "2", "3.5"]).reason == "all are numbers"
    assert chosen(["1", "2"] * 20).reason == "2 whole numbers, each seen 20 times or more"
    assert chosen(["up", "down"] * 2).reason == "2 distinct answers, each seen twice or more"
    assert chosen(["1", "2", "abc"]).reason == (
        "1 of 3 are no numbers, as 'abc', and 3 of 3 distinct ones come once: '1', '2', 'abc'"
    )
    assert chosen(["a", "b", "b"]).reason == (
        "none is a number, and 1 of 2 distinct ones comes once: 'a'; --answer s=label makes a class of each"
    )


def test_numbers_are_found_across_row_groups():
    answers = ["5"] * 10 + ["0.125"] * 10 + ["-77"] * 10
    found = codec(answers)
    values = np.array([float(answer) for answer in answers])
    assert (found.mean, found.std) == pytest.approx((values.mean(), values.std()), rel=1e-11)
    assert (found.decimals, found.low, found.high) == (3, -77.0, 5.0)


@given(st.data(), st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=40))
def test_the_order_of_rows_never_matters(data, values):
    answers = [repr(value) for value in values]
    assert chosen(data.draw(st.permutations(answers))) == chosen(answers)


def test_domains_of_one_input_type_share_its_slice():
    layout = shared_layout(summary_of(list(generate(40, "train"))), embedding_dim=8)
    math, text, series, vision = layout.domains
    assert (math.input_start, math.n_input) == (text.input_start, text.n_input)
    assert (math.n_token, text.n_token, layout.text_length) == (44, 44, 44 + text.n_word)
    assert math.n_input == (44 + 1) * 8  # and the words' row of the embedding
    assert (math.n_bag, text.n_bag) == (0, 1)
    assert (math.spelled, text.spelled) == (True, True)
    assert series.input_start == math.n_input
    assert vision.input_start == series.input_start + series.n_input
    assert layout.n_input == vision.input_start + 64
    assert layout.value_width == 64
    starts = [domain.output_start for domain in layout.domains]
    assert starts == [0, math.n_output, math.n_output + text.n_output, layout.n_output - vision.n_output]
    assert layout.n_target == text.n_output == 128


def test_texts_that_are_answered_with_labels_enter_by_their_words():
    def needs(text, answers):
        records = [sequence(answer) for answer in answers]
        records = [{**one, "input_type": "text", "input": {"text": text}} for one in records]
        return domain_needs(summary_of(records), 4)[0]

    labelled = needs("to be or not", ["yes", "no"] * 2)
    assert (labelled.spelled, labelled.n_token, labelled.n_bag, labelled.n_word) == (False, 0, 1, 32)
    assert labelled.n_input == 4
    assert needs("a + b", ["yes", "no"] * 2).spelled  # no word of two letters
    assert needs("to be or not", ["1", "2.5", "3"]).spelled
    assert needs(" ".join(["ab"] * 40), ["yes", "no"] * 2).n_word == 2 * (40 + 39)


def test_slices_can_be_given_out_apart():
    needs = domain_needs(summary_of(list(generate(40, "train"))), embedding_dim=4)
    assert [need.n_input for need in needs] == [8 * 4, (44 + 1) * 4, 8, 64]
    placed = needs[0].at(100, 50)
    assert (placed.input_start, placed.n_input, placed.output_start, placed.answer) == (100, 32, 50, needs[0].answer)


def test_a_domain_of_two_input_types_is_an_error():
    text = {"id": "t1", "domain": "s", "input_type": "text", "input": {"text": "q"}, "expected_output": "1"}
    with pytest.raises(RecordError, match="example 't1' of domain 's' has input type text, others .* sequence"):
        summary_of([sequence("1"), text])


def test_long_texts_do_not_widen_the_slice_without_end():
    text = {"id": "t1", "domain": "s", "input_type": "text", "input": {"text": "q" * 5000}, "expected_output": "1"}
    assert shared_layout(summary_of([text]), 2).domains[0].n_token == 1024
    assert shared_layout(summary_of([text]), 2, text_length=80).domains[0].n_token == 80


def test_an_unknown_domain_is_named():
    layout = shared_layout(summary_of([sequence("1")]), 1)
    assert layout.index("s") == 0
    with pytest.raises(RecordError, match="domain 'music' is unknown to this model, which knows s"):
        layout.index("music")
