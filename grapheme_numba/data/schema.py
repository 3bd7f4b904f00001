"""The Arrow schema of the training format, and the way between it and single records.

Records back to the JSON that they came from.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from grapheme_numba.data.fields import Cells, cells_of
from grapheme_numba.data.records import MixedExample

VERSION = 1
TABULAR_VERSION = 2  # of files with tabular rows; all others stay as version 1 wrote them, byte for byte
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
TABULAR_FIELDS = (
    pa.field("fields", pa.dictionary(pa.int32(), pa.string())),
    pa.field("numbers", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    pa.field("categories", pa.list_(pa.field("element", pa.string()))),
)
TABULAR_SCHEMA = pa.schema([*SCHEMA, *TABULAR_FIELDS])
SCHEMAS = {VERSION: SCHEMA, TABULAR_VERSION: TABULAR_SCHEMA}


def is_tabular(columns: pa.RecordBatch | pa.Table | pa.Schema) -> bool:
    """Whether rows or a schema have the columns of tabular inputs."""
    names = columns.names if isinstance(columns, pa.Schema) else columns.schema.names
    return "fields" in names


def widened(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch with the columns of tabular inputs, null where it had none."""
    if is_tabular(batch):
        return batch
    nulls = [pa.nulls(batch.num_rows, field.type) for field in TABULAR_FIELDS]
    return pa.RecordBatch.from_arrays([*batch.columns, *nulls], schema=TABULAR_SCHEMA)


def to_arrow(examples: Sequence[MixedExample]) -> pa.RecordBatch:
    """Records as one Arrow batch (a missing domain becomes an empty one); of TABULAR_SCHEMA if one is tabular."""
    columns = []
    schema = TABULAR_SCHEMA if any(example.fields is not None for example in examples) else SCHEMA
    for field in schema:
        column = [getattr(example, field.name) for example in examples]
        if field.name == "domain":
            column = [name or NAMELESS for name in column]
        columns.append(pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def from_arrow(batch: pa.RecordBatch) -> Iterator[MixedExample]:
    """The records of one Arrow batch."""
    names = (TABULAR_SCHEMA if is_tabular(batch) else SCHEMA).names
    for row in zip(*(batch.column(name).to_pylist() for name in names)):
        yield MixedExample(**dict(zip(names, row)))


def _plain_numbers(values: list[float]) -> list[int] | list[float]:
    """As whole numbers where all of them are (-0.0 is not)."""
    whole = all(value.is_integer() and abs(value) < 2**53 and str(value) != "-0.0" for value in values)
    return [int(value) for value in values] if whole else values


def to_plain(example: MixedExample) -> dict[str, Any]:
    """The record as the JSON object that it came from (numbers as doubles)."""
    if example.input_type == "text":
        given: dict[str, Any] = {"text": example.text}
    elif example.input_type == "sequence":
        given = {"values": _plain_numbers(example.values or [])}
    elif example.input_type == "tabular":
        cells = Cells(example.fields or "", example.numbers or [], example.categories or [])
        given = {"fields": cells_of(cells)}
    else:
        given = {"width": example.width, "height": example.height, "pixels": _plain_numbers(example.pixels or [])}
    if example.input_extra is not None:
        more = json.loads(example.input_extra)
        if example.input_type == "tabular":  # whole numbers that no double holds, as they were written
            given["fields"].update(more.pop("fields", {}))
        given.update(more)
    record: dict[str, Any] = {
        "id": example.id,
        "domain": example.domain,
        "input_type": example.input_type,
        "input": given,
    }
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
