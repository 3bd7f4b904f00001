"""Rows of a CSV, TSV or Parquet table as examples: some columns in, one column out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from grapheme_numba.errors import MissingInputError, RecordError, UsageError

ROWS = 4096


def _batches(path: Path) -> tuple[list[str], Iterator[pa.RecordBatch]]:
    """Column names and batches of a table; CSV columns as text, so that nothing is guessed."""
    if not path.exists():
        raise MissingInputError(f"{path} does not exist; give a .csv, .tsv or .parquet file")
    try:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            return file.schema_arrow.names, file.iter_batches(ROWS)
        parsing = csv.ParseOptions(delimiter="\t" if path.suffix in (".tsv", ".tab") else ",", newlines_in_values=True)
        names = csv.open_csv(path, parse_options=parsing).schema.names
        texts = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        return names, csv.open_csv(path, parse_options=parsing, convert_options=texts)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path} is not a table: {str(error)[:120]}") from None


def check_columns(path: Path, names: Sequence[str], columns: Sequence[str], target: str | None) -> None:
    """UsageError for columns that are not given or not there."""
    if not columns or target is None:
        raise UsageError(f"name the columns: --input-column and --target-column, of {', '.join(names)}")
    for column in [*columns, target]:
        if column not in names:
            raise UsageError(f"{path} has no column {column!r}, only {', '.join(names)}")


def plain(value) -> str:
    """A cell as text: whole floats without a fraction."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def as_number(value) -> float | None:
    """A cell as a finite number, None if it is not."""
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        return None
    return number if number is not None and abs(number) < float("inf") else None


def table_records(path: Path, columns: Sequence[str], target: str | None, domain: str) -> Iterator[tuple]:
    """(row number, record or None, reason) for each row.

    Input columns that all hold numbers (judged by the first rows) make a sequence; one or more of text make
    a text, joined by spaces.
    """
    names, batches = _batches(path)
    check_columns(path, names, columns, target)
    numeric, number = None, 0
    try:
        for batch in batches:
            cells = [batch.column(names.index(column)).to_pylist() for column in [*columns, target]]
            if numeric is None:
                filled = [value for column in cells[:-1] for value in column if value not in ("", None)]
                numeric = bool(filled) and all(as_number(value) is not None for value in filled)
            for *given, answer in zip(*cells):
                number += 1
                yield _record(number, given, answer, numeric, columns, domain)
    except (pa.ArrowException, OSError) as error:
        raise RecordError(f"{path}, after row {number}: {str(error)[:120]}") from None


def _record(number: int, given: list, answer, numeric: bool, columns: Sequence[str], domain: str) -> tuple:
    if answer in ("", None) or None in given or "" in given:
        return number, None, "a cell is empty"
    if numeric:
        values = [as_number(value) for value in given]
        if None in values:
            return number, None, f"column {columns[values.index(None)]} holds no finite number"
        kind, content = "sequence", {"values": values}
    else:
        kind, content = "text", {"text": " ".join(map(plain, given))}
    record = {"id": f"{domain}-{number}", "domain": domain, "input_type": kind, "input": content}
    return number, {**record, "expected_output": plain(answer)}, None
