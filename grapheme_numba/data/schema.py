"""The Arrow schema of the training format, and the way between it and single records.

Records back to the JSON that they came from.
"""

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa

from grapheme_numba.data.records import MixedExample

VERSION = 1
NAMELESS = ""  # the domain of an example that names none; no example can name it
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("domain", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("input_type", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("text", pa.string()),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("pixels", pa.list_(pa.field("element", pa.float64(), nullable=False))),
        pa.field("expected_output", pa.string()),  # null only in questions for `predict`
        pa.field("metadata", pa.string()),  # JSON text
        pa.field("extra", pa.string()),  # JSON text of unknown fields of the record
        pa.field("input_extra", pa.string()),  # JSON text of unknown fields of its input
    ]
)


def to_arrow(examples: Sequence[MixedExample]) -> pa.RecordBatch:
    """Records as one Arrow batch (a missing domain becomes an empty one)."""
    columns = []
    for field in SCHEMA:
        column = [getattr(example, field.name) for example in examples]
        if field.name == "domain":
            column = [name or NAMELESS for name in column]
        columns.append(pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def from_arrow(batch: pa.RecordBatch) -> Iterator[MixedExample]:
    """The records of one Arrow batch."""
    columns = [batch.column(field.name).to_pylist() for field in SCHEMA]
    for row in zip(*columns):
        yield MixedExample(**dict(zip(SCHEMA.names, row)))


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
