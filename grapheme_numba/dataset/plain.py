"""Records back to the JSON that they came from."""

import json

from grapheme_numba.dataset.records import MixedExample


def _plain_numbers(values: list[float]) -> list:
    """As whole numbers where all of them are (-0.0 is not)."""
    whole = all(value.is_integer() and abs(value) < 2**53 and str(value) != "-0.0" for value in values)
    return [int(value) for value in values] if whole else values


def to_plain(example: MixedExample) -> dict:
    """The record as the JSON object that it came from (numbers as doubles)."""
    if example.input_type == "text":
        given = {"text": example.text}
    elif example.input_type == "sequence":
        given = {"values": _plain_numbers(example.values)}
    else:
        given = {"width": example.width, "height": example.height, "pixels": _plain_numbers(example.pixels)}
    if example.input_extra is not None:
        given.update(json.loads(example.input_extra))
    record = {"id": example.id, "domain": example.domain, "input_type": example.input_type, "input": given}
    if not example.domain:
        del record["domain"]
    record["expected_output"] = example.expected_output
    if example.metadata is not None:
        record["metadata"] = json.loads(example.metadata)
    if example.extra is not None:
        record.update(json.loads(example.extra))
    return record


def to_line(example: MixedExample) -> bytes:
    """The record as one JSONL line, without its line end."""
    return json.dumps(to_plain(example), ensure_ascii=False).encode()
