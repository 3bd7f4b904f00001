"""The summary of a dataset, and the codecs and sizes that follow from it."""

import json

import pyarrow as pa
import pytest

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, TextAnswer
from grapheme_numba.data.codec.layout import domain_needs, shared_layout
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.summary import summarize
from grapheme_numba.errors import RecordError


def summary_of(records, group=7):
    table = pa.Table.from_batches([to_arrow([parse_example(json.dumps(one).encode()) for one in records])])
    return summarize(table.slice(i, group) for i in range(0, table.num_rows, group))


def sequence(answer, values=(1, 2, 3), domain="s"):
    given = {"values": list(values)}
    return {"id": "a", "domain": domain, "input_type": "sequence", "input": given, "expected_output": answer}


def codec(answers, kind="sequence"):
    """The codec that training chooses for these answers."""
    records = [sequence(answer) for answer in answers]
    if kind == "image":
        records = [{**one, "input_type": "image", "input": {"width": 1, "height": 1, "pixels": [0]}} for one in records]
    if kind == "text":
        records = [{**one, "input_type": "text", "input": {"text": "q"}} for one in records]
    return domain_needs(summary_of(records), 1)[0].answer


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
    assert codec(["1", "-20", "3"]) == NumberAnswer(0, 25)
    assert codec(["1", "2.5", "-0.25"]) == NumberAnswer(2, 313)
    assert codec(["1.0", "2.5", "-0.3"]) == NumberAnswer(1, 32, fixed=True)
    assert codec(["1.50", "2.25"]) == NumberAnswer(2, 282, fixed=True)
    assert codec(["0", "0"]) == NumberAnswer(0, 1)
    assert codec(["1.50", "2.5"]) == LabelAnswer(("1.50", "2.5"))  # no one way to write a number
    assert codec(["up", "down", "up"]) == LabelAnswer(("down", "up"))
    assert codec(["1", "2"], "image") == LabelAnswer(("1", "2"))
    assert codec(["yes", "no"], "text") == TextAnswer(16)
    assert codec(["1", "no"], "text") == TextAnswer(16)
    assert codec(["x" * 17], "text") == TextAnswer(24)
    assert codec(["x" * 1000], "text") == TextAnswer(64)
    assert codec([str(i) for i in range(300)], "image") == NumberAnswer(0, 374)
    assert codec([f"n{i}" for i in range(300)], "image") == TextAnswer(16)
    assert codec([str(10**14), "1"], "text") == TextAnswer(16)
    assert codec([str(10**14), "0.0001"], "text") == TextAnswer(16)


def test_numbers_are_scaled_and_found_across_row_groups():
    answers = ["5"] * 10 + ["0.125"] * 10 + ["-77"] * 10
    assert codec(answers) == NumberAnswer(3, 96_250)


def test_domains_of_one_input_type_share_its_slice():
    layout = shared_layout(summary_of(list(generate(40, "train"))), embedding_dim=8)
    math, text, series, vision = layout.domains
    assert (math.input_start, math.n_input) == (text.input_start, text.n_input)
    assert math.n_input == layout.text_length * 8
    assert series.input_start == math.n_input
    assert vision.input_start == series.input_start + series.n_input
    assert layout.n_input == vision.input_start + 64
    assert layout.value_width == 64
    starts = [domain.output_start for domain in layout.domains]
    assert starts == [0, math.n_output, math.n_output + text.n_output, layout.n_output - vision.n_output]
    assert layout.n_target == text.n_output == 128


def test_slices_can_be_given_out_apart():
    needs = domain_needs(summary_of(list(generate(40, "train"))), embedding_dim=4)
    assert [need.n_input for need in needs] == [8 * 4, 28 * 4, 8, 64]
    placed = needs[0].at(100, 50)
    assert (placed.input_start, placed.n_input, placed.output_start, placed.answer) == (100, 32, 50, needs[0].answer)


def test_a_domain_of_two_input_types_is_an_error():
    text = {"id": "t1", "domain": "s", "input_type": "text", "input": {"text": "q"}, "expected_output": "1"}
    with pytest.raises(RecordError, match="example 't1' of domain 's' has input type text, others .* sequence"):
        summary_of([sequence("1"), text])


def test_long_texts_do_not_widen_the_slice_without_end():
    text = {"id": "t1", "domain": "s", "input_type": "text", "input": {"text": "q" * 5000}, "expected_output": "1"}
    assert shared_layout(summary_of([text]), 2).text_length == 1024
    assert shared_layout(summary_of([text]), 2, text_length=80).text_length == 80


def test_an_unknown_domain_is_named():
    layout = shared_layout(summary_of([sequence("1")]), 1)
    assert layout.index("s") == 0
    with pytest.raises(RecordError, match="domain 'music' is unknown to this model, which knows s"):
        layout.index("music")
