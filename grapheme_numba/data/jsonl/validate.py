"""Check a whole file, JSONL or Parquet, without writing anything."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from grapheme_numba.data.jsonl.lines import find_sources, total_bytes
from grapheme_numba.data.jsonl.parsing import parsed_blocks
from grapheme_numba.data.parquet.files import ParquetSource
from grapheme_numba.data.records import DEFAULT_LIMITS, Limits, parse_example
from grapheme_numba.data.rejects import Reject
from grapheme_numba.data.schema import from_arrow, to_line
from grapheme_numba.errors import RecordError


class Validated(NamedTuple):
    """rows that can be used, rejects in all, and the first `shown` of them."""

    rows: int
    rejects: int
    shown: list[Reject]


def validate(
    names: Iterable[str | Path],
    *,
    limits: Limits = DEFAULT_LIMITS,
    shown: int = 10,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] | None = None,
) -> Validated:
    """Check every line of JSONL files (as `convert` finds them) and every row of .parquet files.

    Raises MissingInputError for a name that means nothing, RecordError for a damaged Parquet file or when
    there is no line at all.
    """
    given = [str(name) for name in names]
    tables = [file for name in given for file in tables_of(Path(name))]
    lines = find_sources(name for name in given if Path(name) not in tables and not _only_tables(Path(name)))
    rows = rejects = 0
    first: list[Reject] = []
    for parsed in parsed_blocks(lines, limits, threads, total_bytes(lines), progress, note):
        rows += parsed.rows.num_rows
        rejects += len(parsed.rejects)
        first += parsed.rejects[: max(shown - len(first), 0)]
    for path in tables:
        for refused in _wrong_rows(path, limits):
            rows += refused is None
            rejects += refused is not None
            if refused is not None and len(first) < shown:
                first.append(refused)
    if rows + rejects == 0:
        raise RecordError(f"{', '.join(given[:3])} holds no line; at least one example is needed")
    return Validated(rows, rejects, first)


def tables_of(path: Path) -> list[Path]:
    """The Parquet files that a name means: itself, or those of a folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.suffix == ".parquet" and path.exists() else []


def _only_tables(path: Path) -> bool:
    return (
        path.is_dir() and bool(tables_of(path)) and not any(path.rglob("*.jsonl*")) and not any(path.rglob("*.ndjson*"))
    )


def _wrong_rows(path: Path, limits: Limits) -> Iterator[Reject | None]:
    """For every row of a Parquet file: None, or a Reject whose line is the row's number from 1."""
    number = 0
    for table in ParquetSource(path).tables():
        for batch in table.to_batches(4096):
            for example in from_arrow(batch):
                number += 1
                try:
                    parse_example(to_line(example), limits)
                    yield None
                except (RecordError, TypeError, ValueError) as error:
                    yield Reject(str(path), number, 0, str(error), str(example.id)[:80])
