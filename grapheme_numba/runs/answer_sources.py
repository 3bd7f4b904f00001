"""What `predict` is given: records of our own, or the rows of a table, found out from the file and the run."""

import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.file_kinds import ARROW, PARQUET, bare_name
from grapheme_numba.data.schema import to_line
from grapheme_numba.data.sources.external import own_rows
from grapheme_numba.data.sources.row_layouts import (
    FLAT_RECORD,
    PEEKED_BYTES,
    RECORD,
    RECORD_MARK,
    question_layout,
    rows_of,
)
from grapheme_numba.data.sources.tables.blocks import opened, read
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.readers import open_table
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.open_dataset import is_ours
from grapheme_numba.errors import GraphemeError, MissingInputError

Kind = Literal["lines", "rows", "parquet", "table", "layout"]


class Source(NamedTuple):
    """A file of questions.

    kind : `lines` of JSON, `rows` of another file that holds records, our own `parquet`, a `table`, or rows of a
        known `layout`
    name : what messages call it
    """

    path: Path
    kind: Kind
    name: str


def kind_of_source(path: Path, mapping: TableMapping, layout: Layout) -> Kind:
    """What a file holds. `layout` : of the model; one of a single domain takes rows of JSON without `input_type`."""
    kind = _kind(path, mapping, layout)
    return "layout" if kind in ("table", "lines") and _is_of_layout(path, kind, mapping, layout) else kind


def _is_of_layout(path: Path, kind: Kind, mapping: TableMapping, layout: Layout) -> bool:
    """Whether a model that was not trained on a table is given rows of a published or common layout."""
    inputs = {one.input_type for one in layout.domains}
    if mapping.target is not None or not inputs & {"text", "image"}:
        return False
    try:
        if kind == "table":
            found = question_layout(set(open_table(path, mapping).names))
        else:
            first = next((row for row in rows_of(path) if not isinstance(row, str)), {})
            found = None if isinstance(first.get("input"), dict) else question_layout(set(first))
    except (GraphemeError, OSError, ValueError):
        return False  # what is wrong with the file is said where it is read
    return found is not None and ("image" if found == "images" else "text") in inputs


def _kind(path: Path, mapping: TableMapping, layout: Layout) -> Kind:
    name = bare_name(path)
    with opened(path) as stream:
        head = read(stream, PEEKED_BYTES, path)
    if name.endswith(PARQUET) or head[:4] == b"PAR1":
        if is_ours(path):
            return "parquet"
        return "rows" if set(open_table(path, mapping).names) >= FLAT_RECORD else "table"
    if name.endswith(ARROW) or head[:6] == b"ARROW1":
        names = set(open_table(path, mapping).names)
        return "rows" if names >= FLAT_RECORD or names >= RECORD else "table"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if name.endswith(".json") and start in (b"[", b"{"):
        return "rows" if RECORD_MARK in head else "table"
    if start == b"{" or name.endswith((".jsonl", ".ndjson")):
        one_table = mapping.target is not None or [one.input_type for one in layout.domains] == ["tabular"]
        return "table" if one_table and RECORD_MARK not in head and start else "lines"
    ordinary = name.endswith((".csv", ".tsv", ".tab", ".txt", ".dat", ".data")) or mapping.target is not None
    return "table" if ordinary and start else "lines"


@contextlib.contextmanager
def source_of(given: str, mapping: TableMapping, layout: Layout) -> Iterator[Source]:
    """The source that `--input` names. What standard input (`-`) gives to a run of a table is kept in a temporary file.

    Raises MissingInputError.
    """
    if given != "-":
        if not Path(given).is_file():
            raise MissingInputError(
                f"the input {given} does not exist; give a table, a file of records or - for standard input"
            )
        yield Source(Path(given), kind_of_source(Path(given), mapping, layout), given)
        return
    if mapping.target is None:
        yield Source(Path("-"), "lines", "-")
        return
    folder = Path(tempfile.mkdtemp(prefix="grapheme-input-"))
    try:
        yield _kept(folder, mapping, layout)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kept(folder: Path, mapping: TableMapping, layout: Layout) -> Source:
    head = sys.stdin.buffer.read(PEEKED_BYTES)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    endings = {b"{": "jsonl", b"[": "json"}
    ending = "parquet" if head[:4] == b"PAR1" else endings.get(start, "csv")
    path = folder / f"standard-input.{ending}"
    with open(path, "wb") as file:
        file.write(head)
        shutil.copyfileobj(sys.stdin.buffer, file)
    return Source(path, kind_of_source(path, mapping, layout), "-")


def lines_of(source: Source) -> Iterator[bytes]:
    """The records of a source that is neither JSON lines nor a table, as JSON lines. Raises RecordError."""
    if source.kind == "parquet":
        dataset = Dataset(source.path, [source.path])
        try:
            for start in range(0, dataset.n_rows, 1024):
                for example in dataset.records(range(start, min(start + 1024, dataset.n_rows))):
                    yield _question(to_line(example))
        finally:
            dataset.close()
        return
    for _, record, reason in own_rows(source.path):
        yield reason.encode() if record is None and reason else _question(json.dumps(record).encode())


def _question(line: bytes) -> bytes:
    """The record without an answer that is null."""
    if b'"expected_output": null' not in line:
        return line
    record = json.loads(line)
    if record.get("expected_output") is None:
        record.pop("expected_output", None)
    return json.dumps(record, ensure_ascii=False).encode()
