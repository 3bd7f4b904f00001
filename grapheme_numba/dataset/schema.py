"""The Arrow schema of the training format, and the way between it and single records."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from grapheme_numba.dataset.records import MixedExample

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
