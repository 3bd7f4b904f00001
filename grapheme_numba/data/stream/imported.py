"""Tables and other layouts converted once into the cache, beside what was decided about them.

What a first run decided and left out is kept with the converted file, and every later run says it again.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from grapheme_numba.data.jsonl.convert import default_rejects_path
from grapheme_numba.data.sources.external import import_data
from grapheme_numba.data.sources.tables.import_table import SPLITS, TableConverted
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.passes import domain_of
from grapheme_numba.data.sources.tables.readers import open_table
from grapheme_numba.data.sources.tables.row_examples import Form
from grapheme_numba.data.stream.cache import KEPT, Make, cached_parquet, decisions_of
from grapheme_numba.errors import RecordError

FORMAT = 3  # of the decisions, and of how cells are read; older conversions are made again


class Decisions(msgspec.Struct, frozen=True):
    """What was decided in a conversion.

    sentences : for people; kinds : of the columns that are used; inputs : columns, in order; layout : as of a mapping
    decimal, header : how the first table's text was read, None where it is none
    split_rows : of train, val and test, where a column names them
    rows, refused : their numbers; first : the first refused row and why
    """

    sentences: list[str]
    kinds: dict[str, Literal["number", "text"]]
    inputs: tuple[str, ...]
    layout: Literal["row", "cells", "values"]
    decimal: Literal[".", ","] | None
    header: bool | None
    rows: int
    refused: int
    first: str
    split_rows: tuple[int, ...] = ()

    def refusal(self, path: Path) -> str:
        """How many rows are left out, and why the first."""
        return f"{self.refused:,} of {self.rows:,} rows of {path} cannot be used; {self.first}"

    def lacking(self, other: "Decisions") -> list[str]:
        """The input columns that another conversion does not have."""
        return [name for name in self.inputs if name not in other.inputs] if other.inputs else []

    def mapping(self, given: TableMapping) -> TableMapping:
        """A mapping that reads other files of the same data as this one was read."""
        return msgspec.structs.replace(
            given,
            kinds={**given.kinds, **self.kinds},
            layout=self.layout if given.layout == "row" else given.layout,
            decimal=given.decimal or self.decimal,
            header=self.header if given.header is None else given.header,
        )


def cached_import(
    paths: Sequence[Path],
    mapping: TableMapping | None,
    cache: bool,
    progress: Callable[[str], None] | None,
    *,
    most_refused: float = 1.0,
    files: Sequence[Path] = (),
) -> tuple[Path, Path | None, Decisions]:
    """(Parquet file, temporary folder that goes with it or None, what was decided) of tables or other layouts.

    paths : what one split consists of, read as one table; files : what that means, where `paths` are folders
    most_refused : share of the rows that may be left out

    Raises RecordError where more rows than that are refused.
    """
    mapping = msgspec.structs.replace(mapping or TableMapping(), split=None)
    if mapping.target is not None and mapping.domain is None and paths[0].is_dir():
        mapping = msgspec.structs.replace(mapping, domain=domain_of(paths[0]))
    kind = hashlib.blake2b(msgspec.json.encode(mapping), digest_size=6).hexdigest()

    def make(target: Path, note: Callable[[str], None] | None) -> None:
        done = import_data(None, paths, target, mapping)
        default_rejects_path(target).unlink(missing_ok=True)
        decisions_of(target).write_bytes(msgspec.json.encode(_decided(done, paths[0], mapping)))

    return _cached(paths, kind, make, cache, progress, most_refused, files)


def _cached(
    paths: Sequence[Path], kind: str, make: Make, cache: bool, progress: Callable[[str], None] | None,
    most_refused: float, files: Sequence[Path] = (),
) -> tuple[Path, Path | None, Decisions]:  # fmt: skip
    target, temporary = cached_parquet(
        paths[0],
        cache,
        progress,
        make=make,
        kind=f"-{kind}-{FORMAT}",
        files=files or paths,
        decides=True,
        kept=len(SPLITS) * KEPT,
    )
    decided = msgspec.json.decode(decisions_of(target).read_bytes(), type=Decisions)
    if progress is not None:
        for sentence in decided.sentences:
            progress(sentence)
    if decided.refused > most_refused * decided.rows:
        raise RecordError(
            f"{decided.refusal(paths[0])}; that is more than --max-unfit {most_refused:g} allows, raise it to go on "
            "without them (`grapheme-data convert` lists them all)"
        )
    if decided.refused and progress is not None:
        progress(f"{decided.refusal(paths[0])}; they are left out (--max-unfit)")
    return target, temporary, decided


def cached_splits(
    path: Path, mapping: TableMapping, cache: bool, progress: Callable[[str], None] | None, most_refused: float
) -> list[tuple[Path, Path | None, Decisions]]:
    """`cached_import` of the rows of each split, train, val and test, that the column `mapping.split` names."""
    key = hashlib.blake2b(msgspec.json.encode(mapping), digest_size=6).hexdigest()
    found: list[tuple[Path, Path | None, Decisions]] = []
    made: list[TableConverted] = []
    with tempfile.TemporaryDirectory(prefix="grapheme-splits-") as scratch:
        for name in SPLITS:

            def make(target: Path, note: Callable[[str], None] | None, name: str = name) -> None:
                if not made:  # one pass makes all three
                    made.append(import_data(None, [path], Path(scratch) / "splits", mapping))
                shutil.move(Path(scratch) / "splits" / f"{name}.parquet", target)
                decisions_of(target).write_bytes(msgspec.json.encode(_decided(made[0], path, mapping)))

            say = progress if name == SPLITS[0] else None
            found.append(_cached([path], f"{key}-{name}", make, cache, say, most_refused))
    return found


def _decided(done: TableConverted, path: Path, mapping: TableMapping) -> Decisions:
    first, form = done.converted.first_reject, done.form
    dialect = None
    if form is not None and path.is_file() and (table := open_table(path, mapping)).dialect.names:
        dialect = table.dialect
    return Decisions(
        sentences=[*done.notes, *done.columns],
        kinds={} if form is None else _kinds(form),
        inputs=() if form is None else form.roles.inputs,
        layout="row" if form is None else "cells" if form.input_type == "tabular" else "values",
        decimal=None if dialect is None else "," if dialect.decimal == "," else ".",
        header=None if dialect is None else dialect.header,
        rows=done.converted.rows_in,
        refused=done.converted.rejects,
        first="" if first is None else f"the first: {Path(first.file).name}, row {first.line}: {first.reason}",
        split_rows=done.split_rows,
    )


def _kinds(form: Form) -> dict[str, Literal["number", "text"]]:
    names = [*form.roles.inputs, *([form.roles.target] if form.roles.target else [])]
    return {name: "number" if form.kinds[name] == "number" else "text" for name in names if form.kinds[name] != "empty"}
