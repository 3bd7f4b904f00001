"""Tables whose files say the types of their columns (Parquet, Arrow, Feather), and rows of JSON."""

import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from grapheme_numba.data.file_kinds import JSON_LINES, bare_name
from grapheme_numba.data.sources.tables.blocks import BLOCK_BYTES, Array, Block, Job, Refused, opened, read, seekable
from grapheme_numba.data.sources.tables.dialect import Dialect, marks_of, without_sentinels
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.errors import RecordError

ROWS = 32_768
MOST_JSON = 512 << 20  # bytes of one JSON document, which has to be read whole
DAY = 86_400_000_000  # microseconds


def _dialect(mapping: TableMapping) -> Dialect:
    return Dialect(decimal=mapping.decimal or ".", **marks_of(mapping.missing))


class ParquetTable:
    """Parquet of any writer, read row group by row group."""

    def __init__(self, path: Path, mapping: TableMapping):
        self.path, self.dialect = path, _dialect(mapping)
        self.notes: list[str] = []
        try:
            with seekable(path) as file:
                schema = pq.ParquetFile(file).schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise RecordError(f"{path} is not Parquet: {str(error)[:120]}; is it damaged or cut?") from None
        self.names, self.types = list(schema.names), dict(zip(schema.names, schema.types))

    def jobs(
        self, columns: Collection[str], numeric: Collection[str], exact: Collection[str]
    ) -> Iterator[tuple[Job, int]]:
        """Blocks of at most ROWS rows."""
        with seekable(self.path) as file:
            table = pq.ParquetFile(file, page_checksum_verification=True)
            yield from _batch_jobs(self.path, table.iter_batches(ROWS, columns=list(columns)), self.dialect, exact)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All columns, at most ROWS rows at a time."""
        with seekable(self.path) as file:
            table = pq.ParquetFile(file, page_checksum_verification=True)
            yield from _pieces(self.path, table.iter_batches(ROWS))

    def block(self, batch: pa.RecordBatch, exact: Collection[str]) -> Block:
        """Rows of `batches` as a block."""
        return _typed_job(batch, self.dialect, exact)()


class ArrowTable:
    """Arrow files and streams, and Feather."""

    def __init__(self, path: Path, mapping: TableMapping):
        self.path, self.dialect = path, _dialect(mapping)
        self.notes: list[str] = []
        try:
            with seekable(path) as file:
                schema, _ = arrow_batches(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise RecordError(f"{path} is not an Arrow file: {str(error)[:120]}; is it damaged or cut?") from None
        self.names, self.types = list(schema.names), dict(zip(schema.names, schema.types))

    def jobs(
        self, columns: Collection[str], numeric: Collection[str], exact: Collection[str]
    ) -> Iterator[tuple[Job, int]]:
        """Blocks as the file holds them."""
        names = list(columns)
        with seekable(self.path) as file:
            batches = (batch.select(names) for batch in arrow_batches(file)[1])
            yield from _batch_jobs(self.path, batches, self.dialect, exact)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All columns, at most ROWS rows at a time."""
        with seekable(self.path) as file:
            yield from _pieces(self.path, arrow_batches(file)[1])

    def block(self, batch: pa.RecordBatch, exact: Collection[str]) -> Block:
        """Rows of `batches` as a block."""
        return _typed_job(batch, self.dialect, exact)()


def arrow_batches(file: IO[bytes]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema and the batches of an Arrow file or stream."""
    try:
        reader = pa.ipc.open_file(file)
        return reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
    except pa.ArrowInvalid:
        file.seek(0)
        stream = pa.ipc.open_stream(file)
        return stream.schema, iter(stream)


def _batch_jobs(
    path: Path, batches: Iterator[pa.RecordBatch], dialect: Dialect, exact: Collection[str]
) -> Iterator[tuple[Job, int]]:
    for piece in _pieces(path, batches):
        yield _typed_job(piece, dialect, exact), piece.nbytes


def _pieces(path: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches of at most ROWS rows. Raises RecordError with the place where the file cannot be read."""
    n = 0
    try:
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                piece = batch.slice(start, ROWS)
                n += piece.num_rows
                yield piece
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path}, after row {n}: {str(error)[:120]}") from None


def _typed_job(batch: pa.RecordBatch, dialect: Dialect, exact: Collection[str]) -> Job:
    def job() -> Block:
        arrays = {}
        for name, array in zip(batch.schema.names, batch.columns):
            written = name in exact and kind_of_type(array.type) in ("text", "number", "date")
            arrays[name] = answer_text(array) if written else plain(array)
        return Block(with_missing(arrays, dialect), np.arange(batch.num_rows), batch.num_rows, [])

    return job


def with_missing(arrays: dict[str, Array], dialect: Dialect) -> dict[str, Array]:
    """Columns with null for the marks of missing cells."""
    marks = pa.array(dialect.missing, pa.string())
    for name, array in arrays.items():
        if pa.types.is_floating(array.type):
            arrays[name] = without_sentinels(array, dialect)
        if pa.types.is_string(array.type):
            missing = pc.is_in(array, marks)
            if pc.any(missing, min_count=0).as_py():
                arrays[name] = pc.if_else(missing, pa.scalar(None, pa.string()), array)
    return arrays


def kind_of_type(kind: pa.DataType) -> str:
    """`text`, `number`, `date`, `bytes`, `numbers` (a list of them), `picture` or `other`."""
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_boolean(kind):
        return "text"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_null(kind):
        return "number"
    if types.is_temporal(kind):
        return "date"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return "numbers" if kind_of_type(kind.value_type) == "number" else "other"
    if types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}:
        return "picture"
    return "other"


def kind_of_numbers(kind: pa.DataType) -> Literal["number", "date"] | None:
    """What a column that `plain` makes doubles of holds; None for one of no numbers."""
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return "date"
    return "number" if kind_of_type(kind) in ("number", "date") else None


def refuse_numbers_for_dates(path: object, types: Mapping[str, pa.DataType], kinds: Mapping[str, str]) -> None:
    """RecordError where a column whose cells were dates in training has a type of numbers."""
    for name, kind in kinds.items():
        type_ = types.get(name, pa.null())
        if kind == "date" and kind_of_numbers(type_) == "number" and not pa.types.is_null(type_):
            raise RecordError(
                f"{path}: column {name!r} is {type_}, but the model reads dates from it; write them as dates"
            )


def plain(array: Array) -> Array:
    """A column as strings or doubles; dates as days since 1970, times as seconds; lists and others as they are."""
    types, kind = pa.types, array.type
    if types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if types.is_string(kind):
        return array
    if types.is_boolean(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return pc.cast(array, pa.string())
    if types.is_null(kind):
        return pa.nulls(len(array), pa.float64())
    if types.is_float16(kind):
        array = pc.cast(array, pa.float32())
    if types.is_decimal(kind) or types.is_integer(kind) or types.is_floating(kind):
        return pc.cast(array, pa.float64(), safe=False)
    if types.is_date(kind) or types.is_timestamp(kind):
        ticks = pc.cast(pc.cast(array, pa.timestamp("us"), safe=False), pa.int64())
        return pc.divide(pc.cast(ticks, pa.float64(), safe=False), float(DAY))
    if types.is_time(kind):
        wide = pc.cast(array, pa.time64("us")) if types.is_time32(kind) else array
        scale = 1e9 if wide.type.unit == "ns" else 1e6
        return pc.divide(pc.cast(pc.cast(wide, pa.int64()), pa.float64(), safe=False), scale)
    if types.is_duration(kind):
        ticks = pc.cast(pc.cast(array, pa.duration("us"), safe=False), pa.int64())
        return pc.divide(pc.cast(ticks, pa.float64(), safe=False), 1e6)
    if kind_of_type(kind) == "bytes":
        try:
            return pc.cast(pc.cast(array, pa.binary()), pa.string())
        except pa.ArrowInvalid:
            return array
    return array


def answer_text(array: Array) -> pa.StringArray:
    """A typed column as text: whole numbers without a fraction, floats with the fewest digits that give them back."""
    types = pa.types
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_float16(array.type):
        array = pc.cast(array, pa.float32())
    if types.is_time(array.type) or types.is_duration(array.type):
        array = plain(array)
    if types.is_floating(array.type):
        finite = pc.is_finite(array)
        whole = pc.and_(finite, pc.and_(pc.equal(array, pc.floor(array)), pc.less(pc.abs(array), 2.0**53)))
        held = pc.if_else(whole, array, pa.scalar(0, array.type))
        text = pc.if_else(whole, pc.cast(pc.cast(held, pa.int64()), pa.string()), pc.cast(array, pa.string()))
        return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.string()), text)
    if types.is_decimal(array.type):
        text = pc.cast(array, pa.string())
        if array.type.scale > 0:
            text = pc.replace_substring_regex(pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1"), r"\.$", "")
        return text
    return pc.cast(array, pa.string())


class JsonTable:
    """Rows of JSON: an object a line, or one array of them. Cells are text; booleans are `true` and `false`."""

    def __init__(self, path: Path, mapping: TableMapping):
        self.path, self.dialect = path, _dialect(mapping)
        self.notes: list[str] = []
        self.types: dict[str, pa.DataType] = {}
        self._lines = bare_name(path).endswith(JSON_LINES)
        self._rows: list[object] | None = None if self._lines else self._document()
        names: dict[str, None] = {}
        for rows in self.row_blocks():
            for row in rows:
                if isinstance(row, dict):
                    names.update(dict.fromkeys(row))
        self.names = list(names)
        if not self.names:
            raise RecordError(f"{path} holds no JSON object with fields; one a row is wanted")

    def _document(self) -> list[object]:
        with opened(self.path) as stream:
            data = read(stream, MOST_JSON + 1, self.path)
        if len(data) > MOST_JSON:
            raise RecordError(f"{self.path} has more than {MOST_JSON} bytes; write its rows as JSONL first")
        try:
            found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"{self.path} is not JSON: {str(error)[:100]}") from None
        if isinstance(found, dict):
            lists = [value for value in found.values() if isinstance(value, list)]
            if len(lists) == 1 and lists[0] and all(isinstance(row, dict) for row in lists[0]):
                found = lists[0]
        if not isinstance(found, list):
            raise RecordError(f"{self.path} is not a table: a list of objects is wanted, or an object a line in .jsonl")
        return found

    def row_blocks(self) -> Iterator[list[object]]:
        """The rows as they are, an object each; a `NotJson` for a line that is none."""
        if self._rows is not None:
            for start in range(0, len(self._rows), ROWS):
                yield self._rows[start : start + ROWS]
            return
        with opened(self.path) as stream:
            lines = io.BufferedReader(stream)  # type: ignore[type-var]
            first = True
            while data := _lines_of(lines, self.path):
                if first:
                    data[0], first = data[0].removeprefix(b"\xef\xbb\xbf"), False
                yield [_json(line) for line in data if line.strip()]

    def jobs(
        self, columns: Collection[str], numeric: Collection[str], exact: Collection[str]
    ) -> Iterator[tuple[Job, int]]:
        """Blocks as text cells; nested cells as JSON text."""
        for rows in self.row_blocks():
            yield self._job(rows, list(columns)), 0

    def block(self, rows: list[object], columns: Collection[str]) -> Block:
        """Rows of `row_blocks` as a block."""
        return self._job(rows, list(columns))()

    def _job(self, rows: list[object], columns: list[str]) -> Job:
        def job() -> Block:
            good = [(i, row) for i, row in enumerate(rows) if isinstance(row, dict)]
            refused = [
                Refused(i + 1, str(row) if isinstance(row, NotJson) else "the row is not a JSON object", "")
                for i, row in enumerate(rows)
                if not isinstance(row, dict)
            ]
            arrays = {name: pa.array([_cell(row.get(name)) for _, row in good], pa.string()) for name in columns}
            return Block(
                with_missing(arrays, self.dialect), np.array([i for i, _ in good], np.int64), len(rows), refused
            )

        return job


def _lines_of(lines: "io.BufferedReader[Any]", path: Path) -> list[bytes]:
    try:
        return lines.readlines(BLOCK_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{path} cannot be unpacked: {str(error)[:100]}; is it damaged or cut?") from None


class NotJson(str):
    """Why a line is not JSON."""


def _json(line: bytes) -> object:
    try:
        row = msgspec.json.decode(line)
        if not isinstance(row, dict) or line.count(b'":') == len(row):
            return row
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # why, the other reader says
    try:  # nested, spaced, with NaN, or with a key that comes twice
        return json.loads(line, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        return NotJson(f"not JSON: {str(error)[:80]}")


def _once(pairs: list[tuple[str, Any]]) -> object:
    """An object of JSON, or ValueError where a key comes twice, of which nobody can say which value is meant."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} comes twice")
    return row


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        try:
            if value is not None:
                value.encode()
            return value
        except UnicodeEncodeError:
            return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return None if value != value else repr(value)
    return json.dumps(value, ensure_ascii=False)
