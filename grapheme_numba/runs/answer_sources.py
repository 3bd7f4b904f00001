"""What `predict` is given: records of our own, or the rows of a table, found out from the file and the run."""

import contextlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from grapheme_numba.data.codec.layout import Layout
from grapheme_numba.data.file_kinds import ARROW, PARQUET, PICTURES, bare_name, files_in
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.rejects import NO_OFFSET
from grapheme_numba.data.schema import to_line
from grapheme_numba.data.sources.external import own_rows
from grapheme_numba.data.sources.pictures import looks_for, question_pictures
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
from grapheme_numba.errors import GraphemeError, MissingInputError, RecordError, UsageError
from grapheme_numba.runs.predict import Answer, Answerer, Refusal

Kind = Literal["lines", "rows", "parquet", "table", "layout", "pictures"]

PACKED_MARKS = {b"\x1f\x8b": ".gz", b"\x28\xb5": ".zst"}  # first bytes


class Source(NamedTuple):
    """A file of questions.

    kind : `lines` of JSON, `rows` of another file that holds records, our own `parquet`, a `table`, or rows of a
        known `layout`, or a file or folder of `pictures`
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
    if name.endswith(PICTURES):
        return "pictures"
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
    """The source that `--input` names. What standard input (`-`) gives besides records is kept in a temporary file.

    Raises MissingInputError, UsageError.
    """
    if given != "-":
        if Path(given).is_dir():
            if not files_in(Path(given), lambda low: low.endswith(PICTURES)):
                raise UsageError(f"--input {given} is a folder without pictures; give one of its files")
            yield Source(Path(given), "pictures", given)
            return
        if not Path(given).is_file():
            raise MissingInputError(
                f"the input {given} does not exist; give a table, a file of records or - for standard input"
            )
        yield Source(Path(given), kind_of_source(Path(given), mapping, layout), given)
        return
    if mapping.target is None and _gives_records():
        yield Source(Path("-"), "lines", "-")
        return
    folder = Path(tempfile.mkdtemp(prefix="grapheme-input-"))
    try:
        yield _kept(folder, mapping, layout)
    except GraphemeError as error:
        raise type(error)(re.sub(rf"{re.escape(str(folder))}/[\w.-]+", "standard input", str(error))) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _gives_records() -> bool:
    """Whether standard input starts with records of our own, which are answered as they come, or with no rows."""
    stdin = sys.stdin.buffer
    if hasattr(stdin, "peek"):
        head = stdin.peek(PEEKED_BYTES)
    else:
        place = stdin.tell()
        head = stdin.read(PEEKED_BYTES)
        stdin.seek(place)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return RECORD_MARK in head or (start != b"{" and head[:4] != b"PAR1" and head[:2] not in PACKED_MARKS)


def _kept(folder: Path, mapping: TableMapping, layout: Layout) -> Source:
    head = sys.stdin.buffer.read(PEEKED_BYTES)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    packed = PACKED_MARKS.get(head[:2], "")
    path = folder / f"standard-input{packed}"
    with open(path, "wb") as file:
        file.write(head)
        shutil.copyfileobj(sys.stdin.buffer, file)
    if packed:
        with opened(path) as stream:
            start = read(stream, PEEKED_BYTES, path).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    endings = {b"{": "jsonl", b"[": "json"}
    ending = "parquet" if head[:4] == b"PAR1" else endings.get(start, "csv")
    path = path.rename(folder / f"standard-input.{ending}{packed}")
    return Source(path, kind_of_source(path, mapping, layout), "-")


def record_answers(source: Source, answerer: Answerer, mapping: TableMapping) -> Iterator[Answer | Refusal]:
    """Answers and refusals of a source that is no table and of no layout, in order. Raises RecordError."""
    if source.kind == "pictures":
        return answerer.batched(pictures_of(source, mapping, answerer.model.layout))
    if source.kind == "lines":
        return answerer.answer(str(source.path))
    return answerer.answer_lines(lines_of(source), source.name)


def pictures_of(source: Source, mapping: TableMapping, layout: Layout) -> Iterator[MixedExample | Refusal]:
    """The pictures of a source, looking as those of training. Raises RecordError for a model of other inputs."""
    domains = [one for one in layout.domains if one.input_type == "image"]
    named = [one for one in domains if one.name in (mapping.domain, "images")] if len(domains) > 1 else domains
    if not named:
        kinds = ", ".join(sorted({one.input_type for one in layout.domains}))
        raise RecordError(f"{source.name} holds pictures, but the model takes {kinds}; give it rows or records")
    domain = named[0]
    looks = looks_for(domain.n_input, mapping.image_size)
    for number, one in enumerate(question_pictures(source.path, domain.name, looks), 1):
        yield Refusal(source.name, number, NO_OFFSET, one) if isinstance(one, str) else one


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
