"""Any usable record comes back from Parquet equal: unknown fields, any metadata, any text, any number."""

import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from grapheme_numba.data.jsonl.convert import convert, export

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
numbers = st.integers(-(10**38), 10**38) | st.integers(2**53 - 9, 2**53 + 9) | st.floats(-3e38, 3e38)
objects = st.dictionaries(st.text(), json_values, max_size=3)


@st.composite
def records(draw):
    """Any usable record: unknown fields, any metadata, any text."""
    kind = draw(st.sampled_from(["text", "sequence", "image"]))
    given_ = {"text": draw(st.text())}
    if kind == "sequence":
        given_ = {"values": draw(st.lists(numbers, min_size=1, max_size=5))}
    if kind == "image":
        width, height = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        pixels = draw(st.lists(numbers, min_size=width * height, max_size=width * height))
        given_ = {"width": width, "height": height, "pixels": pixels}
    known = {"id", "domain", "input_type", "input", "expected_output", "metadata"}
    more = {key: value for key, value in draw(objects).items() if key not in known}
    inside = {
        key: value for key, value in draw(objects).items() if key not in ("text", "values", "width", "height", "pixels")
    }
    record = {
        "id": draw(st.text()),
        "domain": draw(st.text(min_size=1)),
        "input_type": kind,
        "input": {**given_, **inside},
    }
    record["expected_output"] = draw(st.text())
    if draw(st.booleans()):
        record["metadata"] = draw(objects | st.none())
    return {**record, **more}


@settings(max_examples=int(os.environ.get("GRAPHEME_RECORD_LISTS", "60")))
@given(st.lists(records(), min_size=1, max_size=20))
def test_any_records_come_back(tmp_path_factory, drawn):
    folder = tmp_path_factory.mktemp("records")
    (folder / "a.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in drawn))
    convert([folder / "a.jsonl"], folder / "a.parquet")
    export(folder / "a.parquet", folder / "b.jsonl")
    assert [json.loads(line) for line in (folder / "b.jsonl").read_bytes().splitlines()] == drawn
