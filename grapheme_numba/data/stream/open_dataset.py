"""`open_dataset`: from a path that a user names to a Dataset that streams batches.

Tables and other layouts are converted once into the cache, beside what was decided about them: what a first run decided
and left out is kept with the converted file, and every later run says it again.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from grapheme_numba import arguments
from grapheme_numba.data.file_kinds import JSON_LINES, PARQUET, PICTURES, TABLES, bare_name, files_in, packed
from grapheme_numba.data.jsonl.convert import default_rejects_path
from grapheme_numba.data.parquet.files import VERSION_KEY
from grapheme_numba.data.records import Limits
from grapheme_numba.data.sources.external import import_data
from grapheme_numba.data.sources.row_layouts import has_records, is_of_records
from grapheme_numba.data.sources.tables.import_table import SPLITS, TableConverted
from grapheme_numba.data.sources.tables.mapping import ColumnKind, TableMapping
from grapheme_numba.data.sources.tables.passes import domain_of
from grapheme_numba.data.sources.tables.readers import open_table
from grapheme_numba.data.sources.tables.row_examples import Form
from grapheme_numba.data.stream.cache import KEPT, Make, cached_parquet, decisions_of
from grapheme_numba.data.stream.dataset import Dataset, Decisions, open_parquet
from grapheme_numba.errors import RecordError

FOOTER_BYTES = 64 << 20  # at the end of a Parquet file, in which the mark of our own is looked for
FORMAT = 6  # of the decisions, and of how cells are read; older conversions are made again


def is_ours(path: Path, *, target: bool = False) -> bool:
    """Whether a file is to be read as JSONL of records, or is Parquet that this program wrote.

    target : a column of answers is named, so that JSON lines are rows of a table unless they are records
    """
    with open(path, "rb") as file:
        if file.read(4) == b"PAR1" or path.name.lower().endswith(PARQUET):
            file.seek(max(0, file.seek(0, 2) - FOOTER_BYTES))
            tail = file.read()
            return not tail.endswith(b"PAR1") or VERSION_KEY.encode() in tail
    name = bare_name(path)
    if not name.endswith(JSON_LINES):
        return not name.endswith(TABLES) and (not target or has_records(path))
    return has_records(path) if target else is_of_records(path)


def open_dataset(
    path: str | Path,
    *,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
    nameless: bool = False,
    mapping: TableMapping | None = None,
    max_unfit: float = 1.0,
    parts: Sequence[Path] = (),
) -> Dataset:
    """Open .jsonl[.gz|.zst] (converted once into a cache), .parquet, or a folder of .parquet.

    Other tables, layouts and folders of them are converted into the cache too: with a target in `mapping` as tables,
    else by their columns (`sources.row_layouts`); what was decided goes to `progress`.

    cache : False converts JSONL into a temporary folder that goes with the Dataset
    progress : called with one plain sentence when something takes time (a conversion)
    nameless : take JSONL lines without a domain, for a router to choose one
    max_unfit : share of a table's rows that may be left out because they cannot be used
    parts : the files that `path` is the first of, if more than one

    Raises MissingInputError when there is nothing at `path`, RecordError for lines or files that
    do not hold examples.
    """
    path = arguments.path("path", path)
    table = mapping is not None and mapping.target is not None
    if path.is_dir() and not parts and not holds_our_parquet(path):
        files = files_in(path, lambda name: name.endswith((*packed(TABLES), *PICTURES)))
        if files:
            return _imported([path], mapping, cache, progress, max_unfit, files)
    if not path.is_file():
        return open_parquet(path)
    if not all(is_ours(part, target=table) for part in parts or [path]):
        return _imported(list(parts or [path]), mapping, cache, progress, max_unfit)
    if len(parts) > 1:
        given: dict[str, Any] = {"cache": cache, "progress": progress, "nameless": nameless}
        opened = [open_dataset(part, **given) for part in parts]
        whole = Dataset(path, [file for part in opened for file in part.files])
        whole.kept_open = opened
        return whole
    with open(path, "rb") as file:
        magic = file.read(4)
    if path.name.lower().endswith(PARQUET) or magic == b"PAR1":
        return Dataset(path, [path])
    converted, temporary = cached_parquet(path, cache, progress, Limits(nameless=nameless))
    return of_cache(path, converted, temporary)


def holds_our_parquet(folder: Path) -> bool:
    """Whether a folder is one of Parquet files that this program wrote, as its first one shows."""
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(PARQUET) and file.name[0] != ".")
    return bool(files) and is_ours(files[0])


def _imported(
    paths: list[Path], mapping: TableMapping | None, cache: bool, progress: Callable[[str], None] | None,
    max_unfit: float, files: Sequence[Path] = (),
) -> Dataset:  # fmt: skip
    return of_cache(paths[0], *cached_import(paths, mapping, cache, progress, most_refused=max_unfit, files=files))


def of_cache(path: Path, converted: Path, temporary: Path | None, decisions: Decisions | None = None) -> Dataset:
    """The dataset of a conversion of `path`; `temporary` is a folder that goes with it."""
    dataset = open_parquet(converted)
    dataset.path, dataset.decisions = path, decisions
    if temporary is not None:
        dataset.goes_with(temporary)
    return dataset


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


def _kinds(form: Form) -> dict[str, ColumnKind]:
    names = [*form.roles.inputs, *([form.roles.target] if form.roles.target else [])]
    kinds = {name: form.kinds[name] for name in names}
    return {name: kind for name, kind in kinds.items() if kind != "empty"}
